"""A JSON request body: unpacked, parsed and held to the limits, for every wire that speaks JSON."""

from __future__ import annotations

import enum
import re
import zlib
from typing import Any, TypeAlias

import numpy as np
import orjson

from salver.errors import Code, RequestError

Buffer: TypeAlias = bytes | bytearray | memoryview

MAX_DEPTH = 64
"""Deepest nesting of lists and objects that is read."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_OPENS = np.array([1 if byte in b"[{" else -1 for byte in range(256)], dtype=np.int16)
_WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""zlib's numbers for "the largest window, with the header and trailer of gzip" and "with those of zlib"."""


class JsonFault(enum.Enum):
    """Why a body is not JSON that this server reads."""

    EMPTY = "the document is empty"
    INVALID = "the document is not valid JSON"
    NOT_FINITE = "NaN and Infinity are not JSON"
    TOO_LARGE = "a number is too large for a double"
    TRAILING = "something follows the document"
    ENCODING = "the document is not UTF-8"
    TOO_DEEP = f"the document is nested deeper than {MAX_DEPTH} levels"


class JsonError(Exception):
    """A body is not JSON. `offset` counts bytes from its beginning; None where no place can be named."""

    def __init__(self, fault: JsonFault, offset: int | None = None) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.offset = offset


def parse_json(raw: bytes) -> Any:
    """The document's value. Raises JsonError; of a key that is there twice, the last one counts."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _json_error(error, raw) from error
    if is_deeper(raw, MAX_DEPTH):
        raise JsonError(JsonFault.TOO_DEEP)
    return document


def is_deeper(raw: bytes, levels: int) -> bool:
    """Whether a valid document is nested deeper than `levels`. Few brackets, or few bytes, settle it at once."""
    if len(raw) < 2 * levels or not (_has_more(raw, b"[", levels // 2) or _has_more(raw, b"{", levels // 2)):
        return False
    brackets = _STRING.sub(b"", raw).translate(None, _ALL_BUT_BRACKETS)
    depths = _OPENS[np.frombuffer(brackets, np.uint8)].cumsum(dtype=np.int16)  # orjson stops at 1024 levels
    return bool(depths.size) and int(depths.max()) > levels


def _has_more(raw: bytes, character: bytes, limit: int) -> bool:
    """Whether a character is there more than `limit` times; where it is rare, `find` is far quicker than `count`."""
    position = -1
    for _ in range(limit + 1):
        position = raw.find(character, position + 1)
        if position < 0:
            return False
    return True


def _json_error(error: orjson.JSONDecodeError, raw: bytes) -> JsonError:
    if not raw.strip():
        return JsonError(JsonFault.EMPTY, 0)
    if not error.doc:
        return JsonError(JsonFault.ENCODING)
    return JsonError(_fault(error), len(error.doc[: error.pos].encode()))


def _fault(error: orjson.JSONDecodeError) -> JsonFault:
    if error.doc.startswith(("NaN", "Inf"), error.pos):
        return JsonFault.NOT_FINITE
    reason = error.msg
    if reason.startswith("unexpected content"):
        return JsonFault.TRAILING
    if reason.startswith("depth limit"):
        return JsonFault.TOO_DEEP
    return JsonFault.TOO_LARGE if "infinity" in reason else JsonFault.INVALID


def unpacked(raw: Buffer, encoding: bytes | None, limit_bytes: int, *, takes_deflate: bool = False) -> Buffer:
    """The body without its content encoding: none, or one layer of gzip, or of deflate where it is taken.

    Raises RequestError: UNSUPPORTED_MEDIA_TYPE for another encoding, PAYLOAD_TOO_LARGE when more than `limit_bytes`
    come out, INVALID_INPUT when the stream is damaged.
    """
    name = b"" if encoding is None else encoding.strip().lower()
    if name in (b"", b"identity"):
        return raw
    window = _WINDOWS.get(name)
    if window is None or (name == b"deflate" and not takes_deflate):
        taken = "gzip, deflate or none" if takes_deflate else "gzip or none"
        raise RequestError(
            Code.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Encoding {name[:64].decode('latin-1')!r} is not supported; this server takes {taken}.",
        )
    form = name.decode().removeprefix("x-")
    stream = zlib.decompressobj(window)
    try:
        document = stream.decompress(raw, limit_bytes + 1)
    except zlib.error as error:
        raise RequestError(Code.INVALID_INPUT, f"The body is not a {form} stream.", fix="") from error
    if len(document) > limit_bytes:
        raise RequestError(
            Code.PAYLOAD_TOO_LARGE, f"The body is above the limit of {limit_bytes} bytes (--max-body-mb) once inflated."
        )
    if not stream.eof or stream.unused_data:
        raise RequestError(Code.INVALID_INPUT, f"The body is not one whole {form} stream.", fix="")
    return document
