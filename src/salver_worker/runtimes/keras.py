"""A Keras model: a .keras archive, or the older HDF5 file. Code in the file, as a Lambda layer has it, is not run.

On TensorFlow the model becomes one function of any number of rows; other backends are asked by `predict_on_batch`.
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from salver_worker.arrays import datatype_of
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, signature, tensor
from salver_worker.runtimes.keras_files import LAMBDA_FIX, names_of_lambdas, saved_with
from salver_worker.runtimes.tensorflow_process import device_names, limit, open_tensorflow, translated

if TYPE_CHECKING:
    from salver_worker.arrays import Array

BACKENDS = (("tensorflow", "tensorflow"), ("jax", "jax"), ("torch", "torch"))
"""Keras's names of what can compute, and their modules, the preferred one first."""
DATATYPES = {"string": "BYTES", "bfloat16": "BF16"}
FIX = "Export it with `model.export(folder)` and serve that SavedModel, which needs nothing of the model's own code."
Run = Callable[[Sequence["Array"]], Sequence[Any]]


class Side(NamedTuple):
    """The inputs or the outputs: names and tensors in order, and how the model itself has them put together."""

    names: Tuple[str, ...]
    tensors: Tuple[Any, ...]
    is_by_name: bool

    def packed(self, values: Sequence[Any]) -> Any:
        if self.is_by_name:
            return dict(zip(self.names, values))
        return list(values) if len(values) > 1 else values[0]


def load(request: LoadRequest) -> KerasModel:
    lambdas = names_of_lambdas(request.path)
    if lambdas:
        raise LoadFailure("the layer %s is a Lambda: its code would be run" % lambdas[0], fix=LAMBDA_FIX)
    tensorflow = _tensorflow(request.threads)
    keras = _open_keras(saved_with(request.path))
    try:
        model = keras.models.load_model(request.path, compile=False, **_safely(keras))
    except (ValueError, TypeError, KeyError, ImportError) as error:
        raise LoadFailure("Keras cannot open the model: %s" % _first_line(error), fix=FIX) from error
    return KerasModel(keras, tensorflow, model)


class KerasModel:
    payload = "tensors"

    def __init__(self, keras: Any, tensorflow: Any, model: Any) -> None:
        self._tensorflow = tensorflow
        inputs, outputs = _sides(model)
        self._names = inputs.names
        self._output_names = outputs.names
        rows = [_row(name, each) for name, each in zip(inputs.names, inputs.tensors)]
        answers = [_row(name, each) for name, each in zip(outputs.names, outputs.tensors)]
        self.signature = signature(rows, answers)
        self.has_batch_dimension = all(row["shape"][:1] == [-1] for row in (*rows, *answers))
        self._wide = [row["name"] for row in answers if row["datatype"] == "BF16"]
        is_tensorflow = _backend(keras) == "tensorflow"
        self._run = (
            _function(tensorflow, model, inputs, outputs) if is_tensorflow else _predicting(model, inputs, outputs)
        )
        self.runtime_version = "keras " + keras.__version__
        self.details = {"backend": _backend(keras), "class": type(model).__name__}
        if is_tensorflow:
            self.details["backend"] = "tensorflow " + tensorflow.__version__
            self.details["devices"] = ", ".join(device_names(tensorflow))

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        try:
            values = self._run([inputs[name] for name in self._names])
        except Exception as error:
            if self._tensorflow is not None and isinstance(error, self._tensorflow.errors.OpError):
                raise translated(self._tensorflow, error) from error
            raise
        outputs = dict(zip(self._output_names, map(np.asarray, values)))
        for name in self._wide:
            outputs[name] = outputs[name].astype(np.float32)
        return outputs

    def close(self) -> None:
        """Nothing to give back."""


def _tensorflow(threads: int) -> Any:
    """The module, with as many threads as it may have; None where it is not installed."""
    backend = os.environ.get("KERAS_BACKEND") or next(
        (name for name, module in BACKENDS if importlib.util.find_spec(module) is not None), "tensorflow"
    )
    os.environ["KERAS_BACKEND"] = backend
    if backend != "tensorflow":
        return None
    tensorflow = open_tensorflow()
    limit(tensorflow, threads)
    return tensorflow


