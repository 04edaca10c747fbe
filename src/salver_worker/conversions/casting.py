"""Numbers from one datatype to another, without a value that silently becomes something else."""

from typing import Any, Optional

import numpy as np

from salver_worker.conversions.errors import RowError
from salver_worker.conversions.flow import Array, Flow, numpy_type


def needs_no_step(have: Flow, want: Flow) -> bool:
    """Whether the end of a chain may cast by itself: to a datatype that holds every value, or to floating numbers."""
    if not (have.is_numeric and want.is_numeric):
        return have.datatype == want.datatype
    return want.is_float or bool(np.can_cast(numpy_type(have.datatype), numpy_type(want.datatype), "safe"))


def cast(array: Array, datatype: str) -> Array:
    """The values as `datatype`, fractions cut off for whole numbers. Raises RowError for a value that does not fit."""
    wanted = numpy_type(datatype)
    if array.dtype == wanted:
        return array
    if wanted.kind in "iu":
        _check_range(array, wanted, datatype)
    with np.errstate(over="ignore"):
        result = array.astype(wanted)
    if wanted.kind == "f" and array.dtype.kind != "b" and wanted.itemsize < 8:
        _refuse(np.isinf(result) & np.isfinite(array), datatype)
    return result


def _check_range(array: Array, wanted: "np.dtype[Any]", datatype: str) -> None:
    """Refuse values that `wanted` cannot hold. Python's own comparisons are exact where NumPy's would round."""
    if array.dtype.kind == "b" or array.size == 0:
        return
    limits = np.iinfo(wanted)
    if limits.min - 1 < array.min().item() and array.max().item() < limits.max + 1:
        return
    exact = array.astype(object)
    with np.errstate(invalid="ignore"):
        fits = (exact > limits.min - 1) & (exact < limits.max + 1)
    _refuse(~fits.astype(bool), datatype)


def _refuse(bad: Array, datatype: str) -> None:
    if bad.any():
        raise RowError("a value does not fit %s" % datatype, first_row(bad))


def first_row(bad: Array) -> Optional[int]:
    """The first row with a true value; None for a tensor without rows."""
    return int(np.argwhere(bad)[0][0]) if bad.ndim else None
