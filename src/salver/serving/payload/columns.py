"""The columns of a table become the inputs of a signature."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from salver.errors import Code, RequestError
from salver.serving.payload.arrays import coerced_array
from salver.serving.payload.leaves import Where, coerced
from salver.serving.payload.policy import Policy
from salver.serving.payload.values import refused, row_shape, shape_of_rows
from salver.types import Array, Signature, Tensor, TensorSpec, shape_matches

MAX_COLUMNS = 100_000


class Column(NamedTuple):
    """One column: its values in row-major order, Python's own or an array of numbers; in their shape, rows come first.

    `missing` marks places of an array that hold no value. `word` and `first` say how its rows are counted.
    """

    name: str
    values: Sequence[Any] | Array
    shape: tuple[int, ...]
    missing: Array | None = None
    word: str = "row"
    first: int = 0

    def coerced(self, spec: TensorSpec, policy: Policy) -> Any:
        """Flat values in the input's datatype. Raises RequestError(INVALID_INPUT)."""
        where = Where(math.prod(self.shape[1:]), self.word, self.first, self.name)
        if isinstance(self.values, np.ndarray):
            return coerced_array(self.values, spec, where, policy, self.missing)
        return coerced(self.values, spec, where, policy)


def columns_to_inputs(columns: Sequence[Column], signature: Signature, policy: Policy) -> dict[str, Tensor]:
    """By name where the model takes several inputs; all together where it takes one. Raises RequestError."""
    check_columns(columns)
    if len(signature.inputs) == 1:
        (spec,) = signature.inputs
        return {spec.name: table_to_tensor(columns, spec, policy)}
    named = {column.name: column for column in columns}
    check_names(named, [spec.name for spec in signature.inputs], "inputs")
    return {spec.name: column_to_tensor(named[spec.name], spec, policy) for spec in signature.inputs}


def check_columns(columns: Sequence[Column]) -> None:
    names = [column.name for column in columns]
    if not columns or not columns[0].shape[0]:
        raise RequestError(Code.INVALID_INPUT, "The table has no rows." if columns else "The table has no columns.")
    if len(columns) > MAX_COLUMNS:
        raise RequestError(Code.INVALID_INPUT, f"The table has {len(columns)} columns; at most {MAX_COLUMNS} are read.")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(Code.INVALID_INPUT, f"The table has two columns named '{twice[:64]}'.")


def check_names(given: Iterable[str], names: Sequence[str], what: str) -> None:
    missing, unknown = set(names).difference(given), set(given).difference(names)
    if missing or unknown:
        parts = [f"{quoted(missing)} missing"] if missing else []
        parts += [f"{quoted(unknown)} unknown"] if unknown else []
        raise RequestError(
            Code.INVALID_INPUT, f"The model takes the {what} {quoted(names)}; in the body: {', '.join(parts)}."
        )


def quoted(names: Iterable[Any]) -> str:
    return ", ".join(f"'{name[:64]}'" for name in sorted(map(str, names))[:16])


def table_to_tensor(columns: Sequence[Column], spec: TensorSpec, policy: Policy) -> Tensor:
    """One column is the input itself; several are its values side by side, in their order or by the model's names."""
    if len(columns) == 1 and not spec.columns:
        return column_to_tensor(columns[0], spec, policy)
    if spec.columns:
        named = {column.name: column for column in columns}
        check_names(named, spec.columns, "columns")
        columns = [named[name] for name in spec.columns]
    for column in columns:
        if len(column.shape) != 1:
            raise refused(spec, f"is made of columns of single values; the column '{column.name[:64]}' holds lists")
    row = row_of(len(columns), spec)
    shape = shape_of_rows(spec, columns[0].shape[0], row)
    coerced = [column.coerced(spec, policy) for column in columns]
    if spec.datatype == "BYTES":
        return Tensor("BYTES", shape, list(itertools.chain.from_iterable(zip(*coerced, strict=True))))
    return Tensor(spec.datatype, shape, np.stack(coerced, axis=1).reshape(shape))


def row_of(columns: int, spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a row that has so many values."""
    row = row_shape(spec)
    if row == (-1,):
        return (columns,)
    if -1 in row:
        raise refused(
            spec,
            f"has rows of the free shape {list(row)}, which the columns of a table cannot show",
            fix="Send JSON, .npy, or one column of lists.",
        )
    if math.prod(row) != columns:
        raise refused(spec, f"takes {math.prod(row)} values in a row; the table has {columns} columns")
    return row


def column_to_tensor(column: Column, spec: TensorSpec, policy: Policy) -> Tensor:
    row = column.shape[1:]
    if not row:
        row = row_of(1, spec)
    elif not shape_matches(row_shape(spec), row):
        raise refused(spec, f"takes rows of the shape {list(row_shape(spec))}; those of the column are {list(row)}")
    elif 0 in row:
        raise refused(spec, f"has no values: the rows of its column are of the shape {list(row)}")
    shape = shape_of_rows(spec, column.shape[0], row)
    values = column.coerced(spec, policy)
    return Tensor(spec.datatype, shape, values if spec.datatype == "BYTES" else values.reshape(shape))
