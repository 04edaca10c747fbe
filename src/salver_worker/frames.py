"""The frame protocol between the server and a worker: the one definition, for both sides.

A frame is a fixed prefix of 32 bytes, a JSON header and a body of raw bytes; integers are little-endian::

    offset  size  field
         0     4  magic "SLV1"
         4     1  verb
         5     1  flags (0)
         6     2  reserved (0)
         8     8  id             the sender's number of the call; the answer repeats it
        16     4  deadline_ms    time left when the frame was sent; 0: no deadline
        20     4  header_length  bytes of JSON that follow the prefix; 0: no header
        24     8  body_length    bytes that follow the header

The prefix carries what changes with every call; the header carries what repeats (names, datatypes, shapes), so that
both sides may keep the parsed form of a header they have seen before. ``docs/frame-protocol.md`` tells the same story
for other languages, with every header's keys.
"""

import json
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

MAGIC = b"SLV1"
PROTOCOL_VERSION = 1
PREFIX = struct.Struct("<4sBBHQIIQ")
PREFIX_SIZE = PREFIX.size
MAX_HEADER_BYTES = 16 * 1024 * 1024
ALIGNMENT = 64
"""Each tensor starts at a multiple of this many bytes in the body (zeros between), so that no reader needs a copy."""

# Control link, server to worker.
LOAD = 1
PING = 2
ATTACH = 3
CANCEL = 4
STOP = 5
# Control link, worker to server.
READY = 16
FAILED = 17
PONG = 18
# Data link, server to worker and back.
PREDICT = 32
RESULT = 33
ERROR = 34
PART = 35

VERB_NAMES = {
    LOAD: "LOAD",
    PING: "PING",
    ATTACH: "ATTACH",
    CANCEL: "CANCEL",
    STOP: "STOP",
    READY: "READY",
    FAILED: "FAILED",
    PONG: "PONG",
    PREDICT: "PREDICT",
    RESULT: "RESULT",
    ERROR: "ERROR",
    PART: "PART",
}

DATATYPE_SIZES = {
    "BOOL": 1,
    "UINT8": 1,
    "UINT16": 2,
    "UINT32": 4,
    "UINT64": 8,
    "INT8": 1,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "FP16": 2,
    "BF16": 2,
    "FP32": 4,
    "FP64": 8,
}
"""Bytes of one element. ``BYTES`` is not here: its elements are a little-endian u32 length, then that many bytes."""

NUMPY_NAMES = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""NumPy's name of each datatype. BF16 has none: it travels as raw bytes and is widened by who needs its values."""

LENGTH = struct.Struct("<I")


class FrameError(Exception):
    """The bytes on a link are not this protocol; the link cannot be used any further."""


class Prefix(NamedTuple):
    verb: int
    id: int
    deadline_ms: int
    header_length: int
    body_length: int


def pack_prefix(verb: int, id: int, deadline_ms: int, header_length: int, body_length: int) -> bytes:
    return PREFIX.pack(MAGIC, verb, 0, 0, id, deadline_ms, header_length, body_length)


def unpack_prefix(buffer: Any, offset: int = 0) -> Prefix:
    """Read the prefix at `offset`. Raises FrameError when it is not one, or announces a header above the limit."""
    magic, verb, _flags, _reserved, id, deadline_ms, header_length, body_length = PREFIX.unpack_from(buffer, offset)
    if magic != MAGIC:
        raise FrameError("the frame does not begin with %r but with %r" % (MAGIC, bytes(magic)))
    if header_length > MAX_HEADER_BYTES:
        raise FrameError("a header of %d bytes is above the limit of %d" % (header_length, MAX_HEADER_BYTES))
    return Prefix(verb, id, deadline_ms, header_length, body_length)


def encode_header(header: Optional[Dict[str, Any]]) -> bytes:
    return b"" if header is None else json.dumps(header, separators=(",", ":")).encode()


def decode_header(raw: Any) -> Dict[str, Any]:
    if not raw:
        return {}
    try:
        header = json.loads(bytes(raw))
    except ValueError as error:
        raise FrameError("a header is not JSON: %s" % error) from error
    if not isinstance(header, dict):
        raise FrameError("a header must be a JSON object, not %s" % type(header).__name__)
    return header


def encode_frame(
    verb: int, id: int = 0, header: Optional[Dict[str, Any]] = None, body: bytes = b"", deadline_ms: int = 0
) -> bytes:
    """One whole frame in one piece: for small frames; big bodies are sent as separate buffers."""
    raw = encode_header(header)
    return pack_prefix(verb, id, deadline_ms, len(raw), len(body)) + raw + body


def encode_bytes_elements(elements: Sequence[bytes]) -> bytes:
    """The raw form of a BYTES tensor: each element behind its length."""
    pieces: List[bytes] = []
    for element in elements:
        pieces.append(LENGTH.pack(len(element)))
        pieces.append(element)
    return b"".join(pieces)


def decode_bytes_elements(raw: Any, count: int) -> List[bytes]:
    """The `count` elements of a BYTES tensor. Raises FrameError when lengths and size disagree."""
    view = memoryview(raw)
    elements: List[bytes] = []
    offset, end = 0, len(view)
    for _ in range(count):
        if offset + 4 > end:
            raise FrameError("a BYTES tensor ends before its %d elements" % count)
        (length,) = LENGTH.unpack_from(view, offset)
        offset += 4
        if offset + length > end:
            raise FrameError("an element of a BYTES tensor is longer than the tensor")
        elements.append(bytes(view[offset : offset + length]))
        offset += length
    if offset != end:
        raise FrameError("a BYTES tensor has %d bytes after its last element" % (end - offset))
    return elements


def padding(size: int) -> int:
    """Zero bytes to add behind `size` bytes so that the next tensor is aligned."""
    return -size % ALIGNMENT


def element_count(shape: Sequence[int]) -> int:
    count = 1
    for dim in shape:
        count *= dim
    return count


def tensor_entry(name: str, datatype: str, shape: Sequence[int], size: int) -> Tuple[Any, ...]:
    """A row of the ``tensors`` list in PREDICT and RESULT headers: name, datatype, shape, bytes in the body."""
    return (name, datatype, list(shape), size)
