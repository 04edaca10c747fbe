"""Results of statsmodels, as `results.save()` wrote them.

A model of a formula takes one input for each column that the formula names; any other takes its table of regressors,
the constant included. What forecasts takes the number of `steps`, or the table of future regressors where it has any.
Every one answers `prediction`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, Mapping, Union

import numpy as np

from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, describe
from salver_worker.runtimes.base import Arrays, LoadRequest, signature, tensor
from salver_worker.runtimes.pickled import open_pickle
from salver_worker.runtimes.statsmodels_columns import Columns, formula_columns
from salver_worker.runtimes.statsmodels_forecast import Forecast, forecast_of

if TYPE_CHECKING:
    from salver_worker.arrays import Array

ONLY_INPUT = "x"
PREDICTION = "prediction"
FORMULAS = ("patsy", "formulaic")


def load(request: LoadRequest) -> Union[Regression, Forecast]:
    import statsmodels

    results = open_pickle(request.path)
    model = getattr(results, "model", None)
    if model is None or not any(callable(getattr(results, name, None)) for name in ("predict", "forecast")):
        raise LoadFailure(
            "the file holds a %s, which is no fitted model of statsmodels" % type(results).__name__,
            fix="Save the results of `fit()` with `results.save(path)`.",
        )
    version = "statsmodels " + statsmodels.__version__
    forecast = forecast_of(results)
    return Regression(results, version) if forecast is None else Forecast(forecast, version, details_of(results))


def details_of(results: Any) -> Dict[str, str]:
    details = {"model": type(results.model).__name__}
    formula = getattr(results.model, "formula", None)
    if isinstance(formula, str):
        details["formula"] = formula
    return details


class Regression:
    """Rows in, one answer for each."""

    payload = "tensors"
    has_batch_dimension = True

    def __init__(self, results: Any, runtime_version: str) -> None:
        self._results = results
        self._columns: Columns = formula_columns(results) or _table(results)
        self.runtime_version = runtime_version
        self.details = details_of(results)
        names = getattr(results.model, "exog_names", None)
        if names and "formula" not in self.details:
            self.details["features"] = json.dumps([str(name) for name in names])
        self.signature = signature(self._columns.inputs, [])
        self.signature = signature(self._columns.inputs, [tensor(PREDICTION, "FP64", self._shape())])

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        table = self._columns.table(inputs)
        try:
            answer = self._answer(table)
        except Exception as error:
            if type(error).__module__.partition(".")[0] in FORMULAS:  # a category or a value that the formula lacks
                text = str(error.__context__ or error).strip().partition("\n")[0]
                raise InputError("the model's formula does not take the input: %s" % text) from error
            raise
        return {PREDICTION: answer}

    def close(self) -> None:
        """Nothing to give back."""

    def _answer(self, table: Any) -> Array:
        answer = self._results.predict(table)
        return np.asarray(getattr(answer, "predicted_values", answer), np.float64)

    def _shape(self) -> "tuple[int, ...]":
        """As one row shows it: of the training where the file has it, else of zeros."""
        try:
            return (-1, *self._answer(self._columns.sample()).shape[1:])
        except Exception as error:
            raise LoadFailure(
                "the model does not answer a row of its own regressors: %s" % describe(error),
                fix="Serve it from a Python file with a `predict` function.",
            ) from error


def _table(results: Any) -> Columns:
    names = getattr(results.model, "exog_names", None)
    if not names:
        raise LoadFailure(
            "a %s has no regressors to be asked with" % type(results.model).__name__,
            fix="Serve it from a Python file with a `predict` function.",
        )
    count = len(names)
    return Columns(
        [tensor(ONLY_INPUT, "FP64", (-1, count))], lambda inputs: inputs[ONLY_INPUT], lambda: np.ones((1, count))
    )
