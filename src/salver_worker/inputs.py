"""PREDICT to arrays: the header is read and checked against the signature once, then remembered by its bytes.

A request with a new batch size brings a new header, so a model soon has seen all of its headers; from then on a request
costs one look-up and one array object for each tensor. Places in a slab repeat too, since the lowest free one is taken.
Headers that carry parameters, or put a tensor together of several places, are different each time and are not kept.
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
from salver_worker.gathering import Gathering, Part

if TYPE_CHECKING:
    from salver_worker.arrays import Array
    from salver_worker.runtimes.base import Arrays

MAX_REMEMBERED = 512
DEFAULT_SIGNATURE = "serving_default"
DEFAULT_SIGNATURES = ("", DEFAULT_SIGNATURE)
NO_PARAMETERS: Mapping[str, Any] = {}


class Piece(NamedTuple):
    """Where one tensor lies, and as what array it is read.

    `parts` are its places in the slab when it has several, and `offset` is 0 then. `target` is set when the signature
    wants a wider type.
    """

    name: str
    datatype: str
    shape: Tuple[int, ...]
    offset: int
    size: int
    is_in_slab: bool
    parts: Tuple[Part, ...]
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

    def __init__(
        self, signature: Mapping[str, Any], *, has_batch_dimension: bool, names: Sequence[str] = DEFAULT_SIGNATURES
    ) -> None:
        """`names` are those that requests may call the signature by."""
        self._specs: Dict[str, Mapping[str, Any]] = {spec["name"]: spec for spec in signature["inputs"]}
        self._names = names
        self._has_batch_dimension = has_batch_dimension
        self._layouts: Dict[bytes, Layout] = {}
        self._gathering = Gathering()

    def read(self, raw_header: bytes, body: memoryview, slab: Optional[memoryview]) -> Tuple[Arrays, Mapping[str, Any]]:
        """The inputs by name and the parameters. Raises InputError, or FrameError when the header is not one."""
        layout = self._layouts.get(raw_header) or self._layout(raw_header)
        pieces, plain, is_in_slab, end, parameters, _ = layout
        buffer = slab if is_in_slab else body
        if plain and buffer is not None and end <= len(buffer):
            if len(plain) == 1:
                name, shape, dtype, offset = plain[0]
                return {name: np.ndarray(shape, dtype, buffer, offset)}, parameters
            return {name: np.ndarray(shape, dtype, buffer, offset) for name, shape, dtype, offset in plain}, parameters
        return {piece.name: self._array(piece, body, slab) for piece in pieces}, parameters

    def _array(self, piece: Piece, body: memoryview, slab: Optional[memoryview]) -> Array:
        if not piece.is_in_slab:
            return _array(piece, body)
        if slab is None:
            raise InputError("the input %s lies in a slab, and this link has none" % piece.name)
        if not piece.parts:
            return _array(piece, slab)
        _check_end(piece, max(offset + size for offset, size in piece.parts), slab)
        return _array(piece, self._gathering.gather(piece.name, piece.parts, slab))

    def _layout(self, raw_header: bytes) -> Layout:
        layout = self._check(decode_header(raw_header))
        if layout.is_repeatable:
            if len(self._layouts) >= MAX_REMEMBERED:
                self._layouts.clear()
            self._layouts[raw_header] = layout
        return layout

    def _check(self, header: Mapping[str, Any]) -> Layout:
        if header.get("signature", "") not in self._names:
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
        is_repeatable = not parameters and not any(piece.parts for piece in pieces)
        return Layout(tuple(pieces), plain, is_in_slab, end, parameters or NO_PARAMETERS, is_repeatable)


def _pieces(rows: Sequence[Sequence[Any]], specs: Mapping[str, Mapping[str, Any]]) -> List[Piece]:
    pieces: List[Piece] = []
    offset = 0
    for row in rows:
        name, datatype, shape, size, places = _row(row)
        if name not in specs:
            raise InputError("there is no input %s; the inputs are: %s" % (name, ", ".join(specs)))
        target = check_tensor(specs[name], datatype, shape, size)
        source = np.dtype("<u2") if datatype == "BF16" else NUMPY_TYPES.get(datatype, np.dtype(object))
        if len(places) > 1:
            pieces.append(Piece(name, datatype, shape, 0, size, True, places, source, target))
        elif places:
            pieces.append(Piece(name, datatype, shape, places[0][0], size, True, (), source, target))
        else:
            pieces.append(Piece(name, datatype, shape, offset, size, False, (), source, target))
            offset += size + padding(size)
    return pieces


def _is_plain(piece: Piece, is_in_slab: bool) -> bool:
    """Whether nothing needs to be done to a piece but to look at its place in the slab, or in the body, as an array."""
    is_in_one_place = piece.is_in_slab is is_in_slab and not piece.parts
    return is_in_one_place and piece.target is None and piece.datatype not in ("BYTES", "BF16")


def _row(row: Sequence[Any]) -> Tuple[str, str, Tuple[int, ...], int, Tuple[Part, ...]]:
    """A row of `tensors`; last its places in the slab, none when it lies in the body. Raises FrameError."""
    try:
        name, datatype, shape, size = row[:4]
        places = _places(row[4], size) if len(row) > 4 else ()
        numbers = [size, *(number for place in places for number in place)]
        if min(numbers) < 0 or not all(isinstance(number, int) for number in [*numbers, *shape]):
            raise ValueError("sizes and places are whole numbers")
        if places and sum(part_size for _, part_size in places) != size:
            raise ValueError("the places are not as large as the tensor")
        return name, datatype, tuple(shape), size, places
    except (TypeError, ValueError) as error:
        raise FrameError("a row of `tensors` is %.100r: %s" % (row, error)) from error


def _places(place: Any, size: int) -> Tuple[Part, ...]:
    """One offset for all of it, or a list of offsets and sizes."""
    if isinstance(place, int):
        return ((place, size),)
    return tuple((offset, part_size) for offset, part_size in place)


def check_tensor(spec: Mapping[str, Any], datatype: str, shape: Sequence[int], size: int) -> Optional["np.dtype[Any]"]:
    """The type to widen to, None when the tensor is of the signature's datatype. Raises InputError."""
    name, wanted = spec["name"], spec["shape"]
    target = None
    if datatype != spec["datatype"]:
        target = _wider(datatype, spec["datatype"])
        if target is None:
            raise InputError("the input %s must be %s, not %s" % (name, spec["datatype"], datatype))
    if not fits(spec, shape):
        raise InputError("the input %s must have the shape %s, not %s" % (name, list(wanted), list(shape)))
    itemsize = DATATYPE_SIZES.get(datatype)
    if min(shape, default=0) < 0 or (itemsize and itemsize * element_count(shape) != size):
        raise InputError("the input %s has %d bytes, which is not what its shape %s takes" % (name, size, list(shape)))
    return target


