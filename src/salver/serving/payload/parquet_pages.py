"""How much a chunk of a Parquet file unfolds to, read from the headers of its pages before any of it is unfolded.

A page says how many bytes and how many values come out of it; a few bytes may stand for millions of values. Headers are
structs of Thrift's compact protocol. Format: ``parquet.thrift``, PageHeader.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

Struct: TypeAlias = dict[int, Any]

UNPACKED_SIZE, PACKED_SIZE = 2, 3
DICTIONARY_PAGE = 7
KINDS = (5, DICTIONARY_PAGE, 8)
"""The fields that tell of a data page, a dictionary, and a data page of the second version."""
NUM_VALUES = 1
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12
MAX_DEPTH = 16
MAX_ITEMS = 100_000


class Page(NamedTuple):
    """What comes out of a page: bytes, and values. Those of a dictionary are words that data pages repeat."""

    size: int
    values: int
    is_dictionary: bool


class Reader:
    """Reads one struct after another. Raises ValueError where the bytes are none."""

    def __init__(self, data: Any, at: int = 0) -> None:
        self._data = data
        self.at = at

    def struct(self, depth: int = 0) -> Struct:
        if depth > MAX_DEPTH:
            raise ValueError("a page header is nested too deep")
        fields: Struct = {}
        number = 0
        while head := self._byte():
            delta = head >> 4
            number = number + delta if delta else _signed(self.varint())
            fields[number] = self._value(head & 15, depth)
        return fields

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number in a page header does not end")

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind == BYTE:
            return self._byte()
        if kind in (I16, I32, I64):
            return _signed(self.varint())
        if kind in (DOUBLE, BINARY):
            return self._skip(8 if kind == DOUBLE else self.varint())
        if kind in (LIST, SET):
            return self._list(depth)
        if kind == STRUCT:
            return self.struct(depth + 1)
        raise ValueError("a page header has a field of no known kind")

    def _list(self, depth: int) -> None:
        head = self._byte()
        size = head >> 4 if head >> 4 != 15 else self.varint()
        if size > MAX_ITEMS:
            raise ValueError("a list in a page header is too long")
        for _ in range(size):
            kind = head & 15
            if kind in (TRUE, FALSE):
                self._byte()
            else:
                self._value(kind, depth + 1)

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise ValueError("a page header does not end")
        self.at += 1
        return int(self._data[self.at - 1])

    def _skip(self, size: int) -> None:
        self.at += size


def _signed(value: int) -> int:
    """Thrift's zigzag."""
    return (value >> 1) ^ -(value & 1)


def pages(chunk: Any) -> Iterator[Page]:
    """The pages of a column's chunk, in order. Raises ValueError."""
    at = 0
    while at < len(chunk):
        reader = Reader(chunk, at)
        header = reader.struct()
        size, packed = _size(header.get(UNPACKED_SIZE)), _size(header.get(PACKED_SIZE))
        counts = [header[kind].get(NUM_VALUES) for kind in KINDS if type(header.get(kind)) is dict]
        yield Page(size, max(map(_size, counts), default=0), DICTIONARY_PAGE in header)
        at = reader.at + packed


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a page header has an impossible size")
    return value
