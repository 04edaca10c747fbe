"""Arrays of numbers become arrays of an input's datatype, by the same table as single values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from salver.serving.payload.coercion import ARRAY_SOURCES, GROUPS, TABLE, Group, Rule
from salver.serving.payload.leaves import Where, no_value, outside, too_large_for
from salver.serving.payload.policy import STRICT, Policy
from salver.serving.payload.values import numpy_type, refused
from salver.types import Array, TensorSpec


def coerced_array(
    array: Array, spec: TensorSpec, where: Where, policy: Policy = STRICT, missing: Array | None = None
) -> Array:
    """The flat array in the input's datatype. `missing` marks places without a value. Raises RequestError."""
    source = ARRAY_SOURCES[array.dtype.kind]
    if missing is not None and missing.any():
        array = np.where(missing, array.dtype.type(0), array)
    if spec.datatype == "BYTES":
        raise refused(spec, f'takes text or {{"b64": "..."}} and holds {source.value} in {where.place(0)}')
    dtype = numpy_type(spec)
    group = GROUPS[dtype.kind]
    if missing is None or not missing.any():
        return CONVERSIONS[TABLE[source][group]](array, dtype, spec, where)
    if group is not Group.FRACTION or not policy.missing_is_nan:
        raise no_value(spec, where, int(missing.argmax()))
    result = CONVERSIONS[TABLE[source][group]](array, dtype, spec, where).copy()
    result[missing] = np.nan
    return result


def _taken(array: Array, dtype: np.dtype[Any], _spec: TensorSpec, _where: Where) -> Array:
    return np.ascontiguousarray(array, dtype)


def _fitting(array: Array, dtype: np.dtype[Any], spec: TensorSpec, where: Where) -> Array:
    limits = np.iinfo(dtype)
    if array.size and (int(array.min()) < limits.min or int(array.max()) > limits.max):
        # The limits as Python's numbers: NumPy would refuse to compare what the array's own type cannot hold.
        raise outside(spec, where, next(at for at, value in enumerate(array.tolist()) if not fits(value, limits)))
    return np.ascontiguousarray(array, dtype)


def fits(value: int, limits: Any) -> bool:
    return bool(limits.min <= value <= limits.max)


def _rounded(array: Array, dtype: np.dtype[Any], spec: TensorSpec, where: Where) -> Array:
    """By way of doubles, as a number in JSON goes, so that all round alike."""
    with np.errstate(over="ignore"):
        result: Array = np.ascontiguousarray(array, np.float64 if array.dtype.kind in "iu" else array.dtype)
        result = result.astype(dtype, copy=False)
    too_large = np.isinf(result) & ~np.isinf(array)
    if too_large.any():
        raise too_large_for(spec, where, int(too_large.argmax()))
    return result


def _unfractioned(array: Array, dtype: np.dtype[Any], spec: TensorSpec, where: Where) -> Array:
    doubles = array.astype(np.float64)
    broken = ~(np.isfinite(doubles) & (np.floor(doubles) == doubles))
    if broken.any():
        place = where.place(int(broken.argmax()))
        raise refused(spec, f"takes whole numbers and holds a number with a fraction in {place}")
    limits = np.iinfo(dtype)
    is_outside = (doubles < float(limits.min)) | (doubles >= float(limits.max + 1))
    if is_outside.any():
        raise outside(spec, where, int(is_outside.argmax()))
    return doubles.astype(dtype)


def _binary(array: Array, dtype: np.dtype[Any], spec: TensorSpec, where: Where) -> Array:
    strange = (array != 0) & (array != 1)
    if strange.any():
        place = where.place(int(strange.argmax()))
        raise refused(spec, f"takes true, false, 1 and 0, and holds another number in {place}")
    return array.astype(dtype)


CONVERSIONS: Mapping[Rule, Callable[[Array, np.dtype[Any], TensorSpec, Where], Array]] = {
    Rule.TAKEN: _taken,
    Rule.ONE: _taken,
    Rule.FITTING: _fitting,
    Rule.ROUNDED: _rounded,
    Rule.UNFRACTIONED: _unfractioned,
    Rule.BINARY: _binary,
}
