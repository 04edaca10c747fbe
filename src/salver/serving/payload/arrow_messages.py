"""How much Arrow unfolds to, read from its own headers before any of it is unfolded.

A compressed buffer begins with the length that it claims to have unpacked; Arrow would allocate that at once. The
headers are FlatBuffers: a table's first word leads to its vtable, which has the place of each field. Format:
``format/Message.fbs`` of the Arrow specification. Each header has been verified by Arrow before it comes here.
"""

from __future__ import annotations

import struct
from struct import unpack_from
from typing import Any

DICTIONARY_BATCH = 2
RECORD_BATCH = 3
MAX_BUFFERS = 1_000_000
TRAILER_BYTES = 10
"""Behind the footer of a file: its length, and the word that the file begins with."""


def unfolded_bytes(header: Any, body: Any) -> tuple[int, int]:
    """Of one message: the bytes of its buffers once they are unpacked, and its rows. Raises ValueError."""
    try:
        message = _table(header, 0)
        kind = unpack_from("<B", header, _field(header, message, 1))[0] if _field(header, message, 1) else 0
        if kind not in (DICTIONARY_BATCH, RECORD_BATCH):
            return 0, 0
        batch = _table(header, _field(header, message, 2))
        if kind == DICTIONARY_BATCH:
            batch = _table(header, _field(header, batch, 1))
        rows = unpack_from("<q", header, _field(header, batch, 0))[0] if _field(header, batch, 0) else 0
        return _buffers(header, batch, body), rows
    except struct.error as error:
        raise ValueError("a header points outside of itself") from error


def file_blocks(file: Any) -> list[tuple[int, int]]:
    """Where the messages of a file begin and end, as its footer tells. Raises ValueError."""
    try:
        size = unpack_from("<i", file, len(file) - TRAILER_BYTES)[0]
        begin = len(file) - TRAILER_BYTES - size
        if size < 0 or begin < 0:
            raise ValueError("the footer lies outside of the file")
        footer = file[begin : begin + size]
        table = _table(footer, 0)
        return [*_blocks(footer, _field(footer, table, 2)), *_blocks(footer, _field(footer, table, 3))]
    except struct.error as error:
        raise ValueError("the footer points outside of itself") from error


def _blocks(footer: Any, at: int) -> list[tuple[int, int]]:
    if not at:
        return []
    begin = _table(footer, at)
    found = []
    for index in range(min(int(unpack_from("<I", footer, begin)[0]), len(footer))):
        offset, header, body = unpack_from("<qixxxxq", footer, begin + 4 + 24 * index)
        if min(offset, header, body) < 0:
            raise ValueError("a message lies outside of the file")
        found.append((offset, offset + header + body))
    return found


def _buffers(header: Any, batch: int, body: Any) -> int:
    is_packed = bool(_field(header, batch, 3))
    at = _field(header, batch, 2)
    if not at:
        return 0
    begin = at + int(unpack_from("<I", header, at)[0])
    count = int(unpack_from("<I", header, begin)[0])
    if count > MAX_BUFFERS:
        raise ValueError("a batch has too many buffers")
    total = 0
    for index in range(count):
        offset, length = unpack_from("<qq", header, begin + 4 + 16 * index)
        if offset < 0 or length < 0:
            raise ValueError("a buffer lies outside of its batch")
        claimed = unpack_from("<q", body, offset)[0] if is_packed and length else -1
        if claimed < -1:
            raise ValueError("a buffer claims an impossible length")
        total += length if claimed == -1 else claimed
    return total


def _table(data: Any, at: int) -> int:
    """Where the table lies that the offset at `at` leads to."""
    return at + int(unpack_from("<I", data, at)[0])


def _field(data: Any, table: int, number: int) -> int:
    """Where a field lies; 0 when the table has none."""
    vtable = table - int(unpack_from("<i", data, table)[0])
    if vtable < 0:
        raise ValueError("a header points outside of itself")
    size = unpack_from("<H", data, vtable)[0]
    place = 4 + 2 * number
    offset = unpack_from("<H", data, vtable + place)[0] if place + 2 <= size else 0
    return table + int(offset) if offset else 0
