"""Tells what R saved from its first bytes. Nothing here opens it: a saved object may hold code."""

from __future__ import annotations

import struct

from salver.models.pickles import decompressed_start

_ONE = {b"X\n": "binary", b"A\n": "text"}
_SEVERAL = (b"RDX2\n", b"RDX3\n", b"RDA2\n", b"RDA3\n")
_FORMATS = (2, 3)


def r_kind(head: bytes) -> str | None:
    """`R object, saved by R 4.2.2`, or `R objects`, by the first bytes, compressed or not; None when it is none."""
    for start in (head, decompressed_start(head)):
        if start.startswith(_SEVERAL):
            return _label("R objects", start[5:])
        if start[:2] in _ONE and _writer(start) is not None:
            return _label("R object", start)
    return None


def _label(noun: str, stream: bytes) -> str:
    writer = _writer(stream)
    return noun if writer is None else f"{noun}, saved by R {writer}"


def _writer(stream: bytes) -> str | None:
    """The version of R that wrote a stream; None when these bytes begin none."""
    try:
        if stream[:2] == b"X\n":
            form, packed = struct.unpack(">2i", stream[2:10])
        else:
            form, packed = (int(word) for word in stream.split(b"\n")[1:3])
    except (struct.error, ValueError):
        return None
    return f"{packed >> 16}.{packed >> 8 & 255}.{packed & 255}" if form in _FORMATS and packed > 0 else None
