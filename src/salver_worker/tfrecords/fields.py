"""The fields of a protobuf message in memory, by number. Nothing is known of what they mean."""

from __future__ import annotations

import struct
from typing import Dict, List, Tuple, Union

Value = Union[int, bytes]
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}


class MessageError(ValueError):
    """These bytes are no message, or not the one they should be."""


def fields_of(data: bytes) -> Dict[int, List[Value]]:
    """Each field's values in their order: a number for a varint, bytes for everything else. Raises MessageError."""
    found: Dict[int, List[Value]] = {}
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        value: Value
        if kind == VARINT:
            value, position = _varint(data, position)
        elif kind in _FIXED or kind == LENGTH:
            size = _FIXED.get(kind, 0)
            if kind == LENGTH:
                size, position = _varint(data, position)
            if size > end - position:
                raise MessageError("a field goes on behind the end")
            value, position = data[position : position + size], position + size
        else:
            raise MessageError("there is no kind %d of fields" % kind)
        if number == 0:
            raise MessageError("a field has the number 0")
        found.setdefault(number, []).append(value)
    return found


def message(fields: Dict[int, List[Value]], number: int) -> bytes:
    """A message in a field; empty where there is none. Of several the parts are one message, as in protobuf."""
    return b"".join(messages(fields, number))


def messages(fields: Dict[int, List[Value]], number: int) -> List[bytes]:
    values = fields.get(number, [])
    if not all(isinstance(value, bytes) for value in values):
        raise MessageError("field %d is a number where a message is expected" % number)
    return [value for value in values if isinstance(value, bytes)]


def text(fields: Dict[int, List[Value]], number: int) -> str:
    found = messages(fields, number)
    try:
        return found[-1].decode() if found else ""
    except UnicodeDecodeError as error:
        raise MessageError("field %d is no text" % number) from error


def integer(fields: Dict[int, List[Value]], number: int) -> int:
    """The last value of a field, 0 where there is none, as a signed number of 64 bits."""
    values = fields.get(number, [0])
    value = values[-1]
    if not isinstance(value, int):
        raise MessageError("field %d is no number" % number)
    return signed(value)


def integers(fields: Dict[int, List[Value]], number: int) -> List[int]:
    """A repeated field of varints, packed or not, signed."""
    found: List[int] = []
    for value in fields.get(number, []):
        if isinstance(value, int):
            found.append(signed(value))
            continue
        position = 0
        while position < len(value):
            one, position = _varint(value, position)
            found.append(signed(one))
    return found


def numbers(fields: Dict[int, List[Value]], number: int, code: str) -> List[float]:
    """A repeated field of `float` (code f) or `double` (code d), packed or not."""
    size = struct.calcsize("<" + code)
    found: List[float] = []
    for value in fields.get(number, []):
        if isinstance(value, int) or len(value) % size:
            raise MessageError("field %d is no list of numbers" % number)
        found += struct.unpack("<%d%s" % (len(value) // size, code), value)
    return found


def signed(value: int) -> int:
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


def _varint(data: bytes, position: int) -> Tuple[int, int]:
    value = 0
    for index in range(10):
        if position + index >= len(data):
            raise MessageError("a number does not end")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise MessageError("a number is too long")
