"""Classes and numbers as messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from salver.types import Array
from salver.wire.tfserving.classes import ClassColumns, class_pairs
from salver.wire.tfserving.pb import serving_pb2 as tfs


def classification_of(outputs: Mapping[str, Array], columns: ClassColumns) -> tfs.ClassificationResult:
    """Labels and scores of each Example."""
    return tfs.ClassificationResult(
        classifications=[
            tfs.Classifications(classes=[tfs.Class(label=label, score=float(score)) for label, score in row])
            for row in class_pairs(outputs, columns)
        ]
    )


def regression_of(array: Array) -> tfs.RegressionResult:
    """The number of each Example."""
    values = array.reshape(array.shape[0]).tolist()
    return tfs.RegressionResult(regressions=[tfs.Regression(value=value) for value in values])
