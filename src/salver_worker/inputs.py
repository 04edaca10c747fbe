"""PREDICT to arrays: the header is read and checked against the signature once, then remembered by its bytes.

A request with a new batch size brings a new header, so a model soon has seen all of its headers; from then on a request
costs one look-up and one array object for each tensor. Headers that point into a slab or carry parameters are different
each time and are not kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from salver_worker.arrays import NUMPY_TYPES, bf16_to_float32, bytes_array, widen
from salver_worker.errors import InputError
from salver_worker.frames import (
    DATATYPE_SIZES,
    FrameError,
    decode_bytes_elements,
    decode_header,
    element_count,
    padding,
)

if TYPE_CHECKING:
    from salver_worker.arrays import Array
    from salver_worker.runtimes.base import Arrays

MAX_REMEMBERED = 512
DEFAULT_SIGNATURES = ("", "serving_default")
NO_PARAMETERS: Mapping[str, Any] = {}


class Piece(NamedTuple):
    """Where one tensor lies, and as what array it is read. `target` is set when the signature wants a wider type."""

    name: str
    datatype: str
    shape: Tuple[int, ...]
    offset: int
    size: int
    is_in_slab: bool
    source: "np.dtype[Any]"
    target: Optional["np.dtype[Any]"]


class Layout(NamedTuple):
    """A PREDICT header, read.

    `plain` is what makes an array of each tensor (name, shape, type, offset) when all are numbers that lie in a body of
    at least `plain_size` bytes and need no widening; it is empty otherwise.
    """

    pieces: Tuple[Piece, ...]
    plain: "Tuple[Tuple[str, Tuple[int, ...], np.dtype[Any], int], ...]"
    plain_size: int
    parameters: Mapping[str, Any]
    is_repeatable: bool


class InputReader:
    """Reads the tensors of PREDICT frames for one signature."""

    def __init__(self, signature: Mapping[str, Any], *, has_batch_dimension: bool) -> None:
        self._specs: Dict[str, Mapping[str, Any]] = {spec["name"]: spec for spec in signature["inputs"]}
        self._has_batch_dimension = has_batch_dimension
        self._layouts: Dict[bytes, Layout] = {}

    def read(self, raw_header: bytes, body: memoryview, slab: Optional[memoryview]) -> Tuple[Arrays, Mapping[str, Any]]:
        """The inputs by name and the parameters. Raises InputError, or FrameError when the header is not one."""
        layout = self._layouts.get(raw_header) or self._layout(raw_header)
        if layout.plain and layout.plain_size <= len(body):
            arrays = {name: np.ndarray(shape, dtype, body, offset) for name, shape, dtype, offset in layout.plain}
            return arrays, layout.parameters
        return {piece.name: _array(piece, body, slab) for piece in layout.pieces}, layout.parameters

    def _layout(self, raw_header: bytes) -> Layout:
        layout = self._check(decode_header(raw_header))
        if layout.is_repeatable:
            if len(self._layouts) >= MAX_REMEMBERED:
                self._layouts.clear()
            self._layouts[raw_header] = layout
        return layout

    def _check(self, header: Mapping[str, Any]) -> Layout:
        if header.get("signature", "") not in DEFAULT_SIGNATURES:
            raise InputError("there is no signature %r" % header["signature"])
        pieces = _pieces(header.get("tensors", []), self._specs)
        missing = [name for name in self._specs if all(piece.name != name for piece in pieces)]
        if missing:
            raise InputError("the input %s is missing" % missing[0])
        if self._has_batch_dimension:
            _check_rows(pieces)
        parameters = header.get("parameters")
        is_repeatable = not parameters and not any(piece.is_in_slab for piece in pieces)
        plain = () if any(map(_is_special, pieces)) else tuple((it.name, it.shape, it.source, it.offset) for it in pieces)
        plain_size = max((piece.offset + piece.size for piece in pieces), default=0)
        return Layout(tuple(pieces), plain, plain_size, parameters or NO_PARAMETERS, is_repeatable)


def _pieces(rows: Sequence[Sequence[Any]], specs: Mapping[str, Mapping[str, Any]]) -> List[Piece]:
    pieces: List[Piece] = []
    offset = 0
    for row in rows:
        name, datatype, shape, size, place = _row(row)
        if name not in specs:
            raise InputError("there is no input %s; the inputs are: %s" % (name, ", ".join(specs)))
        target = check_tensor(specs[name], datatype, shape, size)
        source = np.dtype("<u2") if datatype == "BF16" else NUMPY_TYPES.get(datatype, np.dtype(object))
        if place is None:
            pieces.append(Piece(name, datatype, shape, offset, size, False, source, target))
            offset += size + padding(size)
        else:
            pieces.append(Piece(name, datatype, shape, place, size, True, source, target))
    return pieces


def _is_special(piece: Piece) -> bool:
    """Whether more must be done to a piece than to look at its place in the body as an array."""
    return piece.is_in_slab or piece.target is not None or piece.datatype in ("BYTES", "BF16")


def _row(row: Sequence[Any]) -> Tuple[str, str, Tuple[int, ...], int, Optional[int]]:
    """A row of the header's `tensors`, with the place in the slab as its fifth item. Raises FrameError."""
    try:
        name, datatype, shape, size = row[:4]
        place = row[4] if len(row) > 4 else None
        numbers = [size, 0 if place is None else place]
        if min(numbers) < 0 or not all(isinstance(number, int) for number in [*numbers, *shape]):
            raise ValueError("sizes and places are whole numbers")
        return name, datatype, tuple(shape), size, place
    except (TypeError, ValueError) as error:
        raise FrameError("a row of `tensors` is %.100r: %s" % (row, error)) from error


