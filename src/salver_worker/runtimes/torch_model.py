"""A PyTorch module that is served: fed by name, run without gradients, its outputs named and known from a first run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from salver_worker.arrays import NUMPY_TYPES, widen
from salver_worker.errors import InputError
from salver_worker.failures import OutputInvalid, describe
from salver_worker.runtimes.base import Arrays, signature, tensor
from salver_worker.runtimes.torch_inputs import Row
from salver_worker.runtimes.torch_tensors import array_of_tensor, datatype_of_tensor, named_tensors, tensor_of_array

if TYPE_CHECKING:
    from salver_worker.arrays import Array

OUT_OF_TABLE = "index out of range in self"
"""What PyTorch says of a value that an embedding has no row for."""
FREE = (8, 32, 224)
"""What free dimensions but the first are tried with: a picture may be too small for a network, and a text too long."""


class Program(NamedTuple):
    """What all kinds of files come to. `run` takes tensors by the names of `inputs` and gives what the module returns.

    `output_names` are those that callers know, where somebody said them; `outputs` what is known of them before a run.
    `has_rows` is None where a first run is to show whether the first dimension counts rows. `most_rows` is the largest
    batch that the module takes, None for any.
    """

    run: Callable[[Dict[str, Any]], Any]
    inputs: List[Row]
    output_names: Tuple[str, ...] = ()
    outputs: Optional[List[Row]] = None
    has_rows: Optional[bool] = None
    most_rows: Optional[int] = None
    check: Optional[Callable[[Arrays], None]] = None


class TorchModel:
    payload = "tensors"

    def __init__(self, torch: Any, program: Program, device: str, details: Mapping[str, str]) -> None:
        self._torch = torch
        self._program = program
        self._device = device
        self.runtime_version = "PyTorch %s" % torch.__version__
        self.details = {**details, "device": device}
        self.has_batch_dimension = bool(program.has_rows)
        self.signature = signature(program.inputs, program.outputs or [])
        if program.outputs is None or program.has_rows is None:
            self._learn()

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        if self._program.check is not None:
            self._program.check(inputs)
        most, rows = self._program.most_rows, self._rows(inputs)
        if most is None or rows <= most or not self.has_batch_dimension:
            return self._answer(inputs)
        parts = [
            self._answer({name: array[start : start + most] for name, array in inputs.items()})
            for start in range(0, rows, most)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close(self) -> None:
        """Nothing to give back."""

    def _rows(self, inputs: Arrays) -> int:
        return next((len(array) for array in inputs.values() if array.ndim), 1)

    def _answer(self, inputs: Arrays) -> Arrays:
        return {name: array_of_tensor(value) for name, value in self._tensors(inputs).items()}

    def _tensors(self, inputs: Arrays) -> Dict[str, Any]:
        with self._torch.inference_mode():
            fed = {
                row["name"]: tensor_of_array(self._torch, inputs[row["name"]], row["datatype"], self._device)
                for row in self._program.inputs
            }
            try:
                returned = self._program.run(fed)
            except (IndexError, RuntimeError) as error:
                if OUT_OF_TABLE not in str(error):
                    raise
                raise InputError("a value is no index of the table that the model looks it up in") from error
        return arranged(named_tensors(returned), self._program.output_names)

    # What a first run shows

    def _learn(self) -> None:
        """Outputs, and whether rows are rows, from runs with two and with three made-up ones."""
        trial = _Trial(self._program.inputs, self._tensors)
        if trial.outputs is None:
            self.details["first_run"] = "failed: %s" % trial.problem
            print("salver_worker: a first run with made-up values failed: %s" % trial.problem, file=sys.stderr)
            return
        if self._program.outputs is None:
            self.signature = signature(self._program.inputs, trial.outputs)
        if self._program.has_rows is not False:
            self.has_batch_dimension = trial.has_rows and (bool(self._program.has_rows) or trial.keeps_rows_apart)
        if trial.has_rows and not trial.keeps_rows_apart:
            self.details["rows"] = "what a row gets depends on the others of its request"


class _Trial:
    """Runs with values that are made up."""

    def __init__(self, inputs: Sequence[Row], run: Callable[[Arrays], Dict[str, Any]]) -> None:
        self._inputs = inputs
        self._run = run
        self.problem = ""
        self.outputs: Optional[List[Row]] = None
        self.has_rows = self.keeps_rows_apart = False
        for free in FREE if self._is_free_inside else FREE[:1]:
            if self._attempt(free):
                return

    @property
    def _is_free_inside(self) -> bool:
        return any(-1 in row["shape"][1:] for row in self._inputs)

    def _attempt(self, free: int) -> bool:
        try:
            two = self._run(self._made_up(2, free))
        except Exception as error:  # noqa: BLE001  made-up values may mean nothing to it
            self.problem = self.problem or describe(error).partition("\n")[0]
            return False
        wider = (self._try(2, 2 * free) or two) if self._is_free_inside else two
        three = self._try(3, free)
        shapes = {name: [list(each[name].shape) for each in (two, wider, three or two)] for name in two}
        self.outputs = [
            tensor(name, datatype_of_tensor(two[name]), [dims[0] if len(set(dims)) == 1 else -1 for dims in zip(*of)])
            for name, of in shapes.items()
        ]
        is_by_row = all(row["shape"][:1] == [-1] for row in self._inputs)
        follows = all(of[0][:1] == [2] and of[2][:1] == [3] for of in shapes.values())
        self.has_rows = bool(three) and is_by_row and follows
        if self.has_rows:
            self.keeps_rows_apart = all(_is_close(three[name][:2], two[name]) for name in two)
        return True

    def _try(self, rows: int, free: int) -> Dict[str, Any]:
        """Empty where it does not go in: the module is for fixed sizes."""
        try:
            return self._run(self._made_up(rows, free))
        except Exception:  # noqa: BLE001  it took others
            return {}

    def _made_up(self, rows: int, free: int) -> Arrays:
        return {row["name"]: _values(row, rows, free) for row in self._inputs}


def _values(row: Row, rows: int, free: int) -> "Array":
    """The same rows each time; of whole numbers zeros, which are an index of any table."""
    shape = [free if dim == -1 else dim for dim in row["shape"]]
    if row["shape"][:1] == [-1]:
        shape[0] = rows
    dtype = NUMPY_TYPES[widen(row["datatype"])]
    return (
        np.random.default_rng(0).standard_normal(shape).astype(dtype) if dtype.kind == "f" else np.zeros(shape, dtype)
    )


def _is_close(one: Any, other: Any) -> bool:
    return bool(np.allclose(array_of_tensor(one), array_of_tensor(other), rtol=0.01, atol=0.001, equal_nan=True))


def arranged(outputs: Dict[str, Any], names: Sequence[str]) -> Dict[str, Any]:
    """The outputs under the names that somebody gave them: its own, `OUTPUT__1` for the second, else by their order."""
    if not names:
        return outputs
    values = list(outputs.values())
    found = {}
    for index, name in enumerate(names):
        number = name.rpartition("__")[2]
        place = int(number) if "__" in name and number.isdecimal() else index
        if name not in outputs and place >= len(values):
            raise OutputInvalid("the model returns %d outputs, and %s would be another one" % (len(values), name))
        found[name] = outputs[name] if name in outputs else values[place]
    return found
