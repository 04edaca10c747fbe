"""Reads protobuf's text format, as Triton's config.pbtxt and TensorFlow Serving's model_config_file are written in.

No descriptors: `parse` gives the fields as they are written, and whoever asks for one says what it should be. What does
not fit raises TextProtoError with line and column. Extensions and Any, whose names stand in brackets, are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeAlias, TypeVar

import msgspec

from salver.models.textprototokens import Kind, Place, TextProtoError, Token, tokens

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "Field", "Message", "Place", "Scalar", "TextProtoError", "parse"]

MAX_DEPTH = 100
"""Messages in messages; protobuf's own readers stop there too."""
MAX_CHARACTERS = 8 * 1024 * 1024

INT32 = range(-(2**31), 2**31)
UINT32 = range(2**32)
INT64 = range(-(2**63), 2**63)
UINT64 = range(2**64)

_TRUE = frozenset({"true", "True", "t", "1"})
_FALSE = frozenset({"false", "False", "f", "0"})
_CLOSING = {"{": "}", "<": ">"}
_UNENDING = {"inf": math.inf, "infinity": math.inf, "nan": math.nan}

_Value = TypeVar("_Value")


class Scalar(msgspec.Struct, frozen=True):
    """A value that is no message: as written, with its sign, and a string's bytes."""

    kind: Kind
    text: str
    place: Place
    data: bytes = b""


Value: TypeAlias = "Scalar | Message"


class Field(msgspec.Struct, frozen=True):
    """One value of a field; a list makes one of these for each of its elements."""

    name: str
    value: Value
    place: Place


class Message(msgspec.Struct, frozen=True):
    """The fields of a message in the order in which they are written.

    A method with a plural name reads a repeated field, the others one that may stand once.
    """

    fields: tuple[Field, ...] = ()
    place: Place = Place(1, 1)

    def has(self, name: str) -> bool:
        """Whether the field is written at all."""
        return any(field.name == name for field in self.fields)

    def beyond(self, known: Collection[str]) -> tuple[Field, ...]:
        """The fields whose names are not known, for whoever must not lose them silently."""
        return tuple(field for field in self.fields if field.name not in known)

    def string(self, name: str, default: str = "") -> str:
        return self._one(name, _string, default)

    def strings(self, name: str) -> tuple[str, ...]:
        return self._all(name, _string)

    def data(self, name: str, default: bytes = b"") -> bytes:
        return self._one(name, _data, default)

    def integer(self, name: str, default: int = 0, *, within: range = INT64) -> int:
        return self._one(name, lambda field: _integer(field, within), default)

    def integers(self, name: str, *, within: range = INT64) -> tuple[int, ...]:
        return self._all(name, lambda field: _integer(field, within))

    def number(self, name: str, default: float = 0.0) -> float:
        return self._one(name, _number, default)

    def numbers(self, name: str) -> tuple[float, ...]:
        return self._all(name, _number)

    def boolean(self, name: str, default: bool = False) -> bool:
        return self._one(name, _boolean, default)

    def booleans(self, name: str) -> tuple[bool, ...]:
        return self._all(name, _boolean)

    def enum(self, name: str, names: Mapping[str, int], default: str = "") -> str:
        """The name of an enum's value, which may be written as its number too."""
        return self._one(name, lambda field: _enum(field, names), default)

    def enums(self, name: str, names: Mapping[str, int]) -> tuple[str, ...]:
        return self._all(name, lambda field: _enum(field, names))

    def message(self, name: str) -> Message | None:
        return self._one(name, _message, None)

    def messages(self, name: str) -> tuple[Message, ...]:
        return self._all(name, _message)

    def entries(self, name: str) -> dict[str, Message]:
        """A map with strings for keys: by key the entry, whose `value` field the caller reads. The last one counts."""
        return {entry.string("key"): entry for entry in self.messages(name)}

    def _all(self, name: str, read: Callable[[Field], _Value]) -> tuple[_Value, ...]:
        return tuple(read(field) for field in self.fields if field.name == name)

    def _one(self, name: str, read: Callable[[Field], _Value], default: _Value) -> _Value:
        found = [field for field in self.fields if field.name == name]
        if len(found) > 1:
            raise TextProtoError(found[1].place, f"{name} stands twice, and it may stand once")
        return read(found[0]) if found else default


def parse(text: str) -> Message:
    """The message that the text is. Raises TextProtoError."""
    start = Place(1, 1)
    if len(text) > MAX_CHARACTERS:
        raise TextProtoError(start, f"the text has {len(text)} characters, the limit is {MAX_CHARACTERS}")
    return Message(tuple(_Reader(text.removeprefix("\ufeff")).read_fields("", 0)), start)


def _misfit(field: Field, wanted: str) -> TextProtoError:
    given = "a message" if isinstance(field.value, Message) else field.value.text
    return TextProtoError(field.value.place, f"{field.name} must be {wanted}, not {given}")


def _data(field: Field) -> bytes:
    if isinstance(field.value, Message) or field.value.kind is not Kind.STRING:
        raise _misfit(field, "a string")
    return field.value.data


def _string(field: Field) -> str:
    try:
        return _data(field).decode()
    except UnicodeDecodeError:
        raise TextProtoError(field.value.place, f"{field.name} is no UTF-8") from None


