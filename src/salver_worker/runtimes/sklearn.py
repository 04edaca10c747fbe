"""A scikit-learn estimator, from a joblib, pickle or skops file.

Classifiers answer `label` and, where they can, `probabilities`; regressors answer `prediction`. A pickle runs code as
it is opened, and the estimators in it may be of any library that follows scikit-learn's interface.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from salver_worker.arrays import bytes_array, datatype_of
from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, OutputInvalid
from salver_worker.runtimes.base import Arrays, LoadRequest, TensorModel, signature, tensor
from salver_worker.runtimes.code import let_import
from salver_worker.runtimes.openmp import let_threads_sleep
from salver_worker.runtimes.pickled import open_pickle
from salver_worker.runtimes.pickled_boosters import booster_model
from salver_worker.runtimes.sklearn_columns import Features, read_features

if TYPE_CHECKING:
    from salver_worker.arrays import Array


def load(request: LoadRequest) -> TensorModel:
    let_threads_sleep()
    import sklearn

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        let_import(request.folder)
        estimator = _open(request.path)
    for message in sorted({str(warning.message) for warning in caught}):
        print("salver_worker: %s" % message, file=sys.stderr)
    booster = booster_model(estimator, request.threads)
    if booster is not None:
        return booster
    if not callable(getattr(estimator, "predict", None)):
        raise LoadFailure(
            "the file holds a %s, which has no method `predict`" % type(estimator).__name__,
            fix="Save a fitted estimator, or a pipeline that ends in one.",
        )
    return Estimator(estimator, "scikit-learn " + sklearn.__version__, _details(estimator, caught))


def _open(path: str) -> Any:
    if path.endswith(".skops"):
        return _open_skops(path)
    return open_pickle(path)


def _open_skops(path: str) -> Any:
    import skops.io

    untrusted = skops.io.get_untrusted_types(file=path)
    if untrusted:
        raise LoadFailure(
            "the skops file holds types that are not known to be safe: %s" % ", ".join(untrusted),
            fix="Save the estimator without them, or save it with joblib and register it as a model that runs code.",
        )
    return skops.io.load(path)


def _details(estimator: Any, caught: Sequence[warnings.WarningMessage]) -> Dict[str, str]:
    details = {"estimator": type(estimator).__name__}
    saved = [getattr(warning.message, "original_sklearn_version", None) for warning in caught]
    versions = sorted({version for version in saved if version})
    if versions:
        details["saved_with"] = "scikit-learn " + ", ".join(versions)
    return details


class Estimator:
    payload = "tensors"
    has_batch_dimension = True

    def __init__(self, estimator: Any, runtime_version: str, details: Dict[str, str]) -> None:
        self._estimator = estimator
        self._features: Features = read_features(estimator)
        self._label = "prediction" if _is_regressor(estimator) else "label"
        self._has_probabilities = callable(getattr(estimator, "predict_proba", None))
        self._unread: Tuple[str, ...] = ()
        self.runtime_version = runtime_version
        self.details = details
        self.signature = signature(self._features.inputs, self._outputs())

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        table = self._features.table(inputs)
        try:
            return self._run(table)
        except ValueError as error:
            _refuse_holes(inputs, error)
            raise

    def _run(self, table: Any) -> Arrays:
        outputs = {}
        if self._label not in self._unread:
            outputs[self._label] = _plain(self._label, self._estimator.predict(table))
        if self._has_probabilities:
            probabilities = self._estimator.predict_proba(table)
            for name, array in _named_probabilities(probabilities):
                if name not in self._unread:
                    outputs[name] = _plain(name, array)
        return outputs

    def leave_out(self, names: Sequence[str]) -> None:
        rows = [row for row in self.signature["outputs"] if row["name"] not in names]
        self.signature = signature(self.signature["inputs"], rows)
        self._unread = tuple(names)
        self._has_probabilities = any(row["name"] != self._label for row in rows)

    def _outputs(self) -> List[Dict[str, Any]]:
        """From one row of zeros where such a row makes sense; else as far as the estimator's attributes tell."""
        sample = self._features.sample()
        if sample is not None:
            try:
                answer = self._run(self._features.table(sample))
            except Exception as error:  # noqa: BLE001  zeros may mean nothing to it; its callers are not concerned
                print("salver_worker: a first run with zeros failed: %r" % error, file=sys.stderr)
            else:
                return [_described(name, array) for name, array in answer.items()]
        return self._assumed_outputs()

    def _assumed_outputs(self) -> List[Dict[str, Any]]:
        classes = getattr(self._estimator, "classes_", None)
        fallback = "FP64" if self._label == "prediction" else "INT64"
        datatype, count = fallback, -1
        if isinstance(classes, np.ndarray):
            datatype, count = datatype_of(classes) or fallback, len(classes)
        outputs = [tensor(self._label, datatype, (-1,))]
        if self._has_probabilities:
            outputs.append(tensor("probabilities", "FP64", (-1, count)))
        return outputs

    def close(self) -> None:
        """Nothing to give back."""


def _is_regressor(estimator: Any) -> bool:
    """Also of an estimator that was written for another version's way to say so."""
    from sklearn.base import is_regressor

    try:
        return bool(is_regressor(estimator))
    except AttributeError:
        return getattr(estimator, "_estimator_type", "") == "regressor"


def _named_probabilities(probabilities: Any) -> List[Tuple[str, Any]]:
    """An estimator with several targets gives a list, one array for each target."""
    if isinstance(probabilities, list):
        return [("probabilities_%d" % index, array) for index, array in enumerate(probabilities)]
    return [("probabilities", probabilities)]


def _plain(name: str, value: Any) -> Array:
    array = np.asarray(value.toarray() if hasattr(value, "toarray") else value)
    if array.dtype.kind not in "OSU":
        return array
    try:
        return bytes_array(array.ravel().tolist(), array.shape)
    except TypeError:
        raise OutputInvalid("the output %s is neither numbers nor text" % name) from None


def _described(name: str, array: Array) -> Dict[str, Any]:
    return tensor(name, datatype_of(array) or "BYTES", (-1, *array.shape[1:]))


def _refuse_holes(inputs: Arrays, error: Exception) -> None:
    """Most estimators take no NaN or infinity: that is the caller's to mend, not the model's."""
    for name, array in inputs.items():
        holes: Optional[Array] = None if array.dtype.kind != "f" else ~np.isfinite(array)
        if holes is not None and holes.any():
            row = int(np.argwhere(holes)[0][0])
            message = "the input %s has NaN or infinity in row %d, which this model does not take" % (name, row)
            raise InputError(message) from error
