"""Documents of lists, objects and values become tensors, in whichever of the forms that callers know.

JSON and msgpack hold the same documents; lines of JSON are the rows of one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from salver.errors import Code, RequestError
from salver.serving.payload.columns import Column, columns_to_inputs, quoted
from salver.serving.payload.json_values import is_base64, value_to_tensor, values_to_inputs
from salver.serving.payload.policy import Policy
from salver.serving.payload.raw import raw_of_shape
from salver.serving.payload.values import fitted_shape, refused
from salver.types import Signature, Tensor, TensorSpec

SPLIT = "dataframe_split"
RECORDS = "dataframe_records"
FRAMES = {"pandas-split": SPLIT, "pandas-records": RECORDS}
"""What `format=` in the content type says of a bare table."""
TENSOR_KEYS = frozenset({"name", "shape", "datatype", "data"})


def document_to_inputs(document: Any, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    """All inputs of a signature. Raises RequestError(INVALID_INPUT)."""
    names = [spec.name for spec in signature.inputs]
    columns = _table(document, names)
    if columns is not None:
        return columns_to_inputs(columns, signature, policy)
    tensors = _tensors(document, names)
    if tensors is not None:
        return {spec.name: tensor_of(tensors, spec, policy) for spec in signature.inputs}
    return values_to_inputs(document, signature, policy)


def rows_to_inputs(rows: Sequence[Any], signature: Signature, policy: Policy) -> dict[str, Tensor]:
    """Of rows that came one by one: objects by column, or values of an only input."""
    if are_records(rows, [spec.name for spec in signature.inputs]):
        return columns_to_inputs(records_to_columns(rows), signature, policy)
    return values_to_inputs({"instances": list(rows)}, signature, policy)


def are_records(rows: Any, names: Sequence[str]) -> bool:
    return (
        type(rows) is list and bool(rows) and all(type(row) is dict and not is_base64(row, list(names)) for row in rows)
    )


def _table(document: Any, names: Sequence[str]) -> list[Column] | None:
    """The columns of a data frame as pandas writes it; None when the document is in another form."""
    if are_records(document, names):
        return records_to_columns(document)
    if type(document) is not dict:
        return None
    for key, read in ((SPLIT, split_to_columns), (RECORDS, records_to_columns)):
        if key in document and key not in names:
            others = document.keys() - {key, "params"}
            if others:
                raise _invalid(f"Beside '{key}' the body holds {quoted(others)}, which nothing here reads.")
            return read(document[key])
    return None


def records_to_columns(rows: Any) -> list[Column]:
    """A list of objects. A key that one leaves out is null there."""
    if not are_records(rows, ()):
        raise _invalid("The records of a table must be a list of objects, one for each row.")
    names = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    if not all(type(name) is str for name in names):
        raise _invalid("The names of a table's columns must be text.")
    return [_column(name, [row.get(name) for row in rows]) for name in names]


def split_to_columns(frame: Any) -> list[Column]:
    """An object with `columns` and `data`, a list of rows; its `index` is left aside."""
    if type(frame) is not dict or type(frame.get("data")) is not list or not frame["data"]:
        raise _invalid("A table in the form 'split' must be an object with 'columns' and 'data', a list of rows.")
    rows, width = frame["data"], len(frame["data"][0]) if type(frame["data"][0]) is list else 0
    names = frame.get("columns", list(map(str, range(width))))
    if type(names) is not list or not all(type(name) in (str, int) for name in names):
        raise _invalid("The columns of a table in the form 'split' must be a list of names.")
    for number, row in enumerate(rows):
        if type(row) is not list or len(row) != len(names):
            raise _invalid(f"Row {number} of the table is not a list of {len(names)} values, one for each column.")
    values = zip(*rows, strict=True) if names else ()
    return [_column(str(name), list(column)) for name, column in zip(names, values, strict=True)]


def _column(name: str, values: list[Any]) -> Column:
    """Cells may be lists: they must then have one shape."""
    shape = [len(values)]
    while values and all(type(value) is list for value in values):
        lengths = set(map(len, values))
        if len(lengths) != 1:
            raise _invalid(f"The column '{name[:64]}' of the table holds lists of different lengths.")
        shape.append(lengths.pop())
        values = list(itertools.chain.from_iterable(values))
    return Column(name, values, tuple(shape))


def _tensors(document: Any, names: Sequence[str]) -> dict[str, dict[str, Any]] | None:
    """The inputs of a request of the Open Inference protocol, by name; None when the document is in another form."""
    given = document.get("inputs") if type(document) is dict and "inputs" not in names else None
    if type(given) is not list or not given:
        return None
    if not all(type(item) is dict and item.keys() >= TENSOR_KEYS for item in given):
        return None
    tensors = {item["name"]: item for item in given if type(item["name"]) is str}
    if tensors.keys() != set(names) or len(given) != len(names):
        raise _invalid(f"The model takes the inputs {quoted(names)}; the request brings {quoted(tensors) or 'others'}.")
    return tensors


def tensor_of(tensors: dict[str, dict[str, Any]], spec: TensorSpec, policy: Policy) -> Tensor:
    """A tensor with its shape and datatype beside it; `data` may be flat, and bytes are its raw values."""
    item = tensors[spec.name]
    shape, data = item["shape"], item["data"]
    if item["datatype"] != spec.datatype:
        raise refused(spec, f"is of the datatype {spec.datatype}, and the request says {str(item['datatype'])[:16]}")
    if type(shape) is not list or not all(type(size) is int and 0 <= size < 2**40 for size in shape):
        raise refused(spec, "has a shape that is not a list of sizes")
    fitted = fitted_shape(spec, tuple(shape))
    if type(data) is bytes:
        return raw_of_shape(data, fitted, spec)
    leaves = _leaves(data)
    flat = value_to_tensor(leaves, TensorSpec(name=spec.name, datatype=spec.datatype, shape=(-1,)), policy)
    size = 1
    for length in fitted:
        size *= length
    if size != len(leaves):
        raise refused(spec, f"has {len(leaves)} values, and its shape {shape} takes {size}")
    values = flat.data if spec.datatype == "BYTES" else flat.data.reshape(fitted)
    return Tensor(spec.datatype, fitted, values)


def _leaves(data: Any) -> list[Any]:
    values = data if type(data) is list else [data]
    while any(type(value) is list for value in values):
        values = list(itertools.chain.from_iterable(value if type(value) is list else (value,) for value in values))
    return values


def _invalid(message: str) -> RequestError:
    return RequestError(Code.INVALID_INPUT, message)
