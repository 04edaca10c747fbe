"""A TensorProto as an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Tuple

import numpy as np

from salver_worker.arrays import bf16_to_float32, bytes_array
from salver_worker.tfrecords.fields import (
    MessageError,
    Value,
    fields_of,
    integer,
    integers,
    message,
    messages,
    numbers,
    signed,
)

if TYPE_CHECKING:
    from salver_worker.arrays import Array

MAX_ELEMENTS = 64 * 1024 * 1024
DTYPE, SHAPE, CONTENT, STRINGS = 1, 2, 4, 8
DT_STRING, DT_BFLOAT16, DT_HALF = 7, 14, 19
_FLOATS = "fd"


class Kind(NamedTuple):
    """A datatype: its NumPy type, the field of its values, and how those are written there."""

    numpy: str
    field: int
    code: str


KINDS: Dict[int, Kind] = {
    1: Kind("<f4", 5, "f"),
    2: Kind("<f8", 6, "d"),
    3: Kind("<i4", 7, "i"),
    4: Kind("u1", 7, "i"),
    5: Kind("<i2", 7, "i"),
    6: Kind("i1", 7, "i"),
    9: Kind("<i8", 10, "i"),
    10: Kind("?", 11, "i"),
    14: Kind("<u2", 13, "i"),
    17: Kind("<u2", 7, "i"),
    19: Kind("<f2", 13, "i"),
    22: Kind("<u4", 16, "i"),
    23: Kind("<u8", 17, "i"),
}


def read_tensor(data: bytes) -> Array:
    """The array of a TensorProto; BFLOAT16 as float32, strings as objects. Raises MessageError."""
    fields = fields_of(data)
    shape = _shape(fields)
    dtype = integer(fields, DTYPE)
    count = 1
    for size in shape:
        count *= size
    if count > MAX_ELEMENTS:
        raise MessageError("a tensor has %d elements" % count)
    if dtype == DT_STRING:
        return bytes_array(_filled(messages(fields, STRINGS), count, b""), shape)
    kind = KINDS.get(dtype)
    if kind is None:
        raise MessageError("a tensor is of the datatype %d, which is not supported" % dtype)
    array = _content(fields, kind, count)
    array = array.reshape(shape)
    return bf16_to_float32(array) if dtype == DT_BFLOAT16 else array


def _shape(fields: Dict[int, List[Value]]) -> Tuple[int, ...]:
    shape = fields_of(message(fields, SHAPE))
    sizes = tuple(integer(fields_of(dim), 1) for dim in messages(shape, 2))
    if integers(shape, 3)[-1:] == [1] or any(size < 0 for size in sizes):
        raise MessageError("a tensor has an unknown shape")
    return sizes


def _content(fields: Dict[int, List[Value]], kind: Kind, count: int) -> Array:
    numpy_type: "np.dtype[Any]" = np.dtype(kind.numpy)
    content = message(fields, CONTENT)
    if content:
        if len(content) != count * numpy_type.itemsize:
            raise MessageError("a tensor of %d elements has %d bytes" % (count, len(content)))
        return np.frombuffer(content, numpy_type)
    values: List[Any]
    values = numbers(fields, kind.field, kind.code) if kind.code in _FLOATS else integers(fields, kind.field)
    filled = _filled(values, count, 0)
    if numpy_type.kind == "f" and kind.code == "i":  # half_val holds bit patterns
        return np.array([value & 0xFFFF for value in filled], "<u2").view(numpy_type)
    if numpy_type.kind == "u":
        mask = 2 ** (8 * numpy_type.itemsize) - 1
        return np.array([value & mask for value in filled], numpy_type)
    if numpy_type.kind == "i":
        filled = [_narrow(value, numpy_type) for value in filled]
    return np.array(filled, numpy_type)


def _narrow(value: int, numpy_type: "np.dtype[Any]") -> int:
    limits = np.iinfo(numpy_type)
    value = signed(value)
    if not limits.min <= value <= limits.max:
        raise MessageError("a tensor of %s has the value %d" % (numpy_type.name, value))
    return value


def _filled(values: List[Any], count: int, nothing: Any) -> List[Any]:
    """Where there are fewer values than elements, the last one stands for the rest; none at all are zeros."""
    if len(values) > count:
        raise MessageError("a tensor of %d elements has %d values" % (count, len(values)))
    last = values[-1] if values else nothing
    return values + [last] * (count - len(values))
