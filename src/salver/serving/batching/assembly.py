"""Many requests become one batch and one result many answers: pure, on bytes and arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from salver.errors import Code, RequestError
from salver.serving.batching.results import BodyPart, BodyResults, OneBody, TensorResults, read_header
from salver.types import Array, BodyResult, InferRequest, InferResponse, SlabSlice, Tensor, VersionInfo
from salver_worker import frames

Buffer = bytes | bytearray | memoryview
CACHE_LIMIT = 512
ALIGNMENT: Final = 64
PADDING = b"\0" * ALIGNMENT
DTYPES: dict[str, np.dtype[Any]] = {datatype: np.dtype(name) for datatype, name in frames.NUMPY_NAMES.items()}
"""NumPy takes one of these quicker than its name."""
BF16_BITS: np.dtype[Any] = np.dtype("<u2", metadata={"datatype": "BF16"})
"""Told from UINT16 by identity."""


Described = tuple[str, np.dtype[Any] | None, tuple[int, ...], int]
"""An output of a RESULT header: name, type (None for BYTES), shape, bytes in the body."""


class Assembled:
    """One batch ready to send: the header, the pieces of the body in order, and their size together."""

    __slots__ = ("header", "pieces", "size")

    def __init__(self, header: bytes, pieces: list[Buffer], size: int) -> None:
        self.header = header
        self.pieces = pieces
        self.size = size


class Assembler:
    """Builds batches for one version. Headers repeat, so they are kept by what they say."""

    def __init__(self, version: VersionInfo) -> None:
        self._version = version
        self._has_batch_dimension = version.has_batch_dimension
        self._unbatched = version.unbatched
        self._headers: dict[Any, bytes] = {}
        self._results: dict[bytes, list[Described]] = {}

    def assemble(self, requests: list[InferRequest]) -> Assembled:
        """Requests of one group as one batch. Raises RequestError(INVALID_INPUT) for values that do not fit."""
        first = requests[0]
        is_lone = len(requests) == 1
        pieces: list[Buffer] = []
        rows: list[tuple[Any, ...]] = []
        size = 0
        for name, tensor in (first.inputs or {}).items():
            datatype: str = tensor.datatype
            data: Any = tensor.data
            shape: tuple[int, ...] = tensor.shape
            if is_lone and type(data) is list and datatype != "BYTES":
                raw = _raw(data, datatype, shape)
                tensor_size = len(raw)
                pieces.append(raw)
            else:
                parts = [tensor] if is_lone else [request.inputs[name] for request in requests if request.inputs]
                if not is_lone:
                    shape = (sum([part.shape[0] for part in parts]), *shape[1:])
                if type(data) is SlabSlice and (places := _places(parts)):
                    place = places[0][0] if len(places) == 1 else places
                    rows.append((name, datatype, shape, sum([length for _, length in places]), place))
                    continue
                before = len(pieces)
                _join(parts, shape, pieces)
                tensor_size = 0
                for piece in pieces[before:]:
                    tensor_size += len(piece)
            rows.append((name, datatype, shape, tensor_size))
            size += tensor_size
            if gap := -size % ALIGNMENT:
                pieces.append(PADDING[:gap])
                size += gap
        return Assembled(self._header(first, tuple(rows)), pieces, size)

    def _header(self, first: InferRequest, rows: tuple[tuple[Any, ...], ...]) -> bytes:
        if first.parameters or first.wants_parts or (rows and type(rows[0][-1]) is tuple):
            # Several places: hardly ever the same again.
            return _tensor_header(first, rows)
        key = (first.signature_name, rows)
        header = self._headers.get(key)
        if header is None:
            header = _tensor_header(first, rows)
            if len(self._headers) >= CACHE_LIMIT:
                self._headers.clear()
            self._headers[key] = header
        return header

    def arrays(self, header: bytes, body: memoryview) -> dict[str, Array]:
        """The outputs of a RESULT frame as views of `body`. Raises FrameError when they do not fit it."""
        described = self._results.get(header)
        if described is None:
            described = _describe(header)
            if len(self._results) >= CACHE_LIMIT:
                self._results.clear()
            self._results[header] = described
        outputs: dict[str, Array] = {}
        offset = 0
        for name, dtype, shape, size in described:
            piece = body[offset : offset + size]
            if len(piece) < size:
                raise frames.FrameError("an output is shorter than its header says")
            outputs[name] = _array(piece, dtype, shape)
            offset += size + (-size % ALIGNMENT)
        return outputs

    def split(self, outputs: dict[str, Array], requests: list[InferRequest]) -> list[InferResponse]:
        """One answer per request, in order. Raises RequestError(OUTPUT_INVALID) when rows out differ from rows in."""
        version = self._version
        if not self._has_batch_dimension or (self._unbatched and requests[0].signature_name in self._unbatched):
            return [InferResponse(version, outputs)]
        expected = 0
        for request in requests:
            expected += request.rows
        for name, array in outputs.items():
            shape: tuple[int, ...] = array.shape
            if not shape or shape[0] != expected:
                raise RequestError(
                    Code.OUTPUT_INVALID,
                    f"The model answered {shape[0] if shape else 'no'} rows in {name!r} to {expected} rows.",
                )
        if len(requests) == 1:
            return [InferResponse(version, outputs)]
        responses: list[InferResponse] = []
        start = 0
        items = list(outputs.items())
        for request in requests:
            end = start + request.rows
            responses.append(InferResponse(version, {name: array[start:end] for name, array in items}))
            start = end
        return responses


def assemble_bodies(requests: Sequence[InferRequest], ids: Sequence[str]) -> Assembled:
    """Requests to a body runtime as one batch; the ids reach the handler."""
    rows: list[dict[str, Any]] = []
    pieces: list[Buffer] = []
    for request, id in zip(requests, ids, strict=True):
        body = request.body
        assert body is not None
        parts: list[tuple[str, str, int]] = []
        for part in body.parts:
            data = part.data.view if type(part.data) is SlabSlice else part.data
            parts.append((part.name, part.content_type, len(data)))
            pieces.append(data)
        row: dict[str, Any] = {"id": id, "headers": body.headers, "parts": parts}
        if request.wants_parts:
            row["wants_parts"] = True
        rows.append(row)
    header = json.dumps({"signature": requests[0].signature_name, "requests": rows}, separators=(",", ":"))
    return Assembled(header.encode(), pieces, sum(map(len, pieces)))


def split_bodies(version: VersionInfo, header: bytes, body: memoryview, count: int) -> list[InferResponse]:
    """The answers of a body runtime. Raises FrameError, RequestError(OUTPUT_INVALID) when there are not `count`."""
    rows = read_header(header, BodyResults).responses
    if len(rows) != count:
        raise RequestError(Code.OUTPUT_INVALID, f"The model answered {len(rows)} results to {count} requests.")
    responses: list[InferResponse] = []
    offset = 0
    for row in rows:
        end = offset + row.size
        if end > len(body):
            raise frames.FrameError("an answer is shorter than its header says")
        responses.append(_body_response(version, row, body[offset:end]))
        offset = end
    return responses


def part_of_body(version: VersionInfo, header: bytes, body: memoryview, count: int) -> tuple[int, InferResponse]:
    """A part of one request's answer, and the request's place in its batch of `count`. Raises FrameError."""
    part = read_header(header, BodyPart)
    if part.request >= count or len(part.responses) != 1 or part.responses[0].size != len(body):
        raise frames.FrameError("a part does not say which request of the batch it answers, and how")
    return part.request, _body_response(version, part.responses[0], body)


def _body_response(version: VersionInfo, row: OneBody, data: memoryview) -> InferResponse:
    result = BodyResult(bytes(data), row.content_type, row.status, row.phrase, row.headers or {})
    return InferResponse(version, None, result)


def slab_offset(request: InferRequest) -> int:
    """Where the request's first tensor lies in the slab; -1 when it does not. Neighbours side by side need no copy."""
    for tensor in (request.inputs or {}).values():
        return tensor.data.offset if type(tensor.data) is SlabSlice else -1
    return -1


