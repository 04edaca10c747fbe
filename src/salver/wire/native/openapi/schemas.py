"""JSON Schema (2020-12, as OpenAPI 3.1 uses it) of tensors as JSON writes them, and examples of their values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from salver.types import Signature, TensorSpec

Schema: TypeAlias = dict[str, Any]

MAX_EXAMPLE_ELEMENTS = 64
"""An example with more values than this is left out: nobody reads it."""

BASE64: Schema = {
    "type": "object",
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
    "required": ["b64"],
    "additionalProperties": False,
    "description": "Bytes that are not text, in Base64.",
}

_INTEGER_BITS = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64, "UINT8": 8, "UINT16": 16, "UINT32": 32, "UINT64": 64}


def element_schema(datatype: str, *, is_output: bool) -> Schema:
    """One value of a datatype. A float of an answer may be null, which stands for NaN and the infinities."""
    if datatype == "BYTES":
        return {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/Base64"}]}
    if datatype == "BOOL":
        return {"type": "boolean"}
    if datatype in _INTEGER_BITS:
        bits, is_signed = _INTEGER_BITS[datatype], datatype.startswith("INT")
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
        return {"type": "integer", "minimum": low, "maximum": high}
    return {"type": ["number", "null"]} if is_output else {"type": "number"}


def tensor_schema(spec: TensorSpec, *, is_output: bool = False, is_row: bool = False) -> Schema:
    """Nested arrays of the spec's shape; with `is_row` without its first dimension. A free dimension has any length."""
    if not spec.has_rank:
        return {}
    schema = element_schema(spec.datatype, is_output=is_output)
    for dim in reversed(spec.shape[1:] if is_row else spec.shape):
        schema = {"type": "array", "items": schema}
        if dim >= 0:
            schema |= {"minItems": dim, "maxItems": dim}
    return schema


def named_schema(specs: Sequence[TensorSpec], *, is_output: bool = False, is_row: bool = False) -> Schema:
    """An object of tensors by their names."""
    return {
        "type": "object",
        "properties": {
            spec.name: tensor_schema(spec, is_output=is_output, is_row=is_row)
            | {"description": f"{spec.datatype} {_shape_text(spec, is_row=is_row)}"}
            for spec in specs
        },
        "required": [spec.name for spec in specs],
    }


def _shape_text(spec: TensorSpec, *, is_row: bool) -> str:
    return str(list(spec.shape[1:] if is_row else spec.shape)) if spec.has_rank else "of any shape"


def inputs_schema(signature: Signature) -> Schema:
    """What stands behind `inputs`: an object by name, or the bare values of the only input."""
    named = named_schema(signature.inputs)
    if len(signature.inputs) != 1:
        return named
    return {"anyOf": [named, tensor_schema(signature.inputs[0])]}


def rows_schema(signature: Signature) -> Schema:
    """A list of rows: each an object by name, or the bare values of the only input."""
    row = named_schema(signature.inputs, is_row=True)
    if len(signature.inputs) == 1:
        row = {"anyOf": [row, tensor_schema(signature.inputs[0], is_row=True)]}
    return {"type": "array", "items": row}


def has_rows(signature: Signature) -> bool:
    """Whether every input has a first dimension to count rows by."""
    return bool(signature.inputs) and all(spec.shape for spec in signature.inputs)


def ranking_schema() -> Schema:
    """One list per row, highest first."""
    entry: Schema = {
        "type": "object",
        "properties": {"class": {"type": "string"}, "probability": {"type": ["number", "null"]}},
        "required": ["class", "probability"],
    }
    return {"type": "array", "items": {"type": "array", "items": entry}}


def example_inputs(signature: Signature, example: dict[str, Any] | None) -> dict[str, Any] | None:
    """Values for all inputs by name: the model's own example where it has one, else zeros; None when too many."""
    given = (example or {}).get("inputs")
    if isinstance(given, dict):
        return None if any(map(is_file, given.values())) else dict(given)
    shapes = [tuple(1 if dim < 0 else dim for dim in spec.shape) for spec in signature.inputs]
    if sum(map(math.prod, shapes)) > MAX_EXAMPLE_ELEMENTS:
        return None
    return {
        spec.name: nested(_ZEROS.get(spec.datatype, 0), shape)
        for spec, shape in zip(signature.inputs, shapes, strict=True)
    }


_ZEROS: dict[str, Any] = {"BYTES": "text", "BOOL": False, "FP16": 0.0, "BF16": 0.0, "FP32": 0.0, "FP64": 0.0}


def nested(value: Any, shape: Sequence[int]) -> Any:
    """Lists of lists of the shape with the same value everywhere."""
    for dim in reversed(shape):
        value = [value] * dim
    return value


def is_file(value: Any) -> bool:
    """Whether an example's value is a file's name instead of the values themselves."""
    return isinstance(value, dict) and "file" in value


def example_file(example: dict[str, Any] | None) -> str | None:
    """The file name that a model's example sends, when its only input comes from a file."""
    given = (example or {}).get("inputs")
    if not isinstance(given, dict) or len(given) != 1:
        return None
    (value,) = given.values()
    return str(value["file"]) if is_file(value) else None
