"""How a setting's value is read from text or TOML, what is expected of it, and how it is written again. Pure."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*:)\S*(?=@)|(?<=[?&]password=)[^&\s]+")
NOUNS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def from_text(type_: Any, text: str) -> Any:
    """The value that a variable or a flag spells; a list is separated by commas. Raises ValueError."""
    if is_list(type_):
        return checked(type_, _items(text))
    return checked(type_, text.strip(), strict=False)


def from_texts(type_: Any, texts: tuple[str, ...]) -> Any:
    """The list that a repeated flag spells; each use may hold several items. Raises ValueError."""
    return checked(type_, [item for text in texts for item in _items(text)])


def checked(type_: Any, value: Any, *, strict: bool = True) -> Any:
    """The value as the setting's type. Raises ValueError."""
    try:
        converted = msgspec.convert(value, type_, strict=strict)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    if isinstance(converted, float) and not math.isfinite(converted):
        raise ValueError("not a finite number")
    return converted


def expectation(type_: Any) -> str:
    """What a value of this type must be, in words."""
    if is_list(type_):
        item = get_args(type_)[0]
        return f"a list of {_choices(item)}" if get_origin(item) is Literal else f"a list of {NOUNS[item]}"
    if get_origin(type_) is Literal:
        return f"one of {_choices(type_)}"
    if get_origin(type_) is Annotated:
        base, meta = get_args(type_)
        return NOUNS[base] + _bounds(meta)
    return NOUNS[type_]


def is_list(type_: Any) -> bool:
    return get_origin(type_) is tuple


def as_text(value: Any) -> str:
    """The value as a variable would spell it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def without_password(value: Any) -> Any:
    """The value as anybody may read it: a URL shows no password."""
    if not isinstance(value, str):
        return value
    return _PASSWORD.sub(lambda found: f"{found[1] or ''}***", value)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _choices(literal: Any) -> str:
    return ", ".join(get_args(literal))


def _bounds(meta: msgspec.Meta) -> str:
    match meta:
        case msgspec.Meta(ge=int() as low, le=int() as high):
            return f" from {low} to {high}"
        case msgspec.Meta(ge=int() as low):
            return f", {low} or more"
        case msgspec.Meta(gt=int() as low):
            return f" above {low}"
    return ""