def _integer(field: Field, within: range) -> int:
    if isinstance(field.value, Message) or field.value.kind is not Kind.INTEGER:
        raise _misfit(field, "a whole number")
    value = _whole(field.value.text)
    if value not in within:
        raise _misfit(field, f"between {within.start} and {within.stop - 1}")
    return value


def _whole(text: str) -> int:
    digits = text.removeprefix("-")
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") else 10
    value = int(digits, base)
    return -value if text.startswith("-") else value


def _number(field: Field) -> float:
    value = field.value
    if isinstance(value, Message) or value.kind is Kind.STRING:
        raise _misfit(field, "a number")
    if value.kind is Kind.INTEGER:
        return float(_whole(value.text))
    if value.kind is Kind.FLOAT:
        return float(value.text.rstrip("fF"))
    unending = _UNENDING.get(value.text.removeprefix("-").lower())
    if unending is None:
        raise _misfit(field, "a number")
    return -unending if value.text.startswith("-") else unending


def _boolean(field: Field) -> bool:
    if isinstance(field.value, Message) or field.value.text not in _TRUE | _FALSE:
        raise _misfit(field, "true or false")
    return field.value.text in _TRUE


def _enum(field: Field, names: Mapping[str, int]) -> str:
    value = field.value
    if isinstance(value, Message) or value.kind not in (Kind.WORD, Kind.INTEGER):
        raise _misfit(field, "a name")
    if value.kind is Kind.INTEGER:
        number = _whole(value.text)
        name = next((name for name, known in names.items() if known == number), value.text)
    else:
        name = value.text
    if name not in names:
        raise _misfit(field, f"one of {', '.join(names)}")
    return name


def _message(field: Field) -> Message:
    if not isinstance(field.value, Message):
        raise _misfit(field, "a message in braces")
    return field.value


class _Reader:
    """Walks the tokens once."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._next = next(self._tokens)

    def read_fields(self, closing: str, depth: int) -> Iterator[Field]:
        """Every field up to the mark that closes the message, which is taken too; "" closes at the end."""
        while not self._closes(closing):
            name = self._take()
            if name.text == "[":
                raise TextProtoError(name.place, "extensions and Any are not read")
            if name.kind is not Kind.WORD:
                raise _unexpected(name, "a field's name")
            for value in self._read_field(name, depth):
                yield Field(name.text, value, name.place)
            if not self._is_past(","):
                self._is_past(";")

    def _closes(self, closing: str) -> bool:
        if not closing:
            return self._next.kind is Kind.END
        return self._is_past(closing)

    def _read_field(self, name: Token, depth: int) -> Iterator[Value]:
        has_colon = self._is_past(":")
        if not has_colon and not self._is_mark("{<["):
            raise _unexpected(self._next, f"a colon behind {name.text}")
        if not self._is_past("["):
            yield self._read_value(depth, message_only=not has_colon)
            return
        if self._is_past("]"):
            return
        yield self._read_value(depth, message_only=not has_colon)
        while not self._is_past("]"):
            if not self._is_past(","):
                raise _unexpected(self._next, "a comma or ]")
            yield self._read_value(depth, message_only=not has_colon)

    def _read_value(self, depth: int, *, message_only: bool) -> Value:
        if self._is_mark("{<"):
            opening = self._take()
            if depth == MAX_DEPTH:
                raise TextProtoError(opening.place, f"messages nest deeper than {MAX_DEPTH}")
            inside = tuple(self.read_fields(_CLOSING[opening.text], depth + 1))
            return Message(inside, opening.place)
        if message_only:
            raise _unexpected(self._next, "a message in braces")
        return self._read_scalar()

    def _read_scalar(self) -> Scalar:
        first = self._take()
        if first.kind is Kind.STRING:
            data = [first.data]
            while self._next.kind is Kind.STRING:
                data.append(self._take().data)
            return Scalar(Kind.STRING, first.text, first.place, b"".join(data))
        if first.text == "-" and first.kind is Kind.MARK:
            number = self._take()
            is_unending = number.kind is Kind.WORD and number.text.lower() in _UNENDING
            if number.kind not in (Kind.INTEGER, Kind.FLOAT) and not is_unending:
                raise _unexpected(number, "a number behind the minus")
            return Scalar(number.kind, f"-{number.text}", first.place)
        if first.kind in (Kind.MARK, Kind.END):
            raise _unexpected(first, "a value")
        return Scalar(first.kind, first.text, first.place)

    def _is_mark(self, marks: str) -> bool:
        return self._next.kind is Kind.MARK and self._next.text in marks

    def _is_past(self, mark: str) -> bool:
        """Step over `mark` when it comes next."""
        if not self._is_mark(mark):
            return False
        self._take()
        return True

    def _take(self) -> Token:
        """The next token; the end is never stepped over."""
        token = self._next
        if token.kind is not Kind.END:
            self._next = next(self._tokens)
        return token


def _unexpected(token: Token, wanted: str) -> TextProtoError:
    given = token.kind.value if token.kind is Kind.END else token.text
    return TextProtoError(token.place, f"expected {wanted}, found {given}")
