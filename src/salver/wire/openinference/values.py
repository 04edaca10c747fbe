"""JSON values as a tensor: any nesting of lists counts as their leaves in row-major order. Pure."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import pybase64

from salver.errors import RequestError
from salver.serving.payload.values import numbers
from salver.types import Tensor, TensorSpec
from salver.wire.openinference.document import InputDocument
from salver.wire.openinference.errors import invalid, shown

RAW_ONLY = frozenset({"FP16", "BF16"})
"""Datatypes that this protocol does not write as JSON."""
BASE64 = "base64"
"""The content type of an input or output of BYTES whose elements are base64 in JSON."""
TOO_MANY = "Unable to parse 'data': Shape does not match true shape of 'data' field"
TOO_FEW = "Failed to parse 'data' field: shape does not match true shape"


def json_tensor(given: InputDocument, data: list[Any]) -> Tensor:
    """Raises RequestError(INVALID_INPUT)."""
    if given.datatype in RAW_ONLY:
        raise invalid(
            f"receiving {given.datatype} data via JSON is not supported. Please use the binary data format for input "
            f"{shown(given.name)}"
        )
    shape = tuple(given.shape)
    leaves = flat(data)
    count = math.prod(shape)
    if len(leaves) != count:
        raise invalid(TOO_MANY if len(leaves) > count else TOO_FEW)
    if given.datatype == "BYTES":
        read = _from_base64 if given.parameter("content_type") == BASE64 else _from_text
        return Tensor("BYTES", shape, [read(leaf) for leaf in leaves])
    try:
        array = numbers(leaves, TensorSpec(name=shown(given.name), datatype=given.datatype, shape=shape))
    except RequestError as error:
        raise invalid(f"Unable to parse 'data': {error.message}") from error
    return Tensor(given.datatype, shape, array.reshape(shape))


def flat(values: list[Any]) -> list[Any]:
    """The leaves of lists in lists, in order."""
    kinds = set(map(type, values))
    while list in kinds:
        if len(kinds) == 1:
            values = list(chain.from_iterable(values))
        else:
            values = list(chain.from_iterable(value if type(value) is list else (value,) for value in values))
        kinds = set(map(type, values))
    return values


def _from_text(leaf: Any) -> bytes:
    if type(leaf) is not str:
        raise invalid("Unable to parse 'data': an element of BYTES must be a string")
    return leaf.encode()


def _from_base64(leaf: Any) -> bytes:
    try:
        return pybase64.b64decode(_from_text(leaf), validate=True)
    except ValueError as error:
        raise invalid("Unable to parse 'data': an element is not base64") from error
