"""A PMML document, on PMML4S by way of pypmml: one input for each field, with its name, and the outputs by theirs.

The Java machine runs within this process (JPype), so it opens no port and ends with the worker. NaN, and an empty text,
stand for a missing value.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, List, Mapping, Sequence

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.failures import LoadFailure, OutputInvalid
from salver_worker.runtimes.base import Arrays, LoadRequest, signature, tensor
from salver_worker.runtimes.texts import texts

if TYPE_CHECKING:
    from salver_worker.arrays import Array

DATATYPES = {"double": "FP64", "float": "FP64", "real": "FP64", "integer": "INT64", "boolean": "BOOL"}
"""All other types of PMML, dates among them, are text."""
FORBIDDEN = (b"<!DOCTYPE", b"<!ENTITY")
JAVA_OPTIONS = ("-Xrs", "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=%d")
"""Signals are the worker's; threads are those that the server gave."""


def load(request: LoadRequest) -> PmmlModel:
    import jpype
    import pypmml
    from pypmml.jvm import PMMLError

    with open(request.path, "rb") as file:
        content = file.read()
    if b"\0" in content or any(mark in content for mark in FORBIDDEN):
        raise LoadFailure(
            "the document declares a DOCTYPE or entities, or is UTF-16: this could make the reader fetch other files",
            fix="Save it as UTF-8 without a DOCTYPE; PMML needs none.",
        )
    _start_java(request.threads)
    try:
        model = pypmml.Model.fromFile(request.path)
    except (PMMLError, jpype.JException) as error:
        raise LoadFailure("PMML4S cannot read the document: %s" % error, fix="Export the model again.") from error
    return PmmlModel(model, "pypmml " + pypmml.__version__)


def _start_java(threads: int) -> None:
    import jpype
    from pypmml import PMMLContext

    options = [option % threads if "%" in option else option for option in JAVA_OPTIONS]
    try:
        PMMLContext.getOrCreate(gateway="jpype", java_opts=options)
    except (jpype.JVMNotFoundException, jpype.JVMNotSupportedException) as error:
        raise LoadFailure(
            "there is no Java runtime, which PMML needs: %s" % error,
            code="ENVIRONMENT_BROKEN",
            fix="Install Java 8 or newer (`default-jre-headless` with Debian), or set JAVA_HOME.",
        ) from error


class PmmlModel:
    payload = "tensors"
    has_batch_dimension = True

    def __init__(self, model: Any, runtime_version: str) -> None:
        fields = model.inputFields
        self._model = model
        self._inputs = [tensor(str(field.name), _datatype(field), (-1,)) for field in fields]
        self._outputs = [tensor(str(field.name), _datatype(field), (-1,)) for field in model.outputFields]
        if not self._inputs or not self._outputs:
            raise LoadFailure("the document has no inputs or no outputs", fix="Export the model again.")
        self.runtime_version = runtime_version
        self.signature = signature(self._inputs, self._outputs)
        self.details = {"model": str(model.modelElement), "function": str(model.functionName)}
        classes = [str(each) for each in model.classes]
        if classes:
            self.details["classes"] = json.dumps(classes)

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        columns = [_values(row, inputs[row["name"]]) for row in self._inputs]
        names = [row["name"] for row in self._inputs]
        data = list(zip(*columns))
        if not data:
            return {row["name"]: _array(row, []) for row in self._outputs}
        answer = json.loads(str(self._model.predict(json.dumps({"columns": names, "data": data}))))
        places = {name: place for place, name in enumerate(answer["columns"])}
        return {
            row["name"]: _array(row, [each[places[row["name"]]] for each in answer["data"]]) for row in self._outputs
        }

    def close(self) -> None:
        """The Java machine ends with the process."""


def _datatype(field: Any) -> str:
    return DATATYPES.get(str(field.dataType).lower(), "BYTES")


def _values(row: Mapping[str, Any], array: Array) -> List[Any]:
    """A column as JSON has it; None is missing."""
    if row["datatype"] == "BYTES":
        return [text or None for text in texts(row["name"], array)]
    values: List[Any] = array.tolist()
    return [None if value != value else value for value in values] if row["datatype"] == "FP64" else values


def _array(row: Mapping[str, Any], values: Sequence[Any]) -> Array:
    datatype = row["datatype"]
    if datatype == "BYTES":
        return bytes_array(["" if value is None else str(value) for value in values], (len(values),))
    if datatype == "FP64":
        return np.array([np.nan if value is None else float(value) for value in values], np.float64)
    if None in values:
        raise OutputInvalid("the model gives no value for %s in row %d" % (row["name"], list(values).index(None)))
    return np.array(values, np.int64 if datatype == "INT64" else np.bool_)
