"""An ONNX model, on onnxruntime: on the CPU, or on a GPU where the installed build has one.

FP16 tensors are handed over as they are; BF16 inputs and outputs are refused, since onnxruntime's Python interface has
no array for them. Sequences of maps, which scikit-learn's exporter makes of class probabilities, become one table.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Sequence

import numpy as np

from salver_worker.arrays import NUMPY_TYPES, bytes_array
from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, OutputInvalid
from salver_worker.runtimes.base import Arrays, LoadRequest, signature, tensor

if TYPE_CHECKING:
    from salver_worker.arrays import Array

ELEMENTS = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
}
MAPS = ("seq(map(int64,tensor(float)))", "seq(map(string,tensor(float)))")
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
QUIET = 3


def load(request: LoadRequest) -> OnnxModel:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = request.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    for pool in ("intra_op", "inter_op"):  # a worker that waits must not burn the processor of its neighbours
        options.add_session_config_entry("session.%s.allow_spinning" % pool, "0")
    available = onnxruntime.get_available_providers()
    providers = [name for name in PROVIDERS if name in available]
    session = onnxruntime.InferenceSession(request.path, options, providers=providers)
    return OnnxModel(session, "onnxruntime " + onnxruntime.__version__)


class OnnxModel:
    payload = "tensors"

    def __init__(self, session: Any, runtime_version: str) -> None:
        self._run = _quick_run(session)
        inputs = [_input_row(node) for node in session.get_inputs()]
        outputs = [_output_row(node) for node in session.get_outputs()]
        self._output_names = [row["name"] for row in outputs]
        self._text_inputs = [row["name"] for row in inputs if row["datatype"] == "BYTES"]
        self._readers: Dict[str, Callable[[str, Any], Array]] = {
            node.name: reader for node in session.get_outputs() for reader in _readers(node.type)
        }
        self.runtime_version = runtime_version
        self.signature = signature(inputs, outputs)
        self.details = {"providers": ", ".join(session.get_providers())}
        self._learn_outputs([node.type for node in session.get_outputs()])
        self.has_batch_dimension = _has_batch_dimension(session.get_inputs(), inputs, outputs)

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        if self._text_inputs:
            inputs = {**inputs, **{name: _texts(name, inputs[name]) for name in self._text_inputs}}
        names = self._output_names
        outputs = dict(zip(names, self._run(names, inputs, None)))
        for name, reader in self._readers.items():
            outputs[name] = reader(name, outputs[name])
        return outputs

    def leave_out(self, names: Sequence[str]) -> None:
        rows = [row for row in self.signature["outputs"] if row["name"] not in names]
        self.signature = signature(self.signature["inputs"], rows)
        self._output_names = [row["name"] for row in rows]
        self._readers = {name: reader for name, reader in self._readers.items() if name not in names}

    def close(self) -> None:
        """Nothing to give back."""

    def _learn_outputs(self, types: Sequence[str]) -> None:
        """What the file does not tell of some outputs and a row of zeros shows: a table's classes, a tensor's rank."""
        rows = self.signature["outputs"]
        sample = self._sample()
        if sample is None or all(row["shape"] and kind not in MAPS for row, kind in zip(rows, types)):
            return
        for row, kind, value in zip(rows, types, self._run(self._output_names, sample, None)):
            if kind in MAPS:
                classes = sorted(value[0]) if value else []
                row["shape"] = [-1, len(classes)]
                self.details[row["name"] + ".classes"] = json.dumps(classes)
            elif not row["shape"] and value.ndim:
                row["shape"] = [-1, *value.shape[1:]]

    def _sample(self) -> "Dict[str, Array] | None":
        sample = {}
        for row in self.signature["inputs"]:
            shape = [1, *row["shape"][1:]]
            if -1 in shape or row["datatype"] == "BYTES":
                return None
            sample[row["name"]] = np.zeros(shape, NUMPY_TYPES[row["datatype"]])
        return sample


def _quick_run(session: Any) -> Callable[[Sequence[str], Mapping[str, Any], None], Sequence[Any]]:
    """`session.run` without what it checks each time in Python: that inputs are there, which the server has seen to."""
    inner = getattr(getattr(session, "_sess", None), "run", None)
    run: Callable[[Sequence[str], Mapping[str, Any], None], Sequence[Any]] = inner or session.run
    return run


def _input_row(node: Any) -> Dict[str, Any]:
    return _tensor_row("input", node)


def _output_row(node: Any) -> Dict[str, Any]:
    if node.type in MAPS:
        return tensor(node.name, "FP32", (-1, -1))
    return _tensor_row("output", node)


def _tensor_row(role: str, node: Any) -> Dict[str, Any]:
    element = node.type[len("tensor(") : -1] if node.type.startswith("tensor(") else ""
    if element not in ELEMENTS:
        raise LoadFailure(
            "the %s %s is of the type %s, which does not travel" % (role, node.name, node.type),
            fix="Export the model with tensors of numbers or text; BF16 as FP32 or FP16.",
        )
    shape = [dim if isinstance(dim, int) else -1 for dim in node.shape]
    return tensor(node.name, ELEMENTS[element], shape)


def _has_batch_dimension(
    nodes: Sequence[Any], inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]
) -> bool:
    """Every first dimension is free, and the inputs do not call theirs by different names."""
    is_free = all(row["shape"][:1] == [-1] for row in (*inputs, *outputs))
    names = {node.shape[0] for node in nodes if node.shape and isinstance(node.shape[0], str)}
    return bool(inputs) and is_free and len(names) <= 1


def _readers(kind: str) -> Sequence[Callable[[str, Any], Array]]:
    """What must be done to an output of this type; nothing for tensors of numbers."""
    if kind in MAPS:
        return (_table,)
    return (_encoded,) if kind == "tensor(string)" else ()


def _table(name: str, maps: Sequence[Mapping[Any, float]]) -> Array:
    """One row for each map, one column for each class, in the order of the classes."""
    classes = sorted(maps[0]) if maps else []
    if any(len(row) != len(classes) for row in maps):
        raise OutputInvalid("the output %s does not have the same classes in every row" % name)
    return np.array([[row[key] for key in classes] for row in maps], np.float32).reshape(len(maps), len(classes))


def _encoded(name: str, texts: Array) -> Array:  # noqa: ARG001  every reader knows its output's name
    return bytes_array(texts.ravel().tolist(), texts.shape)


def _texts(name: str, array: Array) -> Array:
    try:
        texts = np.empty(array.size, object)
        texts[:] = [element.decode() for element in array.ravel().tolist()]
        return texts.reshape(array.shape)
    except UnicodeDecodeError as error:
        raise InputError("the input %s holds bytes that are not UTF-8 text" % name) from error
