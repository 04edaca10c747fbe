"""Says in words what is wrong in a model.toml, where the checker of types speaks of Python's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

import msgspec

from salver.models.manifest import (
    BatchingSection,
    EnvironmentSection,
    ExampleSection,
    InputSection,
    Manifest,
    OutputSection,
)
from salver.models.tomllines import KeyPath

SECTIONS: dict[tuple[str, ...], type[msgspec.Struct]] = {
    (): Manifest,
    ("environment",): EnvironmentSection,
    ("batching",): BatchingSection,
    ("inputs",): InputSection,
    ("outputs",): OutputSection,
    ("example",): ExampleSection,
}
"""The struct of each table, by its path without array indices."""

_TYPE_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "an array",
    "object": "a table",
    "datetime": "a date",
    "date": "a date",
    "time": "a time",
}
_LOCATION = re.compile(r"(?P<text>.*) - at `(?:key in `)?\$(?P<path>[^`]*)`", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")


class Problem(msgspec.Struct, frozen=True):
    """Where something is wrong, what, and what mends it."""

    path: KeyPath
    text: str
    fix: str | None = None


def problem_of(error: msgspec.ValidationError, around: KeyPath = ()) -> Problem:
    """The checker's complaint about a Manifest, or the part of one at `around`, in the words of the file."""
    text, path = _split(str(error))
    path = (*around, *path)
    if unknown := _UNKNOWN.fullmatch(text):
        return _unknown_key(path, unknown[1])
    if missing := _MISSING.fullmatch(text):
        return Problem(path, f"{in_words(path)} lacks the key `{missing[1]}`")
    return Problem(path, f"{in_words(path)}: {_plain(text)}")


def in_words(path: Sequence[str | int]) -> str:
    """`inputs[0].convert[3]` as people write a path."""
    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"`{dotted.lstrip('.')}`" if dotted else "the file"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was most likely meant to be."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def _split(message: str) -> tuple[str, KeyPath]:
    location = _LOCATION.fullmatch(message)
    if location is None:
        return message, ()
    steps = _STEP.findall(location["path"])
    return location["text"], tuple(int(index) if index else name for name, index in steps)


def _unknown_key(path: KeyPath, key: str) -> Problem:
    section = SECTIONS[tuple(part for part in path if isinstance(part, str))]
    known = section.__struct_fields__
    match = closest(key, known)
    meant = f"; did you mean `{match}`?" if match else ""
    return Problem((*path, key), f"{in_words(path)} has no key `{key}`{meant}", f"Its keys are {', '.join(known)}.")


def _plain(text: str) -> str:
    words = re.sub(r"`([^`]*)`", lambda match: _type_words(match[1]), text)
    return words[:1].lower() + words[1:]


def _type_words(names: str) -> str:
    kinds = [name for name in names.split(" | ") if name != "null"]
    return " or ".join(_TYPE_WORDS.get(kind, kind) for kind in kinds)
