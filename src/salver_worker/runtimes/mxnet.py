"""A symbol of MXNet 1 with its parameters, as Module and Gluon export them. ``docs/runtimes/mxnet.md`` is its page."""

from __future__ import annotations

import os
import warnings
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, signature
from salver_worker.runtimes.mxnet_files import SYMBOL_ENDING, parameters_of, signature_of
from salver_worker.runtimes.mxnet_shapes import describe_inputs, describe_outputs, infer, read_signature

MOST_EXECUTORS = 8
"""Shapes of inputs whose executors are kept; they share their memory."""
Shapes = Tuple[Tuple[str, Tuple[int, ...]], ...]
_FORGOTTEN = {"bool": bool, "int": int, "float": float, "object": object, "complex": complex}
"""Names of NumPy that MXNet 1.9 uses and NumPy 1.24 has no more."""


def load(request: LoadRequest) -> MxnetModel:
    mx = _framework(request.threads)
    path = _symbol(request.path)
    parameters = parameters_of(path)
    if parameters is None:
        raise LoadFailure(
            "there are no parameters beside %s" % os.path.basename(path),
            fix="Put NAME-0000.params beside NAME%s." % SYMBOL_ENDING,
        )
    symbol = mx.sym.load(path)
    known = signature_of(path)
    stored = mx.nd.load(parameters)
    if not isinstance(stored, dict):
        stored = {}  # a file without names, as of a graph without parameters
    return MxnetModel(mx, symbol, stored, {} if known is None else read_signature(known), parameters)


def _framework(threads: int) -> Any:
    """MXNet, told how many threads it has before it makes any."""
    os.environ.setdefault("MXNET_CPU_WORKER_NTHREADS", str(threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads must not spin
    os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")
    os.environ.setdefault("MXNET_CUDNN_AUTOTUNE_DEFAULT", "0")  # each new shape would be timed anew
    for name, value in _FORGOTTEN.items():
        if name not in vars(np):
            setattr(np, name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it names what NumPy will forget, at each import
        import mxnet as mx
    return mx


def _symbol(path: str) -> str:
    """The symbol itself, or the only one of a folder."""
    if not os.path.isdir(path):
        return path
    found = [name for name in sorted(os.listdir(path)) if name.endswith(SYMBOL_ENDING)]
    if len(found) != 1:
        raise LoadFailure("%s holds %d files *%s" % (path, len(found), SYMBOL_ENDING), fix="Name one with `artifact`.")
    return os.path.join(path, found[0])


class MxnetModel:
    payload = "tensors"

    def __init__(self, mx: Any, symbol: Any, stored: Dict[str, Any], known: Mapping[str, Any], parameters: str) -> None:
        self._mx = mx
        self._symbol = symbol
        self._context = mx.gpu(0) if mx.context.num_gpus() else mx.cpu()
        arrays = {name.split(":", 1)[-1]: array.as_in_context(self._context) for name, array in stored.items()}
        self._arguments = {name: arrays[name] for name in symbol.list_arguments() if name in arrays}
        self._auxiliary = {name: arrays[name] for name in symbol.list_auxiliary_states() if name in arrays}
        inputs = describe_inputs(symbol, self._arguments, known)
        self._dtypes = {row["name"]: dtype for row, dtype in inputs}
        outputs, self.has_batch_dimension = describe_outputs(symbol, inputs, known)
        self._outputs = [row["name"] for row in outputs]
        self._executors: Dict[Shapes, Any] = {}
        self.signature = signature([row for row, _ in inputs], outputs)
        self.runtime_version = "mxnet " + mx.__version__
        self.details = {"parameters": os.path.basename(parameters), "device": str(self._context)}

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        executor = self._executor(tuple((name, inputs[name].shape) for name in self._dtypes))
        for name, dtype in self._dtypes.items():
            executor.arg_dict[name][:] = np.ascontiguousarray(inputs[name], dtype)
        executor.forward(is_train=False)
        return {name: array.asnumpy() for name, array in zip(self._outputs, executor.outputs)}

    def leave_out(self, names: Sequence[str]) -> None:
        kept = [index for index, name in enumerate(self._outputs) if name not in names]
        self._symbol = self._mx.sym.Group([self._symbol[index] for index in kept])
        rows: List[Dict[str, Any]] = [self.signature["outputs"][index] for index in kept]
        self._outputs = [row["name"] for row in rows]
        self._executors.clear()
        self.signature = signature(self.signature["inputs"], rows)

    def _executor(self, shapes: Shapes) -> Any:
        found = self._executors.pop(shapes, None)
        if found is None:
            found = self._bound(dict(shapes))
            while len(self._executors) >= MOST_EXECUTORS:
                del self._executors[next(iter(self._executors))]
        self._executors[shapes] = found  # the one that was used last is the last to go
        return found

    def _bound(self, shapes: Dict[str, Tuple[int, ...]]) -> Any:
        """The graph for inputs of these shapes. The parameters are there once, for all executors."""
        try:
            return self._bind(shapes)
        except self._mx.base.MXNetError as error:
            told = ", ".join("%s %s" % (name, list(shape)) for name, shape in shapes.items())
            raise InputError("inputs of these shapes do not fit the model: %s" % told) from error

    def _bind(self, shapes: Dict[str, Tuple[int, ...]]) -> Any:
        found, _ = infer(self._symbol, shapes)
        arguments = dict(self._arguments)
        for name, shape in zip(self._symbol.list_arguments(), found):
            if name not in arguments:
                arguments[name] = self._mx.nd.zeros(shape, self._context, dtype=self._dtypes.get(name, "float32"))
        largest = next(reversed(list(self._executors.values())), None)
        return self._symbol.bind(
            self._context, arguments, grad_req="null", aux_states=self._auxiliary, shared_exec=largest
        )

    def close(self) -> None:
        self._executors.clear()
