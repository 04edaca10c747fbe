"""Bytes that need no parsing: one element of a BYTES input, or a tensor as it lies in memory."""

from __future__ import annotations

import math
from typing import Any

from salver.serving.payload.values import refused, row_shape, shape_of_rows
from salver.types import SlabSlice, Tensor, TensorSpec
from salver_worker.frames import DATATYPE_SIZES


def as_view(data: Any) -> Any:
    """What a part holds, readable as a buffer, without a copy."""
    return data.view if type(data) is SlabSlice else data


def as_bytes(data: Any) -> bytes:
    """What a part holds, as bytes of its own; a copy unless it is `bytes` already."""
    return data if type(data) is bytes else bytes(as_view(data))


def element_shape(spec: TensorSpec) -> tuple[int, ...] | None:
    """The shape of an input that holds one element, or None where one element cannot fill it."""
    if any(size not in (-1, 1) for size in spec.shape):
        return None
    return (1,) * len(spec.shape)


def element_to_tensor(data: Any, spec: TensorSpec) -> Tensor:
    """The whole of `data` as the one element of a BYTES input."""
    shape = element_shape(spec)
    if shape is None:
        raise refused(
            spec, f"takes {list(spec.shape)} elements, and a body is one", fix="Send a JSON list of the elements."
        )
    return Tensor("BYTES", shape, [as_bytes(data)])


def raw_to_tensor(data: Any, spec: TensorSpec) -> Tensor:
    """Row-major little-endian values, as many rows as there are; without a copy."""
    row = row_shape(spec)
    if -1 in row:
        raise refused(
            spec,
            f"has rows of the free shape {list(row)}, which raw bytes cannot tell",
            fix="Send application/x-npy or application/json.",
        )
    row_bytes, size = math.prod(row) * DATATYPE_SIZES[spec.datatype], len(data)
    if not size or size % row_bytes:
        raise refused(
            spec,
            f"takes rows of {row_bytes} bytes ({spec.datatype} {list(row)}); {size} bytes are no whole number of them",
            fix="Send raw values of that datatype, or name the body's format in Content-Type.",
        )
    return Tensor(spec.datatype, shape_of_rows(spec, size // row_bytes, row), data)


def raw_of_shape(data: Any, shape: tuple[int, ...], spec: TensorSpec) -> Tensor:
    """Row-major little-endian values of a shape that was told; the datatype must be one of numbers."""
    if spec.datatype == "BYTES":
        raise refused(spec, "takes elements, and one run of bytes does not show them", fix="Send a list of elements.")
    announced = math.prod(shape) * DATATYPE_SIZES[spec.datatype]
    if announced != len(data):
        raise refused(spec, f"of shape {list(shape)} is {announced} bytes long as {spec.datatype}, not {len(data)}")
    return Tensor(spec.datatype, shape, data)


def as_text(elements: list[bytes]) -> list[str] | None:
    """All elements as text; None when one of them is not UTF-8."""
    try:
        return [str(element, "utf-8") for element in elements]
    except UnicodeDecodeError:
        return None
