"""Many numbers at once: one pass over the JSON into an array, for bodies too large for one Python object per number."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import simdjson

from salver.types import DEFAULT_SIGNATURE, Array, Tensor, TensorSpec
from salver.wire.tfserving.values import RULES
from salver_worker.frames import NUMPY_NAMES

IS_ROW = {
    ("instances",): True,
    ("instances", "signature_name"): True,
    ("inputs",): False,
    ("inputs", "signature_name"): False,
}
"""The keys of a usual document, sorted, and whether they mean the row form."""


class Sweep(msgspec.Struct, frozen=True):
    tensor: Tensor
    is_row: bool


def sweep_numbers(raw: bytes, spec: TensorSpec) -> Sweep | None:
    """The one input of a document for the default signature, or None when the document is anything but usual."""
    try:
        return _sweep(raw, spec)
    except (ValueError, TypeError, RuntimeError):  # no JSON; values of another kind; whole numbers above 64 bits
        return None


def _sweep(raw: bytes, spec: TensorSpec) -> Sweep | None:
    document = simdjson.Parser().parse(raw)
    if not isinstance(document, simdjson.Object):
        return None
    keys = tuple(sorted(document.keys()))
    is_row = IS_ROW.get(keys)
    if is_row is None or (len(keys) == 2 and document["signature_name"] not in ("", DEFAULT_SIGNATURE)):
        return None
    values = document[keys[0]]
    shape = _even_shape(raw, values, spec.shape)
    array = None if shape is None else _numbers(values, spec.datatype)
    if shape is None or array is None:
        return None
    return Sweep(Tensor(spec.datatype, shape, array.reshape(shape)), is_row)


def _even_shape(raw: bytes, values: Any, declared: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of nested arrays, or None when they are uneven or not as declared.

    The arrays down to the last declared level are counted here; when the document has as many opening brackets, then
    there is no array deeper down, and each item of the last level is a value.
    """
    shape: list[int] = []
    level = [values]
    arrays = 1
    for wanted in declared:
        if shape:
            level = [item for array in level for item in array]
            arrays += len(level)
        sizes = set(map(len, level))
        size = sizes.pop() if len(sizes) == 1 else 0
        if not size or wanted not in (-1, size):
            return None
        shape.append(size)
    return tuple(shape) if raw.count(b"[") == arrays else None


def _numbers(values: Any, datatype: str) -> Array | None:
    """All numbers below `values` in order, or None when one is out of range."""
    rule = RULES[datatype]
    is_float = datatype.startswith("FP")
    array = np.frombuffer(values.as_buffer(of_type="d" if is_float else "i"), np.float64 if is_float else np.int64)
    if rule.low is not None and rule.high is not None and not rule.low <= array.min() <= array.max() <= rule.high:
        return None
    return array.astype(NUMPY_NAMES[datatype], copy=False)