def check_tensor(spec: Mapping[str, Any], datatype: str, shape: Sequence[int], size: int) -> Optional["np.dtype[Any]"]:
    """The type to widen to, None when the tensor is of the signature's datatype. Raises InputError."""
    name, wanted = spec["name"], spec["shape"]
    target = None
    if datatype != spec["datatype"]:
        target = _wider(datatype, spec["datatype"])
        if target is None:
            raise InputError("the input %s must be %s, not %s" % (name, spec["datatype"], datatype))
    if len(shape) != len(wanted) or any(want not in (-1, have) for want, have in zip(wanted, shape)):
        raise InputError("the input %s must have the shape %s, not %s" % (name, list(wanted), list(shape)))
    itemsize = DATATYPE_SIZES.get(datatype)
    if min(shape, default=0) < 0 or (itemsize and itemsize * element_count(shape) != size):
        raise InputError("the input %s has %d bytes, which is not what its shape %s takes" % (name, size, list(shape)))
    return target


def _wider(datatype: str, wanted: str) -> Optional["np.dtype[Any]"]:
    """NumPy's type of `wanted` when every value of `datatype` keeps its value in it."""
    have, want = NUMPY_TYPES.get(widen(datatype)), NUMPY_TYPES.get(widen(wanted))
    return want if have is not None and want is not None and np.can_cast(have, want, "safe") else None


def _check_rows(pieces: Sequence[Piece]) -> None:
    rows = {piece.shape[0] for piece in pieces}
    if len(rows) > 1:
        raise InputError("the inputs have different numbers of rows: %s" % ", ".join(map(str, sorted(rows))))


def _array(piece: Piece, body: memoryview, slab: Optional[memoryview]) -> Array:
    _, datatype, shape, offset, size, is_in_slab, source, target = piece
    buffer = body
    if is_in_slab:
        if slab is None:
            raise InputError("the input %s lies in a slab, and this link has none" % piece.name)
        buffer = slab
    if offset + size > len(buffer):
        raise InputError("the input %s ends after %d bytes, before its end" % (piece.name, len(buffer)))
    if datatype == "BYTES":
        return _text(piece, buffer[offset : offset + size])
    array: Array = np.ndarray(shape, source, buffer, offset)
    if datatype == "BF16":
        array = bf16_to_float32(array)
    return array if target is None else array.astype(target)


def _text(piece: Piece, raw: memoryview) -> Array:
    try:
        return bytes_array(decode_bytes_elements(raw, element_count(piece.shape)), piece.shape)
    except FrameError as error:
        raise InputError("the input %s: %s" % (piece.name, error)) from error
