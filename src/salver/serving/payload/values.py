"""Shapes and numbers as a signature wants them; what does not fit is refused in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from salver.errors import Code, RequestError
from salver.types import Array, Signature, Tensor, TensorSpec, shape_matches
from salver_worker.frames import NUMPY_NAMES

ACCEPTED: dict[str, frozenset[type]] = {
    "b": frozenset({bool}),
    "i": frozenset({int}),
    "u": frozenset({int}),
    "f": frozenset({int, float}),
}
"""The Python types that may fill an array, by NumPy's letter for its kind."""

TYPE_WORDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    str: "text",
    dict: "an object",
    list: "a list",
    type(None): "null",
}


def refused(spec: TensorSpec, text: str, *, code: Code = Code.INVALID_INPUT, fix: str | None = None) -> RequestError:
    """The error that says of one input why it cannot be taken."""
    return RequestError(code, f"The input '{spec.name}' {text}.", fix=fix)


def has_rows(spec: TensorSpec) -> bool:
    """Whether the first dimension counts rows."""
    return spec.has_rank and spec.shape[:1] == (-1,)


def row_shape(spec: TensorSpec) -> tuple[int, ...]:
    """The shape of one row; of the whole tensor where the model takes no rows."""
    return spec.shape[1:] if has_rows(spec) else spec.shape


def shape_of_rows(spec: TensorSpec, rows: int, row: Sequence[int]) -> tuple[int, ...]:
    """The shape of `rows` rows of the shape `row`."""
    if has_rows(spec):
        return (rows, *row)
    if rows != 1:
        raise refused(spec, f"takes one value at a time, not {rows} rows")
    return tuple(row)


def fitted_shape(spec: TensorSpec, shape: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` as the model takes it.

    A single row may come without the dimension that counts rows, and rows of one value without their other dimensions.
    """
    if not math.prod(shape):
        raise refused(spec, f"has no values: its shape is {list(shape)}")
    if spec.fits(shape):
        return shape
    if has_rows(spec) and shape_matches(spec.shape[1:], shape):
        return (1, *shape)
    if has_rows(spec) and len(shape) == 1 and all(size == 1 for size in spec.shape[1:]):
        return (shape[0], *spec.shape[1:])
    raise refused(spec, f"has the shape {list(shape)}; the model takes {list(spec.shape)}")


def count_rows(inputs: dict[str, Tensor], signature: Signature) -> int:
    """The rows that all inputs agree on; 1 where the model takes none."""
    counts = {spec.name: inputs[spec.name].shape[0] for spec in signature.inputs if has_rows(spec)}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"'{name}' has {rows}" for name, rows in counts.items())
        raise RequestError(Code.INVALID_INPUT, f"The inputs differ in their number of rows: {listed}.")
    return next(iter(counts.values()), 1)


def numpy_type(spec: TensorSpec) -> np.dtype[Any]:
    name = NUMPY_NAMES.get(spec.datatype)
    if name is None:
        raise refused(
            spec,
            f"is of the datatype {spec.datatype}, which only raw bytes can fill",
            fix="Send the tensor's bytes, row by row, as application/octet-stream.",
        )
    return np.dtype(name)


def numbers(leaves: list[Any], spec: TensorSpec) -> Array:
    """The flat list as an array of the input's datatype, every value unchanged but for rounding."""
    dtype = numpy_type(spec)
    wrong = set(map(type, leaves)) - ACCEPTED[dtype.kind]
    if wrong:
        word = min(TYPE_WORDS[kind] for kind in wrong)
        raise refused(spec, f"takes {spec.datatype} values and holds {word}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if min(leaves) < limits.min or max(leaves) > limits.max:
            raise refused(spec, f"holds a number outside {spec.datatype} ({limits.min} to {limits.max})")
    with np.errstate(over="ignore"):
        array: Array = np.array(leaves, dtype)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise refused(spec, f"holds a number that {spec.datatype} cannot: infinite, not a number, or too large")
    return array
