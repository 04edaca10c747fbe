"""One array in NumPy's .npy format.

The header is matched by a pattern and never evaluated; only plain numbers are taken, and its sizes are held against the
bytes that are there before anything is made of them. Format: ``numpy.lib.format``, versions 1 to 3.
"""

from __future__ import annotations

import math
import re

import numpy as np

from salver.serving.payload.arrays import coerced_array
from salver.serving.payload.leaves import Where
from salver.serving.payload.policy import STRICT, Policy
from salver.serving.payload.values import fitted_shape, has_rows, numpy_type, refused
from salver.types import Tensor, TensorSpec

MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 1024
HEADER = re.compile(
    rb"\{\s*'descr'\s*:\s*'(?P<dtype>[<>|=](?:b1|[iu][1248]|f[248]))'\s*,"
    rb"\s*'fortran_order'\s*:\s*(?P<fortran>True|False)\s*,"
    rb"\s*'shape'\s*:\s*\((?P<shape>(?:\s*\d{1,12}\s*,)*(?:\s*\d{1,12})?)\s*\)\s*,?\s*\}\s*"
)


def npy_to_tensor(data: bytes | bytearray | memoryview, spec: TensorSpec, policy: Policy = STRICT) -> Tensor:
    """The array as the input's datatype; without a copy when it is that already. Raises RequestError(INVALID_INPUT)."""
    header, begin = _split(memoryview(data), spec)
    dtype = np.dtype(header["dtype"].decode())
    shape = tuple(int(size) for size in header["shape"].split(b",") if size.strip())
    fitted = fitted_shape(spec, shape)
    values = memoryview(data)[begin:]
    announced = math.prod(shape) * dtype.itemsize
    if announced != len(values):
        raise refused(spec, f"announces {announced} bytes of values in its .npy header and has {len(values)}")
    is_fortran = header["fortran"] == b"True"
    if dtype == numpy_type(spec) and not is_fortran:
        return Tensor(spec.datatype, fitted, values)
    array = np.frombuffer(bytes(values), dtype).reshape(shape, order="F" if is_fortran else "C")
    where = Where(array.size // fitted[0] if has_rows(spec) else array.size)
    return Tensor(spec.datatype, fitted, coerced_array(array.ravel(), spec, where, policy).reshape(fitted))


def _split(data: memoryview, spec: TensorSpec) -> tuple[re.Match[bytes], int]:
    """The header, and where the values begin."""
    prefix = bytes(data[:12])
    if len(prefix) < 12 or prefix[:6] != MAGIC or prefix[6] not in (1, 2, 3):
        raise refused(spec, "is not a .npy file")
    begin = 10 if prefix[6] == 1 else 12
    length = int.from_bytes(prefix[8:begin], "little")
    header = HEADER.fullmatch(bytes(data[begin : begin + length])) if length <= MAX_HEADER_BYTES else None
    if header is None:
        raise refused(
            spec,
            "has a .npy header that is not one plain array of numbers",
            fix="Save one array of whole numbers, fractions or booleans with numpy.save(..., allow_pickle=False).",
        )
    return header, begin + length
