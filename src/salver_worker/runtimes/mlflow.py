"""An MLflow model by its flavour python_function, whatever is behind it.

Inputs are those of the model's signature: one for each column, or the tensors that it names; without one, those of the
input example that was saved with it, which is run before the model goes live. The signature's parameters are taken from
the request's. Outputs are the columns of the table that the model gives, or `prediction`.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any, Dict, List, Mapping, Optional

from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, describe
from salver_worker.runtimes.base import Arrays, LoadRequest, signature
from salver_worker.runtimes.mlflow_example import Rehearsal, read_example, rehearse
from salver_worker.runtimes.mlflow_inputs import Feed, feed_for
from salver_worker.runtimes.mlflow_outputs import declared_outputs, fitted, named_arrays

CALLERS_FAULTS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


def load(request: LoadRequest) -> MlflowModel:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow
    import mlflow.pyfunc

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    model = mlflow.pyfunc.load_model(request.path)
    return MlflowModel(model, request.path, "mlflow " + mlflow.__version__)


class MlflowModel:
    payload = "tensors"

    def __init__(self, model: Any, path: str, runtime_version: str) -> None:
        saved = model.metadata.signature
        example = read_example(model, path)
        self._model = model
        self._feed: Feed = feed_for(None if saved is None else saved.inputs, example)
        self._parameters = _parameter_names(saved)
        rehearsal = self._rehearse(example)
        outputs = declared_outputs(None if saved is None else saved.outputs, rehearsal.answer)
        self._outputs: Dict[str, str] = {row["name"]: row["datatype"] for row in outputs}
        self.has_batch_dimension = self._feed.has_rows and rehearsal.keeps_rows
        self.runtime_version = runtime_version
        self.signature = signature(self._feed.inputs, outputs)
        self.details = _details(model, saved)

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        given = {name: parameters[name] for name in self._parameters if name in parameters}
        table = self._feed.argument(inputs)
        try:
            answer = self._model.predict(table, params=given) if given else self._model.predict(table)
        except Exception as error:
            if given and getattr(error, "error_code", "") in CALLERS_FAULTS:
                raise InputError("MLflow refuses the request: %s" % str(error).partition("\n")[0]) from error
            raise
        return fitted(named_arrays(answer), self._outputs)

    def close(self) -> None:
        """Nothing to give back."""

    def _rehearse(self, example: Any) -> Rehearsal:
        try:
            return rehearse(self._model, example)
        except Exception as error:
            raise LoadFailure(
                "the model failed on the input example that was saved with it: %s" % describe(error),
                code="EXAMPLE_MISMATCH",
                fix="Log the model again, or take `saved_input_example_info` out of its MLmodel file.",
            ) from error


def _parameter_names(saved: Any) -> List[str]:
    schema = getattr(saved, "params", None)
    return [] if schema is None else [str(each.name) for each in schema.params]


def _details(model: Any, saved: Optional[Any]) -> Dict[str, str]:
    flavour = (model.metadata.flavors or {}).get("python_function", {})
    details = {"loader": str(flavour.get("loader_module", ""))}
    version = getattr(model.metadata, "mlflow_version", None)
    if version:
        details["saved_with"] = "mlflow %s" % version
    schema = getattr(saved, "params", None)
    if schema is not None:
        details["parameters"] = json.dumps({str(each.name): each.default for each in schema.params}, default=str)
    return details
