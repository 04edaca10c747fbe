"""A program that `torch.export` saved: it knows its inputs and outputs, with the range of each free dimension."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, tensor
from salver_worker.runtimes.options import option
from salver_worker.runtimes.torch_inputs import INPUTS, names_told
from salver_worker.runtimes.torch_model import Program, arranged
from salver_worker.runtimes.torch_tensors import datatype_of_tensor, named_tensors

if TYPE_CHECKING:
    from salver_worker.runtimes.torch_inputs import Row


class Bounds(NamedTuple):
    """How large a dimension may be; `name` is the symbol that several dimensions may share."""

    name: str
    least: int
    most: Optional[int]


Free = Dict[str, List[Optional[Bounds]]]
"""Of each tensor, one for each dimension; None for one that is fixed."""


def open_export(torch: Any, request: LoadRequest, device: str) -> Program:
    if option(request, INPUTS) is not None:
        raise LoadFailure(
            "the file says what its inputs are",
            code="MANIFEST_INVALID",
            fix="Remove `inputs` from [runtime].",
            where=["runtime", INPUTS],
        )
    program = torch.export.load(request.path)
    if device != "cpu":
        program = torch.export.passes.move_to_device_pass(program, device)
    return _Opened(program, request).program()


class _Opened:
    """An ExportedProgram, and what is read of it."""

    def __init__(self, program: Any, request: LoadRequest) -> None:
        self._program = program
        self._tree = importlib.import_module("torch.utils._pytree")  # how the exporter itself takes calls apart
        self._module = program.module()
        self._values = {node.name: node.meta.get("val") for node in program.graph.nodes}
        self._slots = self._input_slots()
        self._names = names_told(request)

    def program(self) -> Program:
        inputs = {name: self._values[name] for name in self._slots if isinstance(name, str)}
        outputs = arranged(named_tensors(self._returned()), self._names)
        free = {name: self._free(value) for name, value in inputs.items()}
        rows = _common_rows([*free.values(), *(self._free(value) for value in outputs.values())])
        return Program(
            run=self._run,
            inputs=[_row(name, value) for name, value in inputs.items()],
            output_names=self._names,
            outputs=[_row(name, value) for name, value in outputs.items()],
            has_rows=None if rows is not None and inputs else False,
            most_rows=None if rows is None else rows.most,
            check=lambda arrays: check_bounds(arrays, free, None if rows is None else rows.name),
        )

    def _run(self, tensors: Dict[str, Any]) -> Any:
        flat = [tensors[slot] if isinstance(slot, str) else slot[0] for slot in self._slots]
        arguments, keywords = self._tree.tree_unflatten(flat, self._program.call_spec.in_spec)
        return self._module(*arguments, **keywords)

    def _input_slots(self) -> List[Any]:
        """For each leaf of the call the name of an input, or, in a tuple, the constant that it was exported with."""
        slots: List[Any] = []
        for spec in self._program.graph_signature.input_specs:
            if spec.kind.name != "USER_INPUT":
                continue
            if type(spec.arg).__name__ == "TensorArgument":
                slots.append(spec.arg.name)
            elif type(spec.arg).__name__ == "ConstantArgument":
                slots.append((spec.arg.value,))
            else:
                raise LoadFailure(
                    "the program takes the number %s, which is no tensor" % spec.arg.name,
                    fix="Export it with a fixed number, or with a tensor in its place.",
                )
        return slots

    def _returned(self) -> Any:
        """What a call returns, with what is known of each tensor in its place."""
        flat = []
        for spec in self._program.graph_signature.output_specs:
            if spec.kind.name == "USER_OUTPUT":
                is_constant = type(spec.arg).__name__ == "ConstantArgument"
                flat.append(spec.arg.value if is_constant else self._values[spec.arg.name])
        return self._tree.tree_unflatten(flat, self._program.call_spec.out_spec)

    def _free(self, value: Any) -> List[Optional[Bounds]]:
        return [None if isinstance(dim, int) else self._bounds(dim) for dim in value.shape]

    def _bounds(self, dim: Any) -> Bounds:
        symbol = dim.node.expr
        found = self._program.range_constraints.get(symbol)
        if found is None:  # made of others, as `2*s0`
            return Bounds(str(symbol), 0, None)
        return Bounds(str(symbol), _whole(found.lower) or 0, _whole(found.upper))


def _whole(bound: Any) -> Optional[int]:
    """None for what has no end."""
    try:
        number = int(bound)
    except (OverflowError, TypeError, ValueError, AttributeError):
        return None
    return number if number < 1 << 31 else None


def _row(name: str, value: Any) -> Row:
    return tensor(name, datatype_of_tensor(value), [dim if isinstance(dim, int) else -1 for dim in value.shape])


def _common_rows(tensors: Sequence[Sequence[Optional[Bounds]]]) -> Optional[Bounds]:
    """The first dimension that all tensors share, if they do."""
    firsts = {each[0] if each else None for each in tensors}
    return firsts.pop() if len(firsts) == 1 else None


def check_bounds(arrays: Arrays, free: Mapping[str, Sequence[Optional[Bounds]]], rows: Optional[str]) -> None:
    """Raises InputError for a size that the program was not exported for. More rows than it takes are split."""
    sizes: Dict[str, int] = {}
    for name, dims in free.items():
        for place, bounds in enumerate(dims):
            if bounds is None or bounds.name == rows:
                continue
            size = arrays[name].shape[place]
            # PyTorch writes 2 where an exporter said nothing, and takes 0 and 1 all the same.
            if (bounds.least > 2 and size < bounds.least) or (bounds.most is not None and size > bounds.most):
                ends = "%d or more" % bounds.least if bounds.most is None else "%d to %d" % (bounds.least, bounds.most)
                raise InputError("dimension %d of the input %s must be %s, not %d" % (place + 1, name, ends, size))
            if sizes.setdefault(bounds.name, size) != size:
                raise InputError(
                    "dimension %d of the input %s must be %d, as another one is, not %d"
                    % (place + 1, name, sizes[bounds.name], size)
                )
