"""Walks the fields of a protobuf message in a seekable file without reading what they hold.

The wire format is that of the protobuf encoding guide: a tag (number and wire type) as a varint, then a varint, four or
eight bytes, or a length and as many bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

VARINT = 0
FIXED64 = 1
LENGTH = 2
FIXED32 = 5

_LONGEST_VARINT = 10
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}


class NotProtobuf(Exception):
    """These bytes are no message."""


class CutShort(NotProtobuf):
    """A field says that it goes on behind the end of the bytes."""


class Field(NamedTuple):
    """One field: its number and kind; a varint's value, or where the bytes of any other kind begin and end."""

    number: int
    kind: int
    value: int
    start: int
    end: int


def fields(file: BinaryIO, start: int, end: int) -> Iterator[Field]:
    """The fields of the message that lies between two offsets. Raises NotProtobuf where the bytes stop being one."""
    position = start
    while position < end:
        file.seek(position)
        field = _read_field(file.read(min(2 * _LONGEST_VARINT, end - position)), position, end)
        yield field
        position = field.end


def text(file: BinaryIO, field: Field, limit: int = 256) -> str:
    """A string field's value, as far as `limit` bytes."""
    file.seek(field.start)
    return file.read(min(limit, field.end - field.start)).decode(errors="replace")


def _read_field(head: bytes, position: int, end: int) -> Field:
    tag, used = _varint(head, 0)
    number, kind = tag >> 3, tag & 7
    if number == 0:
        raise NotProtobuf("a field has the number 0")
    value = 0
    if kind in _FIXED_SIZES:
        size = _FIXED_SIZES[kind]
    elif kind in (VARINT, LENGTH):
        value, used = _varint(head, used)
        size = value if kind == LENGTH else 0
    else:
        raise NotProtobuf(f"there is no kind {kind} of fields")
    begin = position + used
    if begin + size > end:
        raise CutShort(f"field {number} goes on behind the end")
    return Field(number, kind, value, begin, begin + size)


def _varint(head: bytes, start: int) -> tuple[int, int]:
    """The number that begins at `start`, and the offset behind it."""
    value = 0
    for index, byte in enumerate(head[start : start + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, start + index + 1
    raise (
        CutShort("a number does not end")
        if len(head) < start + _LONGEST_VARINT
        else NotProtobuf("a number is too long")
    )
