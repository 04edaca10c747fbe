"""The binary tensor data extension: tensors behind the JSON, as they lie in memory. Pure."""

from __future__ import annotations

import math
import re
from typing import Any, Protocol

from salver.types import SlabSlice, Tensor
from salver.wire.jsonbody import Buffer
from salver.wire.openinference.document import InputDocument
from salver.wire.openinference.errors import invalid, refused, shown
from salver_worker.frames import DATATYPE_SIZES, FrameError, decode_bytes_elements

LENGTH_HEADER = "Inference-Header-Content-Length"
SIZE = "binary_data_size"
NEEDS_BOTH = (
    "must specify valid 'Infer-Header-Content-Length' in request header and 'binary_data_size' when passing inputs in "
    "binary data format"
)
_LENGTH = re.compile(rb"\s*([0-9]{1,15})\s*")


def json_length(header: bytes) -> int:
    """The bytes of JSON that the header announces. Raises RequestError(INVALID_INPUT)."""
    match = _LENGTH.fullmatch(header)
    if match is None:
        raise invalid(f"Unable to parse {LENGTH_HEADER}, got: {shown(header.decode('latin-1'))}")
    return int(match[1])


class Pieces(Protocol):
    """The raw tensors of a request, in the order of its inputs."""

    @property
    def left(self) -> int:
        """The bytes that nobody has taken yet."""

    def take(self, size: int, alignment: int) -> Any:
        """The next bytes, for elements of a size."""


class RawTensors:
    """The bytes behind the JSON, taken in the order of the inputs. Numbers are passed on where they lie."""

    def __init__(self, body: Buffer | SlabSlice, begin: int) -> None:
        self._slab = body if isinstance(body, SlabSlice) else None
        self._view = body.view if isinstance(body, SlabSlice) else memoryview(body)
        self._at = begin

    @property
    def left(self) -> int:
        return len(self._view) - self._at

    def take(self, size: int, alignment: int) -> Any:
        """The next bytes. A worker reads them in the slab when they begin there where their elements may."""
        begin, end = self._at, self._at + size
        self._at = end
        if self._slab is not None and (self._slab.offset + begin) % alignment == 0:
            return self._slab.part(begin, end)
        return self._view[begin:end]


def split(body: Buffer | SlabSlice, header: bytes | None) -> tuple[bytes, RawTensors | None]:
    """The JSON, and what is behind it; None when the request says nothing of that. Raises RequestError."""
    view = body.view if isinstance(body, SlabSlice) else body
    if header is None:
        return bytes(view), None
    length = json_length(header)
    if length > len(view):
        raise invalid(f"unexpected size for request JSON, expecting {length - len(view)} more bytes")
    return bytes(view[:length]), RawTensors(body, length)


def announced_size(given: InputDocument) -> int | None:
    """What an input says it has behind the JSON; None when its values are in the JSON. Raises RequestError."""
    size = given.parameter(SIZE)
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise invalid(f"Unable to parse '{SIZE}': a whole number of bytes is needed")
    return size


def raw_tensor(given: InputDocument, size: int, raw: Pieces, model: str, request_id: str) -> Tensor:
    """The input whose `size` bytes come next. Its datatype is known. Raises RequestError(INVALID_INPUT)."""
    name = shown(given.name)
    if size > raw.left:
        raise invalid(
            f"unexpected size for input '{name}', expecting {size - raw.left} additional bytes for model '{model}'"
        )
    shape = tuple(given.shape)
    count = math.prod(shape)
    if given.datatype == "BYTES":
        try:
            return Tensor("BYTES", shape, decode_bytes_elements(_view(raw.take(size, 1)), count))
        except FrameError as error:
            text = f"unexpected bytes for input '{name}' for model '{model}': {error}"
            raise refused(request_id, text) from error
    itemsize = DATATYPE_SIZES[given.datatype]
    if size != count * itemsize:
        raise refused(
            request_id,
            f"input byte size mismatch for input '{name}' for model '{model}'. Expected {count * itemsize}, got {size}",
        )
    return Tensor(given.datatype, shape, raw.take(size, itemsize))


def check_all_taken(raw: Pieces | None, model: str) -> None:
    """Raises RequestError(INVALID_INPUT) when bytes are left that belong to no input."""
    if raw is not None and raw.left:
        raise invalid(f"unexpected additional input data for model '{model}'")


def _view(data: Any) -> Any:
    return data.view if type(data) is SlabSlice else data
