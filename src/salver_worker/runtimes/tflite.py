"""A TensorFlow Lite model, on LiteRT. Quantised tensors travel as they are; `details` say how they are scaled.

The library keeps one shape of its inputs at a time, and plans anew when another number of rows comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from salver_worker.arrays import bytes_array, datatype_of
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, NamedSignature, signature, tensor

if TYPE_CHECKING:
    from salver_worker.arrays import Array

DEFAULT = "serving_default"
TRIED_ROWS = 3
"""With so many rows it is tried whether a model whose file says one row takes more."""
UNRESOLVED = "unresolved custom op: "
FLEX = "select tensorflow op"
FIX = "Convert the model with the built-in operators of TensorFlow Lite alone, or serve its SavedModel."


def load(request: LoadRequest) -> LiteModel:
    import importlib.metadata

    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=request.path, num_threads=request.threads)
    except ValueError as error:
        text = "LiteRT cannot open the file: %s" % _first_line(error)
        raise LoadFailure(text, fix="Copy the file again; it may have been cut short.") from error
    return LiteModel(interpreter, "ai-edge-litert " + importlib.metadata.version("ai-edge-litert"))


class LiteModel:
    payload = "tensors"

    def __init__(self, interpreter: Any, runtime_version: str) -> None:
        graphs = _graphs(interpreter)
        for graph in graphs.values():
            graph.learn()
        self.default_signature = DEFAULT if DEFAULT in graphs else min(graphs)
        default = graphs[self.default_signature]
        self.signatures = {
            name: NamedSignature(graph.signature, graph.has_batch_dimension, graph.predict)
            for name, graph in graphs.items()
            if name != self.default_signature
        }
        self.signature_defs: Mapping[str, Any] = {}
        self.signature = default.signature
        self.has_batch_dimension = default.has_batch_dimension
        self.predict = default.predict
        self.runtime_version = runtime_version
        self.details = {key: text for graph in graphs.values() for key, text in graph.details().items()}

    def close(self) -> None:
        """Nothing to give back."""


class Place(NamedTuple):
    """One tensor: its name for callers, its number in the graph, and what the file says of it."""

    name: str
    number: int
    told: Mapping[str, Any]

    @property
    def declared(self) -> List[int]:
        shape = self.told["shape_signature"] if len(self.told["shape_signature"]) else self.told["shape"]
        return [int(dim) for dim in shape]

    @property
    def datatype(self) -> str:
        kind: Any = np.dtype(self.told["dtype"])
        datatype = datatype_of(np.empty(0, kind))
        if datatype is None:
            raise LoadFailure("%s is of the type %s, which does not travel" % (self.name, kind), fix=FIX)
        return datatype

    def row(self, *, free: bool) -> Dict[str, Any]:
        """With `free` the first dimension counts rows, whatever the file says."""
        return tensor(self.name, self.datatype, [-1, *self.declared[1:]] if free else self.declared)


class Graph:
    """One signature, or the whole of a file without signatures."""

    def __init__(self, wrapper: Any, number: int, inputs: Sequence[Place], outputs: Sequence[Place]) -> None:
        self._wrapper = wrapper
        self._number = number
        self._inputs = inputs
        self._outputs = outputs
        self._texts = {place.name for place in (*inputs, *outputs) if place.datatype == "BYTES"}
        self._shapes: Optional[Tuple[Tuple[int, ...], ...]] = None
        self.has_batch_dimension = False
        self.signature = self._signature(free=False)

    def learn(self) -> None:
        """Whether the first dimension counts rows, and the shapes of outputs that only a run shows."""
        rows = [place.declared[:1] for place in self._inputs]
        self.has_batch_dimension = bool(rows) and (
            self._says_so(rows) or (all(first == [1] for first in rows) and self._takes_more_rows())
        )
        self.signature = self._signature(free=self.has_batch_dimension)

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        wrapper, number = self._wrapper, self._number
        arrays = [inputs[place.name] for place in self._inputs]
        shapes = tuple([array.shape for array in arrays])
        if shapes != self._shapes:
            self._shapes = None
            for place, shape in zip(self._inputs, shapes):
                wrapper.ResizeInputTensor(place.number, np.array(shape, np.int32), False, number)
            wrapper.AllocateTensors(number)
            self._shapes = shapes
        for place, array in zip(self._inputs, arrays):
            wrapper.SetTensor(place.number, array, number)
        wrapper.Invoke(number)
        outputs = {place.name: wrapper.GetTensor(place.number, number) for place in self._outputs}
        for name in self._texts:
            if name in outputs:
                outputs[name] = bytes_array(outputs[name].ravel().tolist(), outputs[name].shape)
        return outputs

    def details(self) -> Dict[str, str]:
        """How quantised numbers are meant: scale and zero point of each tensor that has one of each."""
        scaled = {}
        for place in (*self._inputs, *self._outputs):
            told = place.told["quantization_parameters"]
            if len(told["scales"]) == 1:
                scale = (float(told["scales"][0]), int(told["zero_points"][0]))
                scaled[place.name + ".quantization"] = "value = %.9g * (number - %d)" % scale
        return scaled

    def _says_so(self, rows: Sequence[List[int]]) -> bool:
        return all(first == [-1] for first in (*rows, *[place.declared[:1] for place in self._outputs]))

    def _takes_more_rows(self) -> bool:
        """Whether several rows at once are answered as each of them is alone. A file often says 1 and means any."""
        if self._texts:
            return False
        chance = np.random.default_rng(0)
        batch = {place.name: _numbers(place, chance) for place in self._inputs}
        try:
            together = self.predict(batch, {})
            alone = [
                self.predict({name: it[at : at + 1] for name, it in batch.items()}, {}) for at in range(TRIED_ROWS)
            ]
        except (RuntimeError, ValueError):
            return False
        return all(
            array.shape[:1] == (TRIED_ROWS,) and _are_alike(array, np.concatenate([each[name] for each in alone]))
            for name, array in together.items()
        )

    def _signature(self, *, free: bool) -> Dict[str, Any]:
        return signature([place.row(free=free) for place in self._inputs], [it.row(free=free) for it in self._outputs])


def _graphs(interpreter: Any) -> Dict[str, Graph]:
    """By the names of the signatures; one of the default name where the file has none. Raises LoadFailure."""
    graphs = {}
    wrapper = interpreter._interpreter  # noqa: SLF001  its own runner resizes and plans anew for every call
    try:
        for name in interpreter.get_signature_list():
            runner = interpreter.get_signature_runner(name)
            sides = [
                [Place(key, told["index"], told) for key, told in sorted(side.items())]
                for side in (runner.get_input_details(), runner.get_output_details())
            ]
            graphs[name] = Graph(wrapper, wrapper.GetSubgraphIndexFromSignature(name), *sides)
        if not graphs:
            sides = [
                [Place(told["name"], told["index"], told) for told in side]
                for side in (interpreter.get_input_details(), interpreter.get_output_details())
            ]
            graphs[DEFAULT] = Graph(wrapper, 0, *sides)
        wrapper.AllocateTensors()
    except RuntimeError as error:
        raise LoadFailure("the model cannot be prepared: %s" % _first_line(error), fix=_fix(str(error))) from error
    return graphs


def _numbers(place: Place, chance: Any) -> Array:
    """Some rows of numbers that differ, small enough to be indexes."""
    shape = [TRIED_ROWS, *[abs(dim) for dim in place.declared[1:]]]
    kind: Any = np.dtype(place.told["dtype"])
    if kind.kind == "f":
        return np.asarray(chance.random(shape), kind)
    high = 256 if kind == np.uint8 and len(place.told["quantization_parameters"]["scales"]) else 2
    return np.asarray(chance.integers(0, high, shape), kind)


def _are_alike(together: Array, alone: Array) -> bool:
    if together.dtype.kind == "f":
        return bool(np.allclose(together, alone, rtol=1e-3, atol=1e-5, equal_nan=True))
    return bool(np.max(np.abs(together.astype(np.int64) - alone.astype(np.int64)), initial=0) <= 1)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def _fix(said: str) -> str:
    if UNRESOLVED in said or FLEX in said.lower():
        return "It needs operators that LiteRT does not have. " + FIX
    return FIX