def _tensor_header(first: InferRequest, rows: tuple[tuple[Any, ...], ...]) -> bytes:
    header: dict[str, Any] = {"signature": first.signature_name, "tensors": rows}
    if first.wants_parts:
        header["wants_parts"] = True
    if first.parameters:
        header["parameters"] = first.parameters
    return json.dumps(header, separators=(",", ":")).encode()


def _places(parts: Sequence[Tensor]) -> tuple[tuple[int, int], ...]:
    """Offsets and sizes of the parts in the slab, neighbours as one; empty when not all of them are there."""
    places: list[tuple[int, int]] = []
    for part in parts:
        data = part.data
        if type(data) is not SlabSlice:
            return ()
        if places and sum(places[-1]) == data.offset:
            places[-1] = (places[-1][0], places[-1][1] + len(data))
        else:
            places.append((data.offset, len(data)))
    return tuple(places)


def _join(parts: Sequence[Tensor], shape: tuple[int, ...], pieces: list[Buffer]) -> None:
    """Append the rows of all parts, one after the other, as raw bytes."""
    if parts[0].datatype == "BYTES":
        pieces.append(frames.encode_bytes_elements([element for part in parts for element in part.data]))
    elif all(type(part.data) is list for part in parts):
        values = parts[0].data if len(parts) == 1 else [row for part in parts for row in part.data]
        pieces.append(_raw(values, parts[0].datatype, shape))
    else:
        pieces.extend(_buffer(part) for part in parts)


