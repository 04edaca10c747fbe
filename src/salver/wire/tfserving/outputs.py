"""Outputs to the JSON of an answer: `predictions`, one element per row, or `outputs`, one value per output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from salver.types import Array
from salver.wire.jsontensors import dumps, encode_array
from salver.wire.tfserving.errors import invalid

BYTES_SUFFIX = "_bytes"
"""BYTES of an output whose name ends so are written as b64 objects, all others as strings."""


def encode_outputs(outputs: Mapping[str, Array], *, is_row: bool) -> bytes:
    """The answer's body. Raises RequestError(INVALID_INPUT) when the row form cannot hold these outputs."""
    if not is_row:
        values = {name: _value(name, array) for name, array in outputs.items()}
        return dumps({"outputs": values if len(values) > 1 else next(iter(values.values()))})
    _check_rows(outputs)
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return dumps({"predictions": _value(name, array)})
    names = tuple(outputs)
    columns = [_value(name, array) for name, array in outputs.items()]
    return dumps({"predictions": [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]})


def _value(name: str, array: Array) -> Any:
    return encode_array(array, as_base64=name.endswith(BYTES_SUFFIX))


def _check_rows(outputs: Mapping[str, Array]) -> None:
    """Every output must have rows, and all the same number of them (not necessarily the request's)."""
    expected = None
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        rows = array.shape[0]
        if expected is not None and rows != expected:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {rows} expecting: {expected}")
        expected = rows
