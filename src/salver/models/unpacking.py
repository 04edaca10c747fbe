"""A compressed file's content in pieces, of which there are only so many."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from typing import BinaryIO

MAX_BYTES = 64 * 1024 * 1024
"""How much is looked through, unpacked."""
CHUNK = 1024 * 1024


def unpacked(file: BinaryIO, kind: str | None) -> Iterator[bytes]:
    """`kind` as `pickles.compression` calls it; None for what is not compressed."""
    if kind == "zlib":
        yield zlib.decompressobj().decompress(file.read(MAX_BYTES), MAX_BYTES)
        return
    source: BinaryIO = file
    if kind == "gzip":
        source = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
    elif kind == "bzip2":
        source = bz2.BZ2File(file)  # type: ignore[assignment]
    elif kind in ("xz", "lzma"):
        source = lzma.LZMAFile(file)  # type: ignore[assignment]  # noqa: SIM115  it closes with `file`
    for _ in range(MAX_BYTES // CHUNK):
        chunk = source.read(CHUNK)
        if not chunk:
            return
        yield chunk
