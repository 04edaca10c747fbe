"""Time series of statsmodels: what comes after the last value that the model was fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, describe
from salver_worker.runtimes.base import Arrays, signature, tensor

if TYPE_CHECKING:
    from salver_worker.arrays import Array

STEPS = "steps"
REGRESSORS = "x"
PREDICTION = "prediction"
MAX_STEPS = 1_000_000


class Forecaster(NamedTuple):
    """How to ask fitted results for steps ahead; `regressors` counts the columns whose future values they need."""

    ahead: Callable[[int, Optional[Any]], Any]
    regressors: int


def forecast_of(results: Any) -> Optional[Forecaster]:
    """None when the results are of no time series."""
    model = results.model
    if ".tsa." not in type(model).__module__:
        return None
    kind = type(model).__name__
    if kind == "VAR":
        return Forecaster(lambda steps, _future: results.forecast(results.endog[-results.k_ar :], steps), 0)
    if kind == "VECM":
        return Forecaster(lambda steps, _future: results.predict(steps), 0)
    if not callable(getattr(results, "forecast", None)):
        raise LoadFailure("a %s cannot forecast" % kind, fix="Serve it from a Python file with a `predict` function.")
    count = _regressors(model)
    if count:
        return Forecaster(lambda steps, future: results.forecast(steps, exog=future), count)
    return Forecaster(lambda steps, _future: results.forecast(steps), 0)


def _regressors(model: Any) -> int:
    """How many columns the caller of `fit` gave, without a trend that the model makes itself."""
    given = getattr(model, "_input_exog", None)
    if given is None and type(model).__name__ == "AutoReg":
        given = model.data.orig_exog
    if given is not None:
        shape = np.shape(given)
        return int(shape[1]) if len(shape) > 1 else 1
    return 0 if hasattr(model, "_input_exog") else int(getattr(model, "k_exog", 0) or 0)


class Forecast:
    """A number of steps in, or their regressors; as many values out, in the order of time."""

    payload = "tensors"
    has_batch_dimension = False

    def __init__(self, forecaster: Forecaster, runtime_version: str, details: Dict[str, str]) -> None:
        self._forecaster = forecaster
        self.runtime_version = runtime_version
        self.details = details
        self.signature = signature([self._input()], [tensor(PREDICTION, "FP64", self._shape())])

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        if self._forecaster.regressors:
            future = inputs[REGRESSORS]
            return {PREDICTION: self._ahead(_checked(len(future)), future.copy())}
        return {PREDICTION: self._ahead(_checked(int(inputs[STEPS][0])), None)}

    def close(self) -> None:
        """Nothing to give back."""

    def _input(self) -> Dict[str, Any]:
        count = self._forecaster.regressors
        return tensor(REGRESSORS, "FP64", (-1, count)) if count else tensor(STEPS, "INT64", (1,))

    def _ahead(self, steps: int, future: Optional[Array]) -> Array:
        return np.asarray(self._forecaster.ahead(steps, future), np.float64)

    def _shape(self) -> List[int]:
        count = self._forecaster.regressors
        try:
            first = self._ahead(1, np.zeros((1, count)) if count else None)
        except Exception as error:
            raise LoadFailure(
                "the model cannot forecast one step: %s" % describe(error),
                fix="Serve it from a Python file with a `predict` function.",
            ) from error
        return [-1, *first.shape[1:]]


def _checked(steps: int) -> int:
    if not 0 < steps <= MAX_STEPS:
        raise InputError("%d steps are asked for; it must be between 1 and %d" % (steps, MAX_STEPS))
    return steps
