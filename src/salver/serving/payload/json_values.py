"""A JSON body becomes tensors: by row (`instances`), by column (`inputs`), by name, or the value of an only input."""

from __future__ import annotations

import binascii
import itertools
from collections.abc import Iterable
from typing import Any

import orjson
import pybase64

from salver.errors import Code, RequestError
from salver.serving.payload.values import TYPE_WORDS, fitted_shape, numbers, refused
from salver.types import Signature, Tensor, TensorSpec

BASE64 = "b64"
MAX_RANK = 32
"""Deeper lists than these are no tensor, where the model does not say how deep they are."""


def json_to_inputs(raw: bytes | bytearray | memoryview, signature: Signature) -> dict[str, Tensor]:
    """All inputs of a signature. Raises RequestError(INVALID_INPUT)."""
    values = _by_name(parse_json(raw), [spec.name for spec in signature.inputs])
    return {spec.name: value_to_tensor(values[spec.name], spec) for spec in signature.inputs}


def parse_json(raw: bytes | bytearray | memoryview) -> Any:
    """Strict JSON: no NaN, no Infinity, and nesting that the parser bounds."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestError(Code.INVALID_INPUT, f"The body is not JSON: {error}.") from error


def value_to_tensor(value: Any, spec: TensorSpec) -> Tensor:
    """Nested lists of one input as its tensor; a value alone stands for itself."""
    shape, leaves = _flatten(value, spec)
    fitted = fitted_shape(spec, shape)
    if spec.datatype == "BYTES":
        return Tensor("BYTES", fitted, [_element(leaf, spec) for leaf in leaves])
    return Tensor(spec.datatype, fitted, numbers(leaves, spec).reshape(fitted))


def _by_name(document: Any, names: list[str]) -> dict[str, Any]:
    """The value of each input, out of whichever form the caller chose."""
    if isinstance(document, dict):
        if "instances" in document and "instances" not in names:
            return _columns(_only(document, "instances"), names)
        if "inputs" in document and "inputs" not in names:
            document = _only(document, "inputs")
    if isinstance(document, dict) and not _is_base64(document, names):
        _check_names(document, names)
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
    if not all(isinstance(row, dict) and not _is_base64(row, names) for row in rows):
        return _by_name(rows, names)
    for row in rows:
        _check_names(row, names)
    return {name: [row[name] for row in rows] for name in names}


def _only(document: dict[str, Any], key: str) -> Any:
    """The one value of a document that may hold nothing else."""
    others = document.keys() - {key}
    if others:
        raise RequestError(
            Code.INVALID_INPUT, f"Beside '{key}' the body holds {_quoted(others)}, which nothing here reads."
        )
    return document[key]


def _check_names(given: Iterable[str], names: list[str]) -> None:
    missing, unknown = set(names).difference(given), set(given).difference(names)
    if missing or unknown:
        parts = [f"{_quoted(missing)} missing"] if missing else []
        parts += [f"{_quoted(unknown)} unknown"] if unknown else []
        raise RequestError(
            Code.INVALID_INPUT, f"The model takes the inputs {_quoted(names)}; in the body: {', '.join(parts)}."
        )


def _flatten(value: Any, spec: TensorSpec) -> tuple[tuple[int, ...], list[Any]]:
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


def _element(leaf: Any, spec: TensorSpec) -> bytes:
    if isinstance(leaf, str):
        return leaf.encode()
    if isinstance(leaf, dict) and leaf.keys() == {BASE64} and isinstance(leaf[BASE64], str):
        try:
            return pybase64.b64decode(leaf[BASE64], validate=True)
        except (binascii.Error, ValueError) as error:
            raise refused(spec, "holds a 'b64' value that is not base64") from error
    raise refused(spec, f'takes text or {{"b64": "..."}} and holds {_word(leaf)}')


def _is_base64(document: dict[str, Any], names: list[str]) -> bool:
    """Whether an object is a value, not names and values."""
    return document.keys() == {BASE64} and BASE64 not in names


def _word(value: Any) -> str:
    return TYPE_WORDS[type(value)]


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name[:64]}'" for name in sorted(names)[:16])
