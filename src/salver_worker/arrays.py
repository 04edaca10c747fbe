"""NumPy arrays and the datatypes of the protocol: which is which, and how values that NumPy lacks are held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, Optional, Sequence

import numpy as np

from salver_worker.frames import NUMPY_NAMES

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

NUMPY_TYPES: Dict[str, "np.dtype[Any]"] = {name: np.dtype(code) for name, code in NUMPY_NAMES.items()}
DATATYPES: Dict["np.dtype[Any]", str] = {numpy_type: name for name, numpy_type in NUMPY_TYPES.items()}


def datatype_of(array: Array) -> Optional[str]:
    """The datatype that an array's values travel as; None when there is none. Text and objects are BYTES."""
    kind = array.dtype.kind
    return "BYTES" if kind in "OSU" else DATATYPES.get(array.dtype.newbyteorder("<"))


def widen(datatype: str) -> str:
    """The datatype of the array that holds a tensor: BF16 is held as float32, every other one as itself."""
    return "FP32" if datatype == "BF16" else datatype


def bf16_to_float32(raw: Array) -> Array:
    """The values of BF16 bit patterns (uint16), without loss."""
    return np.asarray(raw.astype(np.uint32) << 16).view(np.float32)


def float32_to_bf16(values: Array) -> Array:
    """The BF16 bit patterns (uint16) nearest to float32 values, ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    return np.where(np.isnan(values), 0x7FC0, rounded >> 16).astype(np.uint16)


def bytes_array(elements: Iterable[Any], shape: Sequence[int]) -> Array:
    """An array of objects, each `bytes`; text is encoded as UTF-8. Raises TypeError for anything else."""
    values = [as_bytes(element) for element in elements]
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(tuple(shape))


def as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError("%s where text or bytes are needed" % type(value).__name__)