def _buffer(part: Tensor) -> Buffer:
    data = part.data
    if type(data) is list:
        return _raw(data, part.datatype, part.shape)
    if type(data) is SlabSlice:
        return data.view
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data, frames.NUMPY_NAMES[part.datatype]).reshape(-1).view(np.uint8).data
    view = memoryview(data)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def _raw(values: list[Any], datatype: str, shape: tuple[int, ...]) -> bytes:
    try:
        array = np.array(values, DTYPES[datatype])
    except (ValueError, OverflowError, TypeError) as error:
        raise RequestError(
            Code.INVALID_INPUT, f"A value does not fit the datatype {datatype}.", log_detail=str(error)
        ) from error
    if array.shape != shape:
        raise RequestError(Code.INVALID_INPUT, f"The values have the shape {list(array.shape)}, not {list(shape)}.")
    return array.tobytes()


def _describe(header: bytes) -> list[Described]:
    rows = read_header(header, TensorResults).tensors
    return [(name, _dtype(datatype, shape, size), tuple(shape), size) for name, datatype, shape, size in rows]


def _dtype(datatype: str, shape: Sequence[int], size: int) -> np.dtype[Any] | None:
    """NumPy's type of an output, None for BYTES; for BF16, which NumPy lacks, that of its bits.

    Raises FrameError when it does not have the size it should.
    """
    if datatype == "BYTES":
        return None
    dtype = BF16_BITS if datatype == "BF16" else DTYPES.get(datatype)
    if dtype is None:
        raise frames.FrameError(f"there is no datatype {datatype!r}")
    if min(shape, default=0) < 0 or frames.element_count(shape) * frames.DATATYPE_SIZES[datatype] != size:
        raise frames.FrameError("an output does not have the shape that its header says")
    return dtype


def _array(piece: memoryview, dtype: np.dtype[Any] | None, shape: tuple[int, ...]) -> Array:
    try:
        if dtype is BF16_BITS:
            return _widened(np.ndarray(shape, dtype, piece))
        return np.ndarray(shape, dtype, piece) if dtype is not None else _bytes_array(piece, shape)
    except (ValueError, OverflowError) as error:
        raise frames.FrameError(f"an output does not have the shape that its header says: {error}") from error


def _widened(bits: Array) -> Array:
    """BF16 as float32, which has all its values: whoever answers in BF16 cuts the lower halves off again."""
    return (bits.astype("<u4") << 16).view("<f4")


def _bytes_array(piece: memoryview, shape: tuple[int, ...]) -> Array:
    elements = frames.decode_bytes_elements(piece, frames.element_count(shape))
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(shape)
