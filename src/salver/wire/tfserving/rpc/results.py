"""Classes and numbers as messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from salver.types import Array, Ranking
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.results import label_text


def classification_of(outputs: Mapping[str, Array], ranking: Ranking) -> tfs.ClassificationResult:
    """Labels and scores of each Example, as the signature ranks them."""
    labels, scores = outputs[ranking.classes].tolist(), outputs[ranking.probabilities].tolist()
    return tfs.ClassificationResult(
        classifications=[
            tfs.Classifications(
                classes=[
                    tfs.Class(label=label_text(label), score=score) for label, score in zip(names, values, strict=True)
                ]
            )
            for names, values in zip(labels, scores, strict=True)
        ]
    )


def regression_of(array: Array) -> tfs.RegressionResult:
    """The number of each Example."""
    values = array.reshape(array.shape[0]).tolist()
    return tfs.RegressionResult(regressions=[tfs.Regression(value=value) for value in values])
