"""From whatever an MLflow model gives to arrays by name, and the rows of the signature that describe them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

import numpy as np

from salver_worker.arrays import DATATYPES, NUMPY_TYPES, bytes_array, datatype_of
from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.mlflow_inputs import COLUMN_TYPES

if TYPE_CHECKING:
    from salver_worker.arrays import Array

PREDICTION = "prediction"
NOTHING = ("NAType", "NaTType")
"""What pandas has in the place of a missing value."""


def named_arrays(answer: Any) -> Arrays:
    """A table by its columns, a mapping by its keys, anything else as `prediction`."""
    if hasattr(answer, "columns") and hasattr(answer, "iloc"):
        return {str(name): _array(answer.iloc[:, place]) for place, name in enumerate(answer.columns)}
    if isinstance(answer, Mapping):
        return {str(name): _array(value) for name, value in answer.items()}
    return {PREDICTION: _array(answer)}


def _array(value: Any) -> Array:
    if hasattr(value, "toarray"):
        value = value.toarray()
    array = value if isinstance(value, np.ndarray) else _of_rows(value)
    if array.ndim == 0:
        array = array.reshape(1)
    if array.dtype.kind == "M":
        texts = np.datetime_as_string(array)
        return bytes_array(texts.ravel().tolist(), array.shape)
    if array.dtype.kind in "OSU":
        return bytes_array([_text(each) for each in array.ravel().tolist()], array.shape)
    return array


def _of_rows(value: Any) -> Array:
    """A pandas column or a list: of numbers or text as they are, of anything else as an array of objects."""
    if hasattr(value, "to_numpy"):
        return _of_column(value)
    if not isinstance(value, (list, tuple)):
        return np.asarray(value)
    if any(isinstance(each, (Mapping, type(None))) for each in value):
        array = np.empty(len(value), object)
        array[:] = list(value)
        return array
    try:
        return np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.empty(len(value), object)
        array[:] = list(value)
        return array


def _of_column(column: Any) -> Array:
    """pandas' own types of numbers may lack values, which are NaN here."""
    array: Array = column.to_numpy()
    if array.dtype.kind != "O" or isinstance(column.dtype, np.dtype):
        return array
    is_number = getattr(column.dtype, "kind", "O") in "iufb"
    return np.asarray(column.to_numpy(np.float64, na_value=np.nan)) if is_number else array


def _text(value: Any) -> Any:
    """Text and bytes as they are; nothing as no text; what has parts as JSON."""
    if isinstance(value, (str, bytes)):
        return value
    if value is None or type(value).__name__ in NOTHING or (isinstance(value, float) and value != value):
        return b""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def declared_outputs(schema: Any, answer: Optional[Arrays]) -> List[Dict[str, Any]]:
    """As the example's answer showed them; else as the schema says; none where nobody says."""
    if answer is not None:
        return [tensor(name, datatype_of(array) or "BYTES", (-1, *array.shape[1:])) for name, array in answer.items()]
    specs = [] if schema is None else list(schema.inputs)
    if any(type(each.type).__name__ == "AnyType" for each in specs):
        return []
    if specs and schema.is_tensor_spec():
        return [
            tensor(each.name or PREDICTION, _datatype(each.type), [int(dim) for dim in each.shape]) for each in specs
        ]
    if len(specs) > 1 and not all(each.name for each in specs):
        return []
    return [
        tensor(each.name or PREDICTION, COLUMN_TYPES.get(str(getattr(each.type, "name", "")), "BYTES"), (-1,))
        for each in specs
    ]


def _datatype(dtype: Any) -> str:
    return "BYTES" if dtype.kind in "OSU" else DATATYPES.get(dtype, "FP64")


def fitted(arrays: Arrays, declared: Mapping[str, str]) -> Arrays:
    """The arrays with the declared names and datatypes, where these are only said otherwise."""
    if len(declared) == 1 and len(arrays) == 1:
        arrays = dict(zip(declared, arrays.values()))
    return {name: _as(array, declared.get(name)) for name, array in arrays.items()}


def _as(array: Array, datatype: Optional[str]) -> Array:
    wanted = None if datatype is None else NUMPY_TYPES.get(datatype)
    if wanted is None or array.dtype == wanted or not np.can_cast(array.dtype, wanted, "same_kind"):
        return array
    return array.astype(wanted)