def _open_keras(version: str) -> Any:
    """Keras 2 for its own files where it is there: TensorFlow had it built in until 2.15, later it is tf_keras."""
    if version.startswith("2.") and importlib.util.find_spec("tf_keras") is not None:
        return importlib.import_module("tf_keras")
    import keras

    return keras


def _safely(keras: Any) -> Dict[str, Any]:
    """The switch that keeps a file's own code from running; before 2.13 there were no files that had it."""
    release = tuple(int(part) for part in keras.__version__.split(".")[:2])
    return {"safe_mode": True} if release >= (2, 13) else {}


def _backend(keras: Any) -> str:
    name: str = keras.backend.backend()
    return name


def _sides(model: Any) -> Tuple[Side, Side]:
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        text = "the model does not say what it takes: it was saved before it was built, or is a class of its own"
        raise LoadFailure(text, fix=FIX)
    return _side(model, "input"), _side(model, "output")


def _side(model: Any, role: str) -> Side:
    """Inputs and outputs that the model has by name keep their names; others are called as their layers."""
    try:
        structure = getattr(model, role)
    except AttributeError:  # a Sequential that was loaded and not called yet has its tensors, and no more
        structure = None
    if isinstance(structure, dict):
        return Side(tuple(structure), tuple(structure.values()), True)
    tensors = tuple(getattr(model, role + "s"))
    names = getattr(model, role + "_names", None) or [_layer_name(each) for each in tensors]
    return Side(_unlike(names), tensors, False)


def _layer_name(each: Any) -> str:
    """Of the layer that a tensor comes from."""
    history = getattr(each, "_keras_history", None)
    name: str = history[0].name if history else each.name
    return name


def _unlike(names: Sequence[str]) -> Tuple[str, ...]:
    """Names of which no two are alike: a layer that is used twice answers twice."""
    seen: Dict[str, int] = {}
    unlike = []
    for name in names:
        count = seen[name] = seen.get(name, 0) + 1
        unlike.append(name if count == 1 else "%s_%d" % (name, count - 1))
    return tuple(unlike)


def _row(name: str, each: Any) -> Dict[str, Any]:
    if getattr(each, "sparse", False) or getattr(each, "ragged", False) or getattr(each, "is_sparse", False):
        raise LoadFailure("%s is no dense tensor" % name, fix=FIX)
    kind = getattr(each.dtype, "name", None) or str(each.dtype)
    datatype = DATATYPES.get(kind) or datatype_of(np.empty(0, kind))
    if datatype is None:
        raise LoadFailure("%s is of the type %s, which does not travel" % (name, kind), fix=FIX)
    return tensor(name, datatype, [-1 if dim is None else int(dim) for dim in each.shape])


def _function(tensorflow: Any, model: Any, inputs: Side, outputs: Side) -> Run:
    """One graph for every number of rows, made now and not by the first caller."""
    specs = [tensorflow.TensorSpec(each.shape, each.dtype) for each in inputs.tensors]

    def ask(*values: Any) -> Any:
        answer = model(inputs.packed(values), training=False)
        return [answer[name] for name in outputs.names] if outputs.is_by_name else tensorflow.nest.flatten(answer)

    graph = tensorflow.function(ask, input_signature=specs).get_concrete_function()
    constant, kinds = tensorflow.constant, [spec.dtype for spec in specs]

    def run(arrays: Sequence[Array]) -> Sequence[Any]:
        return [each.numpy() for each in graph(*map(constant, arrays, kinds))]

    return run


def _predicting(model: Any, inputs: Side, outputs: Side) -> Run:
    def run(arrays: Sequence[Array]) -> Sequence[Any]:
        answer = model.predict_on_batch(inputs.packed(arrays))
        if outputs.is_by_name:
            return [answer[name] for name in outputs.names]
        return answer if isinstance(answer, (list, tuple)) else [answer]

    return run


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
