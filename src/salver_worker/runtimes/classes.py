"""What boosters answer: `label` and `probabilities` where the objective is a classification, else `prediction`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Sequence

import numpy as np

from salver_worker.runtimes.base import Signature, signature, tensor

if TYPE_CHECKING:
    from salver_worker.arrays import Array

LABEL = "label"
PROBABILITIES = "probabilities"
PREDICTION = "prediction"


def class_rows(datatype: str, count: int) -> List[Dict[str, Any]]:
    """The outputs of a classifier of `count` classes that are numbered."""
    return [tensor(LABEL, "INT64", (-1,)), tensor(PROBABILITIES, datatype, (-1, count))]


def target_rows(datatype: str, count: int) -> List[Dict[str, Any]]:
    """The outputs of a classifier that says yes or no to each of `count` targets."""
    return [tensor(LABEL, "INT64", (-1, count)), tensor(PROBABILITIES, datatype, (-1, count))]


def value_rows(datatype: str, count: int) -> List[Dict[str, Any]]:
    """The output of anything else: one value for each row, or `count` of them."""
    return [tensor(PREDICTION, datatype, (-1,) if count == 1 else (-1, count))]


def both_classes(positive: Array) -> Array:
    """The probabilities of no and yes, of those of yes."""
    table = np.empty((len(positive), 2), positive.dtype)
    np.subtract(1, positive, out=table[:, 0])
    table[:, 1] = positive
    return table


def softmax(margins: Array) -> Array:
    powers = np.exp(margins - margins.max(axis=1, keepdims=True)) if margins.size else margins
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def likeliest(probabilities: Array) -> Array:
    """The number of each row's class."""
    return np.asarray(probabilities.argmax(axis=1), np.int64)


def without(described: Signature, names: Sequence[str]) -> Signature:
    """A signature that lacks these outputs."""
    return signature(described["inputs"], [row for row in described["outputs"] if row["name"] not in names])
