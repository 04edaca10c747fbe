"""A JSON body becomes tensors: by row (`instances`), by column (`inputs`), by name, or the value of an only input."""

from __future__ import annotations

import itertools
from typing import Any

import orjson

from salver.errors import Code, RequestError
from salver.serving.payload.columns import check_names, quoted
from salver.serving.payload.leaves import BASE64, Where, coerced
from salver.serving.payload.policy import STRICT, Policy
from salver.serving.payload.values import TYPE_WORDS, fitted_shape, has_rows, refused
from salver.types import Signature, Tensor, TensorSpec

MAX_RANK = 32
"""Deeper lists than these are no tensor, where the model does not say how deep they are."""


def values_to_inputs(document: Any, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    """All inputs of a signature. Raises RequestError(INVALID_INPUT)."""
    values = _by_name(document, [spec.name for spec in signature.inputs])
    return {spec.name: value_to_tensor(values[spec.name], spec, policy) for spec in signature.inputs}


def parse_json(raw: bytes | bytearray | memoryview) -> Any:
    """Strict JSON: no NaN, no Infinity, and nesting that the parser bounds."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestError(Code.INVALID_INPUT, f"The body is not JSON: {error}.") from error


def value_to_tensor(value: Any, spec: TensorSpec, policy: Policy = STRICT) -> Tensor:
    """Nested lists of one input as its tensor; a value alone stands for itself."""
    shape, leaves = flatten(value, spec)
    fitted = fitted_shape(spec, shape)
    values = coerced(leaves, spec, Where(len(leaves) // fitted[0] if has_rows(spec) else len(leaves)), policy)
    return Tensor(spec.datatype, fitted, values if isinstance(values, list) else values.reshape(fitted))


def _by_name(document: Any, names: list[str]) -> dict[str, Any]:
    """The value of each input, out of whichever form the caller chose."""
    if isinstance(document, dict):
        if "instances" in document and "instances" not in names:
            return _columns(_only(document, "instances"), names)
        if "inputs" in document and "inputs" not in names:
            document = _only(document, "inputs")
    if isinstance(document, dict) and not is_base64(document, names):
        check_names(document, names, "inputs")
        return document
    if len(names) != 1:
        raise RequestError(
            Code.INVALID_INPUT,
            f"The model takes {len(names)} inputs ({', '.join(names)}); the body holds {_word(document)}.",
            fix="Send a JSON object that names each input.",
        )
    return {names[0]: document}


def _columns(rows: Any, names: list[str]) -> dict[str, Any]:
    if not isinstance(rows, list) or not rows:
        raise RequestError(Code.INVALID_INPUT, "'instances' must be a list with at least one row.")
    if not all(isinstance(row, dict) and not is_base64(row, names) for row in rows):
        return _by_name(rows, names)
    for row in rows:
        check_names(row, names, "inputs")
    return {name: [row[name] for row in rows] for name in names}


def _only(document: dict[str, Any], key: str) -> Any:
    """The one value of a document that may hold nothing else."""
    others = document.keys() - {key}
    if others:
        raise RequestError(
            Code.INVALID_INPUT, f"Beside '{key}' the body holds {quoted(others)}, which nothing here reads."
        )
    return document[key]


def flatten(value: Any, spec: TensorSpec) -> tuple[tuple[int, ...], list[Any]]:
    """The shape and the leaves of nested lists, which must be of one length at each level."""
    shape: list[int] = []
    level = [value]
    deepest = len(spec.shape) if spec.has_rank else MAX_RANK
    while level and type(level[0]) is list and len(shape) <= deepest:
        length = len(level[0])
        if not all(type(item) is list and len(item) == length for item in level):
            raise refused(spec, f"holds lists of different lengths or depths at level {len(shape) + 1}")
        shape.append(length)
        level = list(itertools.chain.from_iterable(level))
    return tuple(shape), level


def is_base64(document: dict[str, Any], names: list[str]) -> bool:
    """Whether an object is a value, not names and values."""
    return document.keys() == {BASE64} and BASE64 not in names


def _word(value: Any) -> str:
    return TYPE_WORDS.get(type(value), "another value")
