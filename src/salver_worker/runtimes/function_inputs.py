"""The inputs of a served function: from its SIGNATURE, else its annotations, else the manifest's example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from salver_worker.arrays import datatype_of
from salver_worker.failures import LoadFailure
from salver_worker.frames import DATATYPE_SIZES
from salver_worker.runtimes.annotations import OPEN, RECORD, TABLE, FunctionShape, Kind
from salver_worker.runtimes.base import tensor

if TYPE_CHECKING:
    from salver_worker.arrays import Array

DATATYPES = (*DATATYPE_SIZES, "BYTES")
ADVICE = "Declare SIGNATURE in the file, or give an [example] in model.toml."


class Input(NamedTuple):
    """One input as callers see it, and whether its BYTES are handed over as str."""

    spec: Dict[str, Any]
    is_text: bool


def read_signature(declared: Any, key: str) -> Optional[List[Dict[str, Any]]]:
    """The rows of SIGNATURE["inputs"] or ["outputs"]; None when they are not declared. Raises LoadFailure."""
    if declared is None:
        return None
    try:
        rows = dict(declared).get(key)
        return None if rows is None else [_signature_row(row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise LoadFailure(
            "SIGNATURE[%r] is not a list of inputs or outputs: %s" % (key, error),
            fix='Write each as {"name": "x", "datatype": "FP32", "shape": [-1, 4]}.',
        ) from error


def _signature_row(row: Mapping[str, Any]) -> Dict[str, Any]:
    if row["datatype"] not in DATATYPES:
        raise ValueError("the datatype %r is none of %s" % (row["datatype"], ", ".join(DATATYPES)))
    return tensor(str(row["name"]), row["datatype"], [int(dim) for dim in row["shape"]])


def plan_inputs(
    shape: FunctionShape, declared: Optional[Sequence[Dict[str, Any]]], example: Mapping[str, Any]
) -> List[Input]:
    """One Input for each tensor that the function is fed. Raises LoadFailure when their names cannot be known."""
    kinds = _named_kinds(shape, declared, example)
    by_name = {row["name"]: row for row in declared or ()}
    if declared is not None and set(by_name) != set(kinds):
        raise LoadFailure(
            "SIGNATURE names the inputs %s, and the function takes %s" % (", ".join(by_name), ", ".join(kinds))
        )
    return [_input(name, kind, by_name.get(name), example.get(name), shape) for name, kind in kinds.items()]


def _named_kinds(
    shape: FunctionShape, declared: Optional[Sequence[Dict[str, Any]]], example: Mapping[str, Any]
) -> Dict[str, Kind]:
    only = shape.parameters[0].kind if len(shape.parameters) == 1 else Kind(OPEN)
    if only.fields:
        return dict(only.fields)
    if only.style not in (RECORD, TABLE) and not shape.takes_any_name:
        return {parameter.name: parameter.kind for parameter in shape.parameters}
    names = [row["name"] for row in declared] if declared is not None else list(example)
    if not names:
        raise LoadFailure("the function does not say which inputs it takes", fix=ADVICE)
    return {name: Kind(OPEN) for name in names}


def _input(name: str, kind: Kind, declared: Optional[Dict[str, Any]], example: Any, shape: FunctionShape) -> Input:
    if declared is not None:
        return Input(declared, kind.is_text)
    if kind.datatype and kind.shape is not None:
        return Input(tensor(name, kind.datatype, kind.shape), kind.is_text)
    if example is not None:
        return _from_example(name, kind, example)
    fallback = (-1,) if shape.is_by_row else (-1, -1)
    return Input(tensor(name, kind.datatype or "FP64", fallback), kind.is_text)


def _as_array(example: Any) -> Array:
    """An array of objects where the nested lists are no table."""
    try:
        return np.asarray(example)
    except ValueError:
        return np.asarray([None])


def _from_example(name: str, kind: Kind, example: Any) -> Input:
    """Text is handed over as str, a file's content as bytes; every dimension but the first is as in the example."""
    first = example[0] if isinstance(example, list) and example else example
    if isinstance(first, dict):
        return Input(tensor(name, "BYTES", (-1,)), False)
    array = _as_array(example)
    datatype = kind.datatype or datatype_of(array)
    if datatype is None or array.dtype.kind == "O" or array.ndim == 0:
        raise LoadFailure(
            "the example's input %s is not a list of rows" % name,
            code="MANIFEST_INVALID",
            fix="Write it as a list with one element, or one list, for each row.",
            where=["example", "inputs", name],
        )
    return Input(tensor(name, datatype, (-1, *array.shape[1:])), kind.is_text or not kind.datatype)
