"""Outputs to the JSON of an answer: `predictions`, one element per row, or `outputs`, one value per output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from salver.types import Array
from salver.wire.jsontensors import dumps, encode_array, encode_rows
from salver.wire.tfserving.errors import invalid

BYTES_SUFFIX = "_bytes"
"""BYTES of an output whose name ends so are written as b64 objects, all others as strings."""


def encode_outputs(outputs: Mapping[str, Array], *, is_row: bool) -> bytes:
    """The answer's body. Raises RequestError(INVALID_INPUT) when the row form cannot hold these outputs."""
    if not is_row:
        values = {name: encode_array(array, as_base64=is_raw(name)) for name, array in outputs.items()}
        return dumps({"outputs": values if len(values) > 1 else next(iter(values.values()))})
    lone = _lone_row(outputs)
    if lone is not None:
        return lone
    _check_rows(outputs)
    columns = [encode_rows(array, as_base64=is_raw(name)) for name, array in outputs.items()]
    if len(outputs) == 1:
        return dumps({"predictions": columns[0]})
    names = tuple(outputs)
    return dumps({"predictions": [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]})


def is_raw(name: str) -> bool:
    """Whether the strings of an output are bytes to its callers."""
    return name.endswith(BYTES_SUFFIX)


def _lone_row(outputs: Mapping[str, Array]) -> bytes | None:
    """The answer to the usual request, one row and several outputs of numbers; None for any other."""
    row: dict[str, Any] = {}
    for name, array in outputs.items():
        if array.shape[:1] != (1,):
            return None
        row[name] = array[0]
    try:
        return dumps({"predictions": [row]}) if len(row) > 1 else None
    except TypeError:
        return None


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
