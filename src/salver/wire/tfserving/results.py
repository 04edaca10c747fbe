"""The answers of `:classify` and `:regress`: `results`, one element per example."""

from __future__ import annotations

from collections.abc import Mapping

from salver.types import Array
from salver.wire.jsontensors import dumps
from salver.wire.tfserving.classes import ClassColumns, class_pairs


def encode_classes(outputs: Mapping[str, Array], columns: ClassColumns) -> bytes:
    """A list of [label, score] pairs per example."""
    return dumps({"results": class_pairs(outputs, columns)})


def encode_numbers(array: Array) -> bytes:
    """A number per example."""
    return dumps({"results": array.reshape(array.shape[0])})
