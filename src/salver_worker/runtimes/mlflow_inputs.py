"""From the schema of an MLflow model, or from its input example, to the inputs of a signature and what feeds them.

Dates are ISO 8601 texts; lists, objects and maps are JSON texts. An empty text stands for a missing value where a
column is optional.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from salver_worker.arrays import DATATYPES
from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.texts import texts

if TYPE_CHECKING:
    from salver_worker.arrays import Array

ONLY_INPUT = "x"
COLUMN_TYPES = {"boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64"}
"""MLflow's names of types that travel as numbers; all others are BYTES."""
Read = Callable[[str, "Array"], Any]


class Feed(NamedTuple):
    """The inputs of the signature, how their arrays become what the model is called with, and whether rows are free."""

    inputs: List[Dict[str, Any]]
    argument: Callable[[Arrays], Any]
    has_rows: bool = True


class Column(NamedTuple):
    """One column of a table: its key there, the input's name, its datatype, and what reads it."""

    key: Any
    name: str
    datatype: str
    read: Read


def feed_for(schema: Any, example: Any) -> Feed:
    columns = [] if schema is None else list(schema.inputs)
    if columns and schema.is_tensor_spec():
        return _tensors(columns)
    if columns and not all(_type_name(each) == "any" for each in columns):
        return _table([_schema_column(each, at, len(columns)) for at, each in enumerate(columns)])
    return _like(example)


# By the schema


def _tensors(specs: Sequence[Any]) -> Feed:
    inputs = []
    for spec in specs:
        datatype = "BYTES" if spec.type.kind in "OSU" else DATATYPES.get(spec.type)
        if datatype is None:
            raise LoadFailure(
                "the signature has a tensor of the type %s, which does not travel" % spec.type,
                fix="Log the model with a signature of numbers or text.",
            )
        inputs.append(tensor(spec.name or ONLY_INPUT, datatype, [int(dim) for dim in spec.shape]))
    has_rows = all(row["shape"][:1] == [-1] for row in inputs)
    if len(specs) == 1 and not specs[0].name:
        return Feed(inputs, lambda arrays: _decoded(ONLY_INPUT, arrays[ONLY_INPUT]), has_rows)
    return Feed(inputs, lambda arrays: {name: _decoded(name, array) for name, array in arrays.items()}, has_rows)


def _decoded(name: str, array: Array) -> Array:
    """A model may keep or change what it is given."""
    if array.dtype.kind != "O":
        return array.copy()
    return np.array(texts(name, array), dtype=str).reshape(array.shape)


def _schema_column(spec: Any, at: int, count: int) -> Column:
    kind = _type_name(spec)
    name = spec.name or (ONLY_INPUT if count == 1 else "column_%d" % at)
    is_optional = not getattr(spec, "required", True)
    key = spec.name if spec.name is not None else at
    return Column(key, str(name), COLUMN_TYPES.get(kind, "BYTES"), _reader(kind, spec.type, is_optional=is_optional))


def _type_name(spec: Any) -> str:
    """`double`, `string`, `datetime` and so on; `any` for what is not said; empty for lists, objects and maps."""
    if type(spec.type).__name__ == "AnyType":
        return "any"
    return str(getattr(spec.type, "name", "") or "")


def _reader(kind: str, parts: Any = None, *, is_optional: bool = False) -> Read:
    """`parts` is the type of what has parts, as MLflow describes it."""
    if kind in COLUMN_TYPES:
        return lambda _name, array: array.copy()

    def documents(name: str, array: Array) -> List[Any]:
        return _documents(name, array, parts)

    readers: Dict[str, Read] = {"string": texts, "binary": _bytes, "datetime": _dates}
    read: Read = readers.get(kind, documents)
    return lambda name, array: _objects([None if is_optional and not it else it for it in read(name, array)], kind)


def _objects(values: List[Any], kind: str) -> Any:
    pandas: Any = importlib.import_module("pandas")
    return pandas.to_datetime(pandas.Series(values)) if kind == "datetime" else pandas.Series(values, dtype=object)


