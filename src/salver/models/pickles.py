"""Tells a pickle from its first bytes, compressed or not. Nothing here opens one: a pickle is a program."""

from __future__ import annotations

import bz2
import lzma
import zlib

HEAD_BYTES = 4096
BZ2_HEAD_BYTES = 1024 * 1024
"""bzip2 gives nothing before its first block, which may be 900 kB long, is complete."""

_START_BYTES = 512
_LZMA_MEMORY = 256 * 1024 * 1024
_LZ4_MAGIC = b"\x04\x22\x4d\x18"
_ZLIB_STARTS = tuple(bytes([0x78, level]) for level in (0x01, 0x5E, 0x9C, 0xDA))


def pickle_kind(head: bytes) -> str | None:
    """`pickle`, `gzip-compressed pickle` and so on, by the file's first bytes; None when it is none.

    What lz4 holds cannot be looked at with what Python brings along; joblib alone writes models that way.
    """
    if is_pickle(head):
        return f"pickle, protocol {head[1]}"
    if head.startswith(_LZ4_MAGIC):
        return "lz4-compressed pickle"
    method = compression(head)
    return f"{method}-compressed pickle" if method and is_pickle(decompressed_start(head)) else None


def is_pickle(start: bytes) -> bool:
    """Whether these bytes begin a pickle of protocol 2 or newer."""
    return len(start) > 2 and start[0] == 0x80 and 2 <= start[1] <= 5


def compression(head: bytes) -> str | None:
    """The name of the compression that the first bytes announce, of those that Python can undo by itself."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"BZh"):
        return "bzip2"
    if head.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if head.startswith(b"\x5d\x00\x00"):
        return "lzma"
    return "zlib" if head.startswith(_ZLIB_STARTS) else None


def decompressed_start(head: bytes) -> bytes:
    """The first bytes of what a compressed file holds, 512 at most; empty when they cannot be had."""
    try:
        match compression(head):
            case "gzip":
                return zlib.decompressobj(wbits=31).decompress(head, _START_BYTES)
            case "zlib":
                return zlib.decompressobj().decompress(head, _START_BYTES)
            case "bzip2":
                return bz2.BZ2Decompressor().decompress(head, _START_BYTES)
            case "xz" | "lzma":
                return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(head, _START_BYTES)
    except (zlib.error, lzma.LZMAError, OSError, ValueError):
        pass  # the first bytes promised more than the rest holds
    return b""
