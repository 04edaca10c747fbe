"""PREDICT to arrays: the header is read and checked against the signature once, then remembered by its bytes.

A request with a new batch size brings a new header, so a model soon has seen all of its headers; from then on a request
costs one look-up and one array object for each tensor. Places in a slab repeat too, since the lowest free one is taken.
Headers that carry parameters are different each time and are not kept.
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

    `plain` is what makes an array of each tensor (name, shape, type, offset) when all are numbers that need no widening
    and lie in one buffer, the body or the slab, up to `end`; it is empty otherwise.
    """

    pieces: Tuple[Piece, ...]
    plain: "Tuple[Tuple[str, Tuple[int, ...], np.dtype[Any], int], ...]"
    is_in_slab: bool
    end: int
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
        buffer = slab if layout.is_in_slab else body
        if layout.plain and buffer is not None and layout.end <= len(buffer):
            arrays = {name: np.ndarray(shape, dtype, buffer, offset) for name, shape, dtype, offset in layout.plain}
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
        is_in_slab = any(piece.is_in_slab for piece in pieces)
        is_plain = all(_is_plain(piece, is_in_slab) for piece in pieces)
        plain = tuple((it.name, it.shape, it.source, it.offset) for it in pieces) if is_plain else ()
        end = max((piece.offset + piece.size for piece in pieces), default=0)
        return Layout(tuple(pieces), plain, is_in_slab, end, parameters or NO_PARAMETERS, not parameters)


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


def _is_plain(piece: Piece, is_in_slab: bool) -> bool:
    """Whether nothing needs to be done to a piece but to look at its place in the slab, or in the body, as an array."""
    return piece.is_in_slab is is_in_slab and piece.target is None and piece.datatype not in ("BYTES", "BF16")


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