def _bytes(_name: str, array: Array) -> List[Any]:
    return list(array.tolist())


def _dates(name: str, array: Array) -> List[Any]:
    """Moments with a zone become those of UTC, since MLflow's type has none."""
    return [_date(name, row, text) for row, text in enumerate(texts(name, array))]


def _date(name: str, row: int, text: str) -> Any:
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError as error:
        raise InputError("the input %s has no ISO 8601 date in row %d" % (name, row)) from error
    return moment if moment.tzinfo is None else moment.astimezone(dt.timezone.utc).replace(tzinfo=None)


def _documents(name: str, array: Array, parts: Any) -> List[Any]:
    values = []
    for row, text in enumerate(texts(name, array)):
        try:
            values.append(_typed(json.loads(text), parts) if text else None)
        except ValueError as error:
            raise InputError("the input %s has no JSON in row %d" % (name, row)) from error
    return values


def _typed(value: Any, kind: Any) -> Any:
    """JSON's whole numbers as the fractions that MLflow insists on where a type says so."""
    if isinstance(value, list):
        return [_typed(each, getattr(kind, "dtype", None)) for each in value]
    if isinstance(value, dict):
        known = {each.name: each.dtype for each in getattr(kind, "properties", ())}
        other = getattr(kind, "value_type", None)
        return {key: _typed(each, known.get(key, other)) for key, each in value.items()}
    return float(value) if type(value) is int and getattr(kind, "name", "") in ("double", "float") else value


def _table(columns: Sequence[Column]) -> Feed:
    pandas: Any = importlib.import_module("pandas")
    inputs = [tensor(each.name, each.datatype, (-1,)) for each in columns]

    def argument(arrays: Arrays) -> Any:
        return pandas.DataFrame({each.key: each.read(each.name, arrays[each.name]) for each in columns})

    return Feed(inputs, argument)


# By the example


def _like(example: Any) -> Feed:
    """As the example is: a table, an array, a mapping of arrays, or texts; a table of numbers where there is none."""
    pandas: Any = importlib.import_module("pandas")
    if isinstance(example, pandas.DataFrame):
        return _table([_example_column(name, example[name]) for name in example.columns])
    if isinstance(example, np.ndarray):
        return Feed([_example_row(ONLY_INPUT, example)], lambda arrays: _decoded(ONLY_INPUT, arrays[ONLY_INPUT]))
    if isinstance(example, dict) and example and all(isinstance(each, (list, np.ndarray)) for each in example.values()):
        rows = [_example_row(str(name), np.asarray(each)) for name, each in example.items()]
        return Feed(rows, lambda arrays: {name: _decoded(name, array) for name, array in arrays.items()})
    if isinstance(example, list) and example and all(isinstance(each, str) for each in example):
        return Feed([tensor(ONLY_INPUT, "BYTES", (-1,))], lambda arrays: texts(ONLY_INPUT, arrays[ONLY_INPUT]))
    return Feed([tensor(ONLY_INPUT, "FP64", (-1, -1))], lambda arrays: pandas.DataFrame(arrays[ONLY_INPUT].copy()))


def _example_column(name: Any, column: Any) -> Column:
    dtype: Optional[Any] = column.dtype if isinstance(column.dtype, np.dtype) else None
    if dtype is not None and dtype.kind == "M":
        return Column(name, str(name), "BYTES", _reader("datetime"))
    datatype = None if dtype is None or dtype.kind in "OSU" else DATATYPES.get(dtype)
    if datatype is not None:
        return Column(name, str(name), datatype, lambda _name, array: array.copy())
    is_text = all(isinstance(each, str) for each in column.tolist())
    return Column(name, str(name), "BYTES", _reader("string" if is_text else "json"))


def _example_row(name: str, array: Array) -> Dict[str, Any]:
    datatype = "BYTES" if array.dtype.kind in "OSU" else DATATYPES.get(array.dtype, "FP64")
    return tensor(name, datatype, (-1, *array.shape[1:]))
