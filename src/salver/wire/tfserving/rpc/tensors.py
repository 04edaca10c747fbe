"""TensorProto to a tensor and back. Pure.

Values come in `tensor_content`, as they lie in memory, or in the field of their datatype, where the last value counts
for all that are missing. They leave in the field, as the original sends them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from salver.errors import Code, RequestError
from salver.types import Array, Tensor
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.pb import tensorflow_pb2 as tf
from salver.wire.tfserving.rpc.dtypes import BY_DATATYPE, BY_NUMBER, TfType
from salver_worker.frames import DATATYPE_SIZES, NUMPY_NAMES

HALVES = ("FP16", "BF16")
RAW_FIELDS = {"FP32": 5, "FP64": 6}
"""Numbers of the packed fields whose bytes are those of the array."""
LENGTH_DELIMITED = 2
TEXT_BYTES = 8
"""What an element of text takes at least."""


def tensor_of(name: str, proto: tf.TensorProto, max_bytes: int) -> Tensor:
    """The tensor that was sent for an input. Raises RequestError(INVALID_INPUT | PAYLOAD_TOO_LARGE).

    A few bytes may ask for any number of equal values, so `max_bytes` bounds what becomes of them.
    """
    kind = BY_NUMBER.get(proto.dtype)
    if kind is None or proto.tensor_shape.unknown_rank:
        raise broken(name)
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if any(size < 0 for size in shape):
        raise broken(name)
    count = math.prod(shape)
    if count * DATATYPE_SIZES.get(kind.datatype, TEXT_BYTES) > max_bytes:
        raise RequestError(
            Code.PAYLOAD_TOO_LARGE,
            f"Input {name!r} of {count} values is above the limit of {max_bytes} bytes (--max-body-mb).",
        )
    if kind.datatype == "BYTES":
        return Tensor("BYTES", shape, _strings(name, proto, count))
    return Tensor(kind.datatype, shape, _numbers(name, proto, kind, count))


def broken(name: str) -> RequestError:
    return invalid(f"tensor parsing error: {name}")


def _numbers(name: str, proto: tf.TensorProto, kind: TfType, count: int) -> bytes:
    """The values as they lie in memory."""
    content = proto.tensor_content
    if content:
        if len(content) != count * DATATYPE_SIZES[kind.datatype]:
            raise broken(name)
        if kind.datatype == "BOOL" and max(content) > 1:
            raise broken(name)
        return content
    values = getattr(proto, kind.field)
    if len(values) > count:
        raise broken(name)
    array = _as_array(name, values, kind)
    if len(array) < count:
        last = array[-1:] if len(array) else np.zeros(1, array.dtype)
        array = np.concatenate([array, np.repeat(last, count - len(array))])
    return array.tobytes()


def _as_array(name: str, values: Any, kind: TfType) -> Array:
    """The values of a field in their own datatype; halves are sent as their bits, small integers as larger ones."""
    dtype = np.dtype("<u2" if kind.datatype in HALVES else NUMPY_NAMES[kind.datatype])
    if kind.field not in ("int_val", "half_val"):
        return np.array(values, dtype)
    wide = np.array(values, np.int64)
    bounds = np.iinfo(dtype)
    if len(wide) and not bounds.min <= wide.min() <= wide.max() <= bounds.max:
        raise broken(name)
    return wide.astype(dtype)


def _strings(name: str, proto: tf.TensorProto, count: int) -> list[bytes]:
    if proto.tensor_content:
        return _content_strings(name, proto.tensor_content, count)
    values = list(proto.string_val)
    if len(values) > count:
        raise broken(name)
    return values + [values[-1] if values else b""] * (count - len(values))


def _content_strings(name: str, content: bytes, count: int) -> list[bytes]:
    """Strings that lie one after the other, behind the lengths of all of them."""
    sizes: list[int] = []
    at = 0
    for _ in range(count):
        size, at = _varint(name, content, at)
        sizes.append(size)
    if len(content) != at + sum(sizes):
        raise broken(name)
    strings: list[bytes] = []
    for size in sizes:
        strings.append(content[at : at + size])
        at += size
    return strings


def _varint(name: str, content: bytes, at: int) -> tuple[int, int]:
    """A number of at most 63 bits, and where the next one begins."""
    value = 0
    for shift in range(0, 63, 7):
        if at >= len(content):
            break
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise broken(name)


def proto_of(array: Array, datatype: str) -> tf.TensorProto:
    """An output as it is sent. BF16 is an array of its bits."""
    kind = BY_DATATYPE[datatype]
    dims = [tf.TensorShapeProto.Dim(size=size) for size in array.shape]
    proto = tf.TensorProto(dtype=kind.name, tensor_shape=tf.TensorShapeProto(dim=dims))
    if datatype in RAW_FIELDS:
        raw = np.ascontiguousarray(array, NUMPY_NAMES[datatype]).tobytes()
        if raw:
            proto.MergeFromString(_key(RAW_FIELDS[datatype]) + _length(len(raw)) + raw)
        return proto
    flat = array.reshape(-1)
    if datatype == "BYTES":
        values: Any = [_raw_text(value) for value in flat.tolist()]
    elif datatype in HALVES:
        values = flat.view(np.uint16).tolist()
    else:
        values = flat.tolist()
    getattr(proto, kind.field).extend(values)
    return proto


def _raw_text(value: Any) -> bytes:
    return value if type(value) is bytes else str(value).encode("utf-8", "replace")


def _key(field: int) -> bytes:
    return bytes(((field << 3) | LENGTH_DELIMITED,))


def _length(size: int) -> bytes:
    encoded = bytearray()
    while size > 0x7F:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    encoded.append(size)
    return bytes(encoded)
