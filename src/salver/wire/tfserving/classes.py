"""Which outputs of a signature are classes, and the pairs of label and score that they make. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from salver.types import Array, Signature, TensorSpec

CLASSES = "classes"
SCORES = "scores"
FLOATS = ("FP16", "FP32", "FP64")


class ClassColumns(msgspec.Struct, frozen=True):
    """The outputs with labels and with scores, each of shape [rows, k]; one of the two may be missing."""

    classes: str | None
    scores: str | None


def class_columns(signature: Signature) -> ClassColumns | None:
    """The columns of a signature that ranks, or whose outputs are called as those of the original's classifiers."""
    if signature.ranking is not None:
        return ClassColumns(signature.ranking.classes, signature.ranking.probabilities)
    outputs = {spec.name: spec for spec in signature.outputs}
    labels, scores = outputs.pop(CLASSES, None), outputs.pop(SCORES, None)
    if outputs or (labels is None and scores is None):
        return None
    if not _is_column(labels, ("BYTES",)) or not _is_column(scores, FLOATS):
        return None
    return ClassColumns(None if labels is None else CLASSES, None if scores is None else SCORES)


def class_pairs(outputs: Mapping[str, Array], columns: ClassColumns) -> list[list[tuple[str, Any]]]:
    """For each row its labels with their scores: no label is the empty one, no score is 0."""
    if columns.classes is None:
        assert columns.scores is not None
        return [[("", score) for score in row] for row in outputs[columns.scores]]
    labels = outputs[columns.classes].tolist()
    if columns.scores is None:
        return [[(label_text(label), 0.0) for label in row] for row in labels]
    return [
        [(label_text(label), score) for label, score in zip(names, values, strict=True)]
        for names, values in zip(labels, outputs[columns.scores], strict=True)
    ]


def label_text(label: Any) -> str:
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)


def _is_column(spec: TensorSpec | None, datatypes: tuple[str, ...]) -> bool:
    return spec is None or (spec.datatype in datatypes and len(spec.shape) == 2)
