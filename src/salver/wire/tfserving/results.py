"""The answers of `:classify` and `:regress`: `results`, one element per example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from salver.types import Array, Ranking
from salver.wire.jsontensors import dumps


def encode_classes(outputs: Mapping[str, Array], ranking: Ranking) -> bytes:
    """A list of [label, score] pairs per example."""
    labels, scores = outputs[ranking.classes], outputs[ranking.probabilities]
    pairs = [
        [(label_text(label), score) for label, score in zip(names, values, strict=True)]
        for names, values in zip(labels.tolist(), scores, strict=True)
    ]
    return dumps({"results": pairs})


def encode_numbers(array: Array) -> bytes:
    """A number per example."""
    return dumps({"results": array.reshape(array.shape[0])})


def label_text(label: Any) -> str:
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
