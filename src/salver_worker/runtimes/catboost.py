"""A CatBoost model, from .cbm or from its JSON.

Classifiers answer `label`, in the words of the training, and `probabilities`; all others `prediction`. A model with
features of text or categories takes one input for each feature; those are BYTES, and a category that was a number in
the training is sent as its text.
"""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from salver_worker.arrays import bytes_array, datatype_of
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, signature, tensor
from salver_worker.runtimes.classes import LABEL, PREDICTION, PROBABILITIES, target_rows, value_rows, without
from salver_worker.runtimes.texts import texts

if TYPE_CHECKING:
    from salver_worker.arrays import Array

ONLY_INPUT = "x"
BINARY = ("Logloss", "CrossEntropy")
MULTICLASS = ("MultiClass", "MultiClassOneVsAll")
TARGETS = ("MultiLogloss", "MultiCrossEntropy")
KINDS = {"Poisson": "Exponent", "Tweedie": "Exponent", "RMSEWithUncertainty": "RMSEWithUncertainty"}
"""What CatBoost's own regressors predict; all others are raw values."""


def load(request: LoadRequest) -> CatboostModel:
    import catboost

    with open(request.path, "rb") as file:
        kind = "cbm" if file.read(4) == b"CBM1" else "json"
    try:
        model = catboost.CatBoostClassifier().load_model(request.path, format=kind)
    except catboost.CatBoostError as error:
        raise LoadFailure(
            "CatBoost %s cannot read the file: %s" % (catboost.__version__, error),
            fix="Copy the file again, or name the version of CatBoost that saved it in a requirements.txt.",
        ) from error
    return CatboostModel(model, request.threads, "catboost " + catboost.__version__)


class CatboostModel:
    payload = "tensors"
    has_batch_dimension = True

    def __init__(self, model: Any, threads: int, runtime_version: str) -> None:
        loss = str((model.get_all_params() or {}).get("loss_function", "")).partition(":")[0]
        self._model = model
        self._threads = threads
        self._threshold: float = getattr(model, "get_probability_threshold", lambda: None)() or 0.5
        self._classes: Array = np.asarray(model.classes_)
        self._is_binary = loss in BINARY or (not loss and len(self._classes) == 2)
        self._has_targets = loss in TARGETS
        self._is_classifier = self._is_binary or self._has_targets or loss in MULTICLASS or len(self._classes) > 0
        self._kind = "Probability" if self._is_classifier else KINDS.get(loss, "RawFormulaVal")
        self._wants_label = self._wants_probabilities = True
        inputs, self._table = _features(model)
        self.runtime_version = runtime_version
        self.signature = signature(inputs, [])
        self.signature = signature(inputs, self._outputs())
        self.details = {"features": json.dumps(list(model.feature_names_))}
        if loss:
            self.details["objective"] = loss
        if len(self._classes):
            self.details["classes"] = json.dumps(self._classes.tolist())

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        answer = self._raw(self._table(inputs))
        if not self._is_classifier:
            return {PREDICTION: answer}
        outputs = {}
        if self._wants_label:
            outputs[LABEL] = self._labels(answer)
        if self._wants_probabilities:
            outputs[PROBABILITIES] = answer
        return outputs

    def leave_out(self, names: Sequence[str]) -> None:
        self.signature = without(self.signature, names)
        self._wants_label = LABEL not in names
        self._wants_probabilities = PROBABILITIES not in names

    def close(self) -> None:
        """Nothing to give back."""

    def _raw(self, table: Any) -> Array:
        from catboost import CatBoost

        given = CatBoost.predict(self._model, table, prediction_type=self._kind, thread_count=self._threads)
        return np.asarray(given)

    def _labels(self, probabilities: Array) -> Array:
        threshold = self._threshold
        if self._has_targets:
            return (probabilities > threshold).astype(np.int64)
        places = probabilities[:, 1] > threshold if self._is_binary else probabilities.argmax(axis=1)
        labels: Array = self._classes[places.astype(np.int64)]
        return bytes_array(labels.tolist(), labels.shape) if labels.dtype.kind in "OSU" else labels

    def _outputs(self) -> List[Dict[str, Any]]:
        """With as many values for each row as a row of zeros, or of no text, shows."""
        sample = {row["name"]: _nothing(row) for row in self.signature["inputs"]}
        answer = self._raw(self._table(sample))
        count = answer.shape[1] if answer.ndim > 1 else 1
        if not self._is_classifier:
            return value_rows("FP64", count)
        if self._has_targets:
            return target_rows("FP64", count)
        datatype = datatype_of(self._classes) or "BYTES"
        return [tensor(LABEL, datatype, (-1,)), tensor(PROBABILITIES, "FP64", (-1, count))]


def _nothing(row: Mapping[str, Any]) -> Array:
    return bytes_array([b""], (1,)) if row["datatype"] == "BYTES" else np.zeros([1, *row["shape"][1:]], np.float32)


def _features(model: Any) -> Tuple[List[Dict[str, Any]], Callable[[Arrays], Any]]:
    """The inputs of the signature, and how their arrays become the model's table."""
    names = [str(name) for name in model.feature_names_]
    if _indices(model, "embedding"):
        raise LoadFailure(
            "the model has features that are vectors (embeddings), which this runtime does not hand over",
            fix="Serve it from a Python file with a `predict` function.",
        )
    text = {names[place] for kind in ("cat", "text") for place in _indices(model, kind)}
    if not text:
        return [tensor(ONLY_INPUT, "FP32", (-1, len(names)))], lambda inputs: inputs[ONLY_INPUT]

    def table(inputs: Arrays) -> Any:
        pandas: Any = importlib.import_module("pandas")
        return pandas.DataFrame({name: texts(name, inputs[name]) if name in text else inputs[name] for name in names})

    return [tensor(name, "BYTES" if name in text else "FP32", (-1,)) for name in names], table


def _indices(model: Any, kind: str) -> Sequence[int]:
    """The places of the features of this kind; CatBoost has no public word for them."""
    return list(getattr(model, "_get_%s_feature_indices" % kind, list)())
