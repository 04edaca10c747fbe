"""Cuts text in protobuf's text format into tokens, each with the place where it stands.

The rules are those of the text format's specification: white space and `#` comments separate, strings take either quote
and hold escapes, a number may have a sign, and no token is longer than a limit.
"""

from __future__ import annotations

import enum
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

LONGEST_NUMBER = 400
"""Characters of one number: the longest double written without an exponent has fewer."""


class Place(NamedTuple):
    """Where something stands: line and column, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class TextProtoError(ValueError):
    """The text is no message, or a value is none of its field; `place` says where and `reason` why."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class Kind(enum.Enum):
    """What a token is. The value is how a message calls it."""

    WORD = "a name"
    STRING = "a string"
    INTEGER = "a whole number"
    FLOAT = "a number"
    MARK = "a mark"
    END = "the end of the text"


class Token(NamedTuple):
    """One token: its kind, the text as written, where it stands, and a string's bytes."""

    kind: Kind
    text: str
    place: Place
    data: bytes = b""


_BLANK = re.compile(r"(?:\s+|#[^\n]*)*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FLOAT = re.compile(r"(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?|[0-9]+[eE][+-]?[0-9]+[fF]?|[0-9]+[fF]")
_INTEGER = re.compile(r"0[xX][0-9A-Fa-f]+|[0-9]+")
_STRING = re.compile(r'"((?:\\.|[^"\\\n])*)"|\'((?:\\.|[^\'\\\n])*)\'')
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.?))", re.DOTALL)
_SIMPLE_ESCAPES = {
    "a": b"\a", "b": b"\b", "f": b"\f", "n": b"\n", "r": b"\r", "t": b"\t", "v": b"\v",
    "?": b"?", "\\": b"\\", "'": b"'", '"': b'"',
}  # fmt: skip
_MARKS = "{}<>[]:,;-/."
_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def tokens(text: str) -> Iterator[Token]:
    """The tokens from first to last; the last is always END. Raises TextProtoError at what is no token."""
    line_starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(offset: int) -> Place:
        line = bisect_right(line_starts, offset)
        return Place(line, offset - line_starts[line - 1] + 1)

    position = _behind_blanks(text, 0)
    while position < len(text):
        token = _token(text, position, place(position))
        yield token
        position += len(token.text)
        if token.kind in (Kind.INTEGER, Kind.FLOAT) and (_WORD.match(text, position) or text.startswith(".", position)):
            raise TextProtoError(place(position), f"{token.text} runs into what follows it")
        position = _behind_blanks(text, position)
    yield Token(Kind.END, "", place(position))


def _behind_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    assert match is not None
    return match.end()


def _token(text: str, position: int, place: Place) -> Token:
    if match := _WORD.match(text, position):
        return Token(Kind.WORD, match.group(), place)
    for kind, pattern in ((Kind.FLOAT, _FLOAT), (Kind.INTEGER, _INTEGER)):
        if match := pattern.match(text, position):
            return _number(kind, match.group(), place)
    character = text[position]
    if character in "\"'":
        match = _STRING.match(text, position)
        if match is None:
            raise TextProtoError(place, "a string does not end on its line")
        return Token(Kind.STRING, match.group(), place, _unescape(match.group()[1:-1], place))
    if character in _MARKS:
        return Token(Kind.MARK, character, place)
    raise TextProtoError(place, f"{character!r} has no meaning here")


def _number(kind: Kind, text: str, place: Place) -> Token:
    if len(text) > LONGEST_NUMBER:
        raise TextProtoError(place, f"a number has {len(text)} characters, the limit is {LONGEST_NUMBER}")
    is_octal = kind is Kind.INTEGER and text[0] == "0" and text[1:].isdecimal()
    if is_octal and not set(text) <= set("01234567"):
        raise TextProtoError(place, f"{text} begins with 0, so it is octal, and has a digit above 7")
    return Token(kind, text, place)


def _unescape(inside: str, place: Place) -> bytes:
    parts = []
    position = 0
    for match in _ESCAPE.finditer(inside):
        parts.append(_utf8(inside[position : match.start()], place))
        parts.append(_escaped(match, place))
        position = match.end()
    parts.append(_utf8(inside[position:], place))
    return b"".join(parts)


def _utf8(text: str, place: Place) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise TextProtoError(place, "a string holds half of a surrogate pair") from None


def _escaped(match: re.Match[str], place: Place) -> bytes:
    octal, hexadecimal, short, long, simple = match.groups()
    if octal is not None or hexadecimal is not None:
        value = int(octal, 8) if octal is not None else int(hexadecimal, 16)
        if value > 0xFF:
            raise TextProtoError(place, f"the escape \\{octal} is more than one byte")
        return bytes([value])
    if short is not None or long is not None:
        value = int(short or long, 16)
        if value > _LAST_CHARACTER or value in _SURROGATES:
            raise TextProtoError(place, f"the escape {match.group()} is no character")
        return chr(value).encode()
    if simple not in _SIMPLE_ESCAPES:
        raise TextProtoError(place, f"there is no escape \\{simple}")
    return _SIMPLE_ESCAPES[simple]
