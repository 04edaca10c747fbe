"""A Python function or class as a model. ``docs/functions.md`` is the user's side of this file."""

from __future__ import annotations

import importlib
import inspect
import os
import platform
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.errors import InputError
from salver_worker.runtimes.annotations import RECORD, TABLE, FunctionShape, read_function, returned_outputs
from salver_worker.runtimes.base import Arrays, LoadRequest, signature
from salver_worker.runtimes.calls import AsyncCalls, PlainCalls
from salver_worker.runtimes.code import enter_folder, load_module
from salver_worker.runtimes.function_inputs import Input, plan_inputs, read_signature
from salver_worker.runtimes.function_target import Target, find_file, find_target
from salver_worker.runtimes.joined import joined
from salver_worker.runtimes.results import ResultReader, first_rows

if TYPE_CHECKING:
    from salver_worker.arrays import Array


def load(request: LoadRequest) -> FunctionModel:
    path, attribute = find_file(request)
    enter_folder(os.path.dirname(path))
    module = load_module(path)
    target = find_target(module, attribute)
    details = {"function": "%s:%s" % (os.path.basename(path), target.name)}
    return function_model(target, _example_inputs(request.manifest), details)


def function_model(target: Target, example: Mapping[str, Any], details: Dict[str, str]) -> FunctionModel:
    """Raises LoadFailure when the function cannot be served as it is declared."""
    shape = read_function(target.function)
    kind = PartsFunctionModel if shape.gives_parts else FunctionModel
    return kind(target, shape, example, details)


def _example_inputs(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The example's inputs, unless conversions stand between them and the function."""
    example = manifest.get("example") or {}
    return {} if manifest.get("inputs") else example.get("inputs") or {}


class FunctionModel:
    payload = "tensors"

    def __init__(
        self, target: Target, shape: FunctionShape, example: Mapping[str, Any], details: Dict[str, str]
    ) -> None:
        self._instance = target.instance
        self._shape = shape
        self._inputs = plan_inputs(self._shape, read_signature(target.signature, "inputs"), example)
        outputs = read_signature(target.signature, "outputs")
        if outputs is None:
            outputs = returned_outputs(self._shape.returned, is_by_row=self._shape.is_by_row)
        self._results = ResultReader(outputs)
        is_async = inspect.iscoroutinefunction(target.function) or inspect.isasyncgenfunction(target.function)
        self._calls = AsyncCalls(target.function) if is_async else PlainCalls(target.function)
        self.signature = signature([row.spec for row in self._inputs], outputs)
        rows = self.signature["inputs"] + outputs
        self.has_batch_dimension = bool(self._inputs) and all(row["shape"][:1] == [-1] for row in rows)
        self.runtime_version = "Python " + platform.python_version()
        self.details = {**details, "called": "once for each row" if self._shape.is_by_row else "once for each batch"}

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        options = chosen_options(self._shape.options, parameters)
        if self._shape.is_by_row:
            return self._results.stacked(self._calls.for_each(self._rows(inputs, options)))
        arguments = self._batch(inputs)
        arguments.update(options)
        rows = first_rows(inputs) if self.has_batch_dimension else None
        return self._results.whole(self._calls.once(arguments), rows)

    def close(self) -> None:
        self._calls.close()
        close = getattr(self._instance, "close", None)
        if callable(close):
            close()

    def _rows(self, inputs: Arrays, options: Mapping[str, Any]) -> List[Dict[str, Any]]:
        names = [row.spec["name"] for row in self._inputs]
        columns = [_column(row, inputs[row.spec["name"]]) for row in self._inputs]
        records = [dict(zip(names, values)) for values in zip(*columns)]
        if _takes(self._shape, RECORD):
            only = self._shape.parameters[0].name
            records = [{only: record} for record in records]
        for record in records:
            record.update(options)
        return records

    def _batch(self, inputs: Arrays) -> Dict[str, Any]:
        """The function's own arrays: it may change and keep them."""
        arrays: Dict[str, Any] = {row.spec["name"]: _own(row, inputs[row.spec["name"]]) for row in self._inputs}
        if not _takes(self._shape, TABLE):
            return arrays
        pandas: Any = importlib.import_module("pandas")
        table = pandas.DataFrame({name: list(array) if array.ndim > 1 else array for name, array in arrays.items()})
        return {self._shape.parameters[0].name: table}


class PartsFunctionModel(FunctionModel):
    """A function that yields its answer in parts."""

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        """For callers who take no parts: all of them, row by row where the function is called so."""
        options = chosen_options(self._shape.options, parameters)
        if not self._shape.is_by_row:
            return joined(self._of_batch(inputs, options), self._nothing(first_rows(inputs) or 0))
        rows = [joined(self._of_row(row), self._nothing(1)) for row in self._rows(inputs, options)]
        if not rows:
            return self._results.stacked([])
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def predict_parts(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Iterator[Arrays]:
        options = chosen_options(self._shape.options, parameters)
        if not self._shape.is_by_row:
            return self._of_batch(inputs, options)
        rows = self._rows(inputs, options)
        if len(rows) != 1:
            raise InputError("the model answers one row in parts, not %d: send one row" % len(rows))
        return self._of_row(rows[0])

    def _of_row(self, row: Mapping[str, Any]) -> Iterator[Arrays]:
        for result in self._calls.each(row):
            yield self._results.stacked([result])

    def _of_batch(self, inputs: Arrays, options: Mapping[str, Any]) -> Iterator[Arrays]:
        rows = first_rows(inputs) if self.has_batch_dimension else None
        for result in self._calls.each({**self._batch(inputs), **options}):
            yield self._results.whole(result, rows)

    def _nothing(self, rows: int) -> Optional[Arrays]:
        """The answer of a function that yields nothing: no text, where each row has text and nothing else."""
        outputs = self.signature["outputs"]
        if not outputs or any(row["datatype"] != "BYTES" or row["shape"] != [-1] for row in outputs):
            return None
        return {row["name"]: bytes_array([b""] * rows, (rows,)) for row in outputs}


def chosen_options(defaults: Mapping[str, Any], parameters: Mapping[str, Any]) -> Dict[str, Any]:
    """The request's values for parameters that have defaults. Raises InputError when one is of another type."""
    chosen = {name: parameters[name] for name in defaults if name in parameters}
    for name, value in chosen.items():
        default = defaults[name]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = default is None or type(value) is type(default) or (isinstance(default, float) and is_number)
        if not fits:
            wanted = type(default).__name__
            raise InputError("the parameter %s must be %s, not %s" % (name, wanted, type(value).__name__))
    return chosen


def _takes(shape: FunctionShape, style: str) -> bool:
    return bool(shape.parameters) and shape.parameters[0].kind.style == style


def _own(row: Input, array: Array) -> Array:
    if not row.is_text or array.dtype.kind != "O":
        return np.array(array)
    texts = np.empty(array.shape, object)
    texts.ravel()[:] = [_text(row, value) for value in array.ravel().tolist()]
    return texts


def _column(row: Input, array: Array) -> List[Any]:
    """One Python value for each row: numbers, str or bytes, or lists of them."""
    return list(_own(row, array).tolist()) if row.is_text else list(array.tolist())


def _text(row: Input, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InputError("the input %s holds bytes that are not UTF-8 text" % row.spec["name"]) from error
