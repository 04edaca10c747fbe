"""The records of a TFRecord file: each a length, its checksum, the bytes, and theirs (CRC-32C, masked)."""

from __future__ import annotations

import struct
from typing import BinaryIO, Iterator, Tuple

MAX_RECORD_BYTES = 64 * 1024 * 1024
_HEAD = struct.Struct("<QI")
_TAIL = struct.Struct("<I")
_POLYNOMIAL = 0x82F63B78
_MASK = 0xA282EAD8


class RecordError(ValueError):
    """The file is no TFRecord file, or was damaged."""


def _table() -> Tuple[int, ...]:
    rows = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        rows.append(value)
    return tuple(rows)


_TABLE = _table()


def masked_crc(data: bytes) -> int:
    """CRC-32C, turned by 15 bits and moved, as TFRecord keeps it."""
    crc = 0xFFFFFFFF
    table = _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def read_records(file: BinaryIO) -> Iterator[bytes]:
    """Each record, checked. Raises RecordError."""
    while True:
        head = file.read(_HEAD.size)
        if not head:
            return
        if len(head) < _HEAD.size:
            raise RecordError("it is cut short")
        length, checksum = _HEAD.unpack(head)
        if masked_crc(head[:8]) != checksum:
            raise RecordError("the checksum of its length is wrong")
        if length > MAX_RECORD_BYTES:
            raise RecordError("it has %d bytes, more than %d" % (length, MAX_RECORD_BYTES))
        data, tail = file.read(length), file.read(_TAIL.size)
        if len(data) < length or len(tail) < _TAIL.size:
            raise RecordError("it is cut short")
        if masked_crc(data) != _TAIL.unpack(tail)[0]:
            raise RecordError("its checksum is wrong")
        yield data
