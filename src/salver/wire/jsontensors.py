"""Output arrays to JSON, for every wire that speaks JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson
import pybase64

from salver.types import Array

_EXACT_AS_PYTHON = frozenset("?bBhHiIlLqQd")
"""NumPy's letters of booleans, whole numbers and doubles: as Python's own values they print the same."""


def encode_array(array: Array, *, as_base64: bool = False) -> Any:
    """What `dumps` writes for an output: an array that it takes, or nested lists of strings for BYTES.

    `as_base64` writes every element of BYTES as ``{"b64": ...}``; without it only those that are not UTF-8.
    """
    if array.dtype.kind == "O":
        return _nested(array.tolist(), _base64_object if as_base64 else _text)
    if not array.ndim:
        return array[()]
    if array.flags.c_contiguous and array.dtype.isnative:
        return array
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def encode_rows(array: Array, *, as_base64: bool = False) -> Sequence[Any]:
    """The rows of an output, each as `encode_array` would give it."""
    if array.dtype.char in _EXACT_AS_PYTHON:
        rows: list[Any] = array.tolist()
        return rows
    encoded: Sequence[Any] = encode_array(array, as_base64=as_base64)
    return encoded


def _nested(values: Any, text: Callable[[bytes], Any]) -> Any:
    return [_nested(value, text) for value in values] if type(values) is list else text(values)


def dumps(value: Any) -> bytes:
    """Compact JSON; NaN and infinities become null, float32 prints its own shortest digits."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _text(element: bytes) -> str | dict[str, str]:
    try:
        return str(element, "utf-8")
    except UnicodeDecodeError:
        return _base64_object(element)


def _base64_object(element: bytes) -> dict[str, str]:
    return {"b64": pybase64.b64encode_as_string(element)}
