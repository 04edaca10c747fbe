"""PredictionLogs as TensorFlow Serving's tools write them, put together from the published numbers of their fields."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

CRC_TABLE: list[int] = []
for byte in range(256):
    value = byte
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    CRC_TABLE.append(value)


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for each in data:
        crc = CRC_TABLE[(crc ^ each) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """One record of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(number: int, value: Any) -> bytes:
    """A varint, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else bytes(value)
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def tensor(dtype: int, shape: Sequence[int], *values: bytes) -> bytes:
    dims = b"".join(field(2, field(1, size)) for size in shape)
    return field(1, dtype) + field(2, dims) + b"".join(values)


def predict_log(name: str, content: bytes, dtype: int = 2, shape: Sequence[int] = (1,), signature: str = "") -> bytes:
    spec = field(1, "m") + (field(3, signature) if signature else b"")
    entry = field(1, name) + field(2, tensor(dtype, shape, field(4, content)))
    return field(6, field(1, field(1, spec) + field(2, entry)))


def feature(value: Any) -> bytes:
    values = value if isinstance(value, list) else [value]
    if isinstance(values[0], (bytes, str)):
        return field(1, b"".join(field(1, each) for each in values))
    if isinstance(values[0], float):
        return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))
    return field(3, field(1, b"".join(varint(each) for each in values)))


def example(features: Mapping[str, Any]) -> bytes:
    entries = (field(1, field(1, name) + field(2, feature(value))) for name, value in features.items())
    return field(1, b"".join(entries))


def examples_log(kind: int, *examples: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> bytes:
    """A classify (2) or regress (3) log."""
    listed = b"".join(field(1, example(each)) for each in examples)
    given = field(1, listed) if context is None else field(2, listed + field(2, example(context)))
    return field(kind, field(1, field(1, field(1, "m")) + field(2, given)))
