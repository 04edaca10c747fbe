"""An XGBoost booster, from its JSON, its UBJSON, or the binary form that XGBoost 3.1 removed.

Classifiers answer `label` and `probabilities`, as XGBoost's own classifier does; all others `prediction`, which is what
`Booster.predict` gives. NaN stands for a missing value. Categories are the numbers that the booster was trained with.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, signature, tensor
from salver_worker.runtimes.classes import (
    LABEL,
    PREDICTION,
    PROBABILITIES,
    both_classes,
    class_rows,
    likeliest,
    softmax,
    target_rows,
    value_rows,
    without,
)
from salver_worker.runtimes.openmp import let_threads_sleep

if TYPE_CHECKING:
    from salver_worker.arrays import Array

ONLY_INPUT = "x"
PROBABLE = ("binary:logistic", "multi:softprob", "multi:softmax")
HINGE = "binary:hinge"
JSON_STARTS = (b"{", b"\t", b"\n", b"\r", b" ")
"""UBJSON begins with a brace as well."""


def load(request: LoadRequest) -> XgboostModel:
    let_threads_sleep()
    import xgboost

    xgboost.set_config(verbosity=0)
    with open(request.path, "rb") as file:
        content = bytearray(file.read())
    booster = xgboost.Booster({"nthread": request.threads})
    try:
        booster.load_model(content)
    except xgboost.core.XGBoostError as error:
        raise _unreadable(content, xgboost.__version__, error) from error
    booster.set_param({"nthread": request.threads})
    return XgboostModel(booster, request.threads, "xgboost " + xgboost.__version__)


def _unreadable(content: bytearray, version: str, error: Exception) -> LoadFailure:
    if not content.startswith(JSON_STARTS):
        return LoadFailure(
            "the file is in the binary format that XGBoost 3.1 removed, and this is XGBoost %s" % version,
            code="ENVIRONMENT_BROKEN",
            fix="Write `xgboost-cpu<3.1` into a requirements.txt beside it, or save it as .ubj with such a version.",
        )
    return LoadFailure(
        "XGBoost %s cannot read the file: %s" % (version, str(error).partition("\n")[0]),
        fix="Copy the file again, or name the version of XGBoost that saved it in a requirements.txt.",
    )


class XgboostModel:
    payload = "tensors"
    has_batch_dimension = True

    def __init__(self, booster: Any, threads: int, runtime_version: str) -> None:
        learner = json.loads(booster.save_config())["learner"]
        self._booster = booster
        self._threads = threads
        self._objective: str = learner["objective"]["name"]
        self._is_linear = learner["gradient_booster"]["name"] == "gblinear"
        self._range = _rounds(booster)
        self._targets, classes = _counts(learner)
        self._wants_label = self._wants_probabilities = True
        self.runtime_version = runtime_version
        self.signature = signature([tensor(ONLY_INPUT, "FP32", (-1, booster.num_features()))], self._outputs(classes))
        self.details = _details(booster, self._objective, self._range)

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        table = inputs[ONLY_INPUT]
        if self._objective in PROBABLE:
            return self._classify(table)
        answer = self._raw(table)
        return {LABEL: answer.astype(np.int64)} if self._objective == HINGE else {PREDICTION: answer}

    def leave_out(self, names: Sequence[str]) -> None:
        self.signature = without(self.signature, names)
        self._wants_label = LABEL not in names
        self._wants_probabilities = PROBABILITIES not in names

    def close(self) -> None:
        """Nothing to give back."""

    def _classify(self, table: Array) -> Arrays:
        is_soft = self._objective == "multi:softmax"
        if is_soft and not self._wants_probabilities:
            return {LABEL: self._raw(table).astype(np.int64)}
        given = softmax(self._raw(table, "margin")) if is_soft else self._raw(table)
        outputs = {}
        if self._wants_label:
            is_numbered = given.ndim == 2 and self._targets == 1
            outputs[LABEL] = likeliest(given) if is_numbered else (given > 0.5).astype(np.int64)
        if self._wants_probabilities:
            outputs[PROBABILITIES] = both_classes(given) if given.ndim == 1 else given
        return outputs

    def _raw(self, table: Array, kind: str = "value") -> Array:
        if not self._is_linear:
            answer = self._booster.inplace_predict(
                table, iteration_range=self._range, predict_type=kind, validate_features=False
            )
            return np.asarray(answer)
        import xgboost

        matrix = xgboost.DMatrix(table, nthread=self._threads)
        is_margin = kind == "margin"
        answer = self._booster.predict(
            matrix, output_margin=is_margin, iteration_range=self._range, validate_features=False
        )
        return np.asarray(answer)

    def _outputs(self, classes: int) -> List[Dict[str, Any]]:
        if self._objective == HINGE:
            return class_rows("FP32", 2)[:1] if self._targets == 1 else target_rows("FP32", self._targets)[:1]
        if self._objective not in PROBABLE:
            return value_rows("FP32", max(classes, self._targets))
        return target_rows("FP32", self._targets) if self._targets > 1 else class_rows("FP32", max(classes, 2))


def _rounds(booster: Any) -> Tuple[int, int]:
    """Up to the best round where training stopped early, as XGBoost's own estimators predict; (0, 0) is all."""
    best = booster.attributes().get("best_iteration")
    return (0, 0) if best is None else (0, int(best) + 1)


def _counts(learner: Mapping[str, Any]) -> Tuple[int, int]:
    """How many targets, and how many values each row has: classes, or the quantiles of one target."""
    params = learner["learner_model_param"]
    targets, classes = max(1, int(params.get("num_target", 1))), int(params["num_class"])
    return targets, max(1, classes)


def _details(booster: Any, objective: str, rounds: Tuple[int, int]) -> Dict[str, str]:
    details = {"objective": objective}
    if booster.feature_names:
        details["features"] = json.dumps(list(booster.feature_names))
    if booster.feature_types and "c" in booster.feature_types:
        details["feature_types"] = json.dumps(list(booster.feature_types))
    if rounds[1]:
        details["rounds"] = str(rounds[1])
    return details