def fits(spec: Mapping[str, Any], shape: Sequence[int]) -> bool:
    """Whether a tensor of this shape may be given: any, where the model does not say of how many dimensions it is."""
    wanted = spec["shape"]
    if spec.get("has_rank") is False:
        return True
    return len(shape) == len(wanted) and all(want in (-1, have) for want, have in zip(wanted, shape))


def _wider(datatype: str, wanted: str) -> Optional["np.dtype[Any]"]:
    """NumPy's type of `wanted` when every value of `datatype` keeps its value in it."""
    have, want = NUMPY_TYPES.get(widen(datatype)), NUMPY_TYPES.get(widen(wanted))
    return want if have is not None and want is not None and np.can_cast(have, want, "safe") else None


def _check_rows(pieces: Sequence[Piece]) -> None:
    rows = {piece.shape[0] for piece in pieces}
    if len(rows) > 1:
        raise InputError("the inputs have different numbers of rows: %s" % ", ".join(map(str, sorted(rows))))


def _array(piece: Piece, buffer: memoryview) -> Array:
    _check_end(piece, piece.offset + piece.size, buffer)
    if piece.datatype == "BYTES":
        return _text(piece, buffer[piece.offset : piece.offset + piece.size])
    array: Array = np.ndarray(piece.shape, piece.source, buffer, piece.offset)
    if piece.datatype == "BF16":
        array = bf16_to_float32(array)
    return array if piece.target is None else array.astype(piece.target)


def _check_end(piece: Piece, end: int, buffer: memoryview) -> None:
    if end > len(buffer):
        raise InputError("the input %s ends after %d bytes, before its end" % (piece.name, len(buffer)))


def _text(piece: Piece, raw: memoryview) -> Array:
    try:
        return bytes_array(decode_bytes_elements(raw, element_count(piece.shape)), piece.shape)
    except FrameError as error:
        raise InputError("the input %s: %s" % (piece.name, error)) from error
