"""Steps on a model's scores: softmax, sigmoid, argmax, top_k. Classes are the last dimension."""

from typing import Dict, Optional

import numpy as np

from salver_worker.conversions.casting import cast
from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import Array, Flow, as_float, numpy_type
from salver_worker.conversions.kinds import NAME, whole
from salver_worker.conversions.labels import LABELS, read_labels
from salver_worker.conversions.step import FLOATING, NUMBERS, OUTPUT, REQUIRED, Bound, Given, Parameter, Step

MAX_K = 1000000


def _need_classes(flow: Flow) -> None:
    if not flow.shape:
        raise StepError("needs a dimension of classes but gets %s" % str(flow))


def _bind_softmax(given: Given) -> Bound:
    _need_classes(given.flow)
    flow = given.flow._replace(datatype=as_float(given.flow.datatype))
    kind = numpy_type(flow.datatype)

    def softmax(array: Array) -> Array:
        if array.size == 0:
            return array.astype(kind)
        with np.errstate(invalid="ignore"):
            powers = np.exp(array.astype(kind) - array.max(axis=-1, keepdims=True).astype(kind))
            return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    return Bound(flow, softmax)


def _bind_sigmoid(given: Given) -> Bound:
    flow = given.flow._replace(datatype=as_float(given.flow.datatype))
    kind = numpy_type(flow.datatype)

    def sigmoid(array: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-array.astype(kind))))

    return Bound(flow, sigmoid)


def _names(given: Given) -> Optional[Array]:
    """The labels in the order of the classes; None when the manifest gives none."""
    declared = given.values["labels"]
    return None if declared is None else read_labels(given.folder, declared).in_order(given.flow.shape[-1])


def _named(numbers: Array, names: Optional[Array], classes: int) -> Array:
    """Class numbers as they are answered: INT64, or their names."""
    if names is None:
        return numbers.astype(np.int64)
    if classes != len(names):
        raise RowError("there are %d labels but the model gave %d classes" % (len(names), classes))
    return np.asarray(names[numbers])


def _bind_argmax(given: Given) -> Bound:
    _need_classes(given.flow)
    names = _names(given)

    def argmax(array: Array) -> Array:
        if array.shape[-1] == 0:
            raise RowError("the model gave no classes")
        return _named(np.asarray(array.argmax(axis=-1)), names, array.shape[-1])

    return Bound(Flow("INT64" if names is None else "BYTES", given.flow.shape[:-1]), argmax)


def _bind_top_k(given: Given) -> Bound:
    _need_classes(given.flow)
    k, names, shape = given.values["k"], _names(given), given.flow.shape
    classes_name, probabilities_name = given.values["classes"], given.values["probabilities"]
    if classes_name == probabilities_name:
        raise StepError("classes and probabilities must have different names", "probabilities")
    known = shape[-1] if names is None else len(names)
    if 0 <= known < k:
        raise StepError("k is %d but there are only %d classes" % (k, known), "k")

    kind = numpy_type(as_float(given.flow.datatype))

    def top_k(array: Array) -> Dict[str, Array]:
        if array.shape[-1] < k:
            raise RowError("k is %d but the model gave only %d classes" % (k, array.shape[-1]))
        scores = array.astype(kind)
        best = np.argsort(-scores, axis=-1, kind="stable")[..., :k]
        picked = cast(np.take_along_axis(scores, best, axis=-1), "FP32")
        return {classes_name: _named(best, names, array.shape[-1]), probabilities_name: picked}

    best_shape = (*shape[:-1], k)
    outputs = {
        classes_name: Flow("INT64" if names is None else "BYTES", best_shape),
        probabilities_name: Flow("FP32", best_shape),
    }
    ranking = {"classes": classes_name, "probabilities": probabilities_name} if len(shape) == 2 else None
    return Bound(outputs[probabilities_name], top_k, outputs, ranking)


STEPS = (
    Step(
        name="softmax",
        stages=(OUTPUT,),
        takes=FLOATING,
        summary="Scores of the last dimension become probabilities that add up to 1.",
        bind=_bind_softmax,
    ),
    Step(
        name="sigmoid",
        stages=(OUTPUT,),
        takes=FLOATING,
        summary="Each score becomes a probability by itself: 1 / (1 + exp(-x)).",
        bind=_bind_sigmoid,
    ),
    Step(
        name="argmax",
        stages=(OUTPUT,),
        takes=NUMBERS,
        summary="The class with the highest score: its number, or its name. The lower number wins a tie.",
        parameters=(Parameter("labels", LABELS, None, "Where the names stand.", "numbers"),),
        main="labels",
        bind=_bind_argmax,
    ),
    Step(
        name="top_k",
        stages=(OUTPUT,),
        takes=NUMBERS,
        summary="The k best classes and their scores as two outputs, best first; the lower number wins a tie.",
        parameters=(
            Parameter("k", whole(1, MAX_K, "a whole number from 1"), REQUIRED, "How many classes are answered."),
            Parameter("labels", LABELS, None, "Where the names of the classes stand.", "numbers"),
            Parameter("classes", NAME, "classes", "The name of the output with the classes, BYTES or INT64."),
            Parameter("probabilities", NAME, "probabilities", "The name of the output with the scores, FP32."),
        ),
        main="k",
        bind=_bind_top_k,
    ),
)
