"""What a function may return, as arrays by name."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from salver_worker.arrays import NUMPY_TYPES, bytes_array, widen
from salver_worker.failures import OutputInvalid
from salver_worker.runtimes.base import Arrays

if TYPE_CHECKING:
    from salver_worker.arrays import Array

ONLY_OUTPUT = "output"


class ResultReader:
    """Reads results, knowing the outputs that the function declares, if any."""

    def __init__(self, outputs: Sequence[Mapping[str, Any]]) -> None:
        self._names = [output["name"] for output in outputs]
        self._datatypes: Dict[str, str] = {output["name"]: output["datatype"] for output in outputs}

    def whole(self, result: Any, rows: Optional[int]) -> Arrays:
        """The result for a whole batch of `rows` rows; None where the function does not count rows."""
        named = self._named(result)
        return {name: _with_rows(name, self._array(name, value), rows) for name, value in named.items()}

    def stacked(self, results: Sequence[Any]) -> Arrays:
        """The results of one row each."""
        if not results:
            return {name: self._array(name, []) for name in self._names}
        rows = [self._named(result) for result in results]
        names = list(rows[0])
        if any(list(row) != names for row in rows):
            raise OutputInvalid("the function did not return the same outputs for every row")
        return {name: self._array(name, [row[name] for row in rows]) for name in names}

    def _named(self, result: Any) -> Dict[str, Any]:
        """The values by output name: a mapping, record, DataFrame or tuple has several; anything else is one."""
        if result is None:
            raise OutputInvalid("the function returned None")
        if isinstance(result, Mapping):
            return {str(name): value for name, value in result.items()}
        if hasattr(result, "_fields"):
            return dict(zip(result._fields, result))
        if dataclasses.is_dataclass(result):
            return {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
        if type(result).__module__.partition(".")[0] == "pandas" and hasattr(result, "columns"):
            return {str(name): result[name] for name in result.columns}
        if isinstance(result, tuple):
            return dict(zip(self._tuple_names(len(result)), result))
        return {self._names[0] if len(self._names) == 1 else ONLY_OUTPUT: result}

    def _tuple_names(self, count: int) -> List[str]:
        return self._names if len(self._names) == count else ["output_%d" % index for index in range(count)]

    def _array(self, name: str, value: Any) -> Array:
        try:
            array = np.asarray(value)
            if array.dtype.kind in "OSU":
                return bytes_array(array.ravel().tolist(), array.shape)
        except (TypeError, ValueError) as error:
            raise OutputInvalid("the output %s is not a table of numbers or text" % name) from error
        declared = NUMPY_TYPES.get(widen(self._datatypes.get(name, "")))
        if declared is None or array.dtype == declared:
            return array
        if array.size and not np.can_cast(array.dtype, declared, "same_kind"):
            raise OutputInvalid("the output %s is %s, and %s is declared" % (name, array.dtype, declared))
        return array.astype(declared)


def _with_rows(name: str, array: Array, rows: Optional[int]) -> Array:
    """A single value counts as the answer for a single row."""
    if array.ndim or rows is None:
        return array
    if rows != 1:
        raise OutputInvalid("the output %s is one value for %d rows" % (name, rows))
    return array.reshape(1)


def first_rows(inputs: Arrays) -> Optional[int]:
    """How many rows the inputs have."""
    shape: Tuple[int, ...] = next((array.shape for array in inputs.values()), ())
    return shape[0] if shape else None
