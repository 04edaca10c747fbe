"""TorchScript: a program that PyTorch runs without the Python code that it was made of."""

from __future__ import annotations

import warnings
from typing import Any, Dict, List

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import LoadRequest
from salver_worker.runtimes.torch_inputs import Arguments, Row, declared_rows, known_inputs, names_told
from salver_worker.runtimes.torch_model import Program
from salver_worker.runtimes.torch_traced import traced_with

PACKINGS = {"Dict[str, Tensor]": "dict", "List[Tensor]": "list"}
TENSORS = ("Tensor", "Optional[Tensor]")


def open_script(torch: Any, request: LoadRequest, device: str) -> Program:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer releases advise another format
        module = torch.jit.load(request.path, map_location=device).eval()
    arguments = script_arguments(module)
    inputs = known_inputs(request, arguments, module, traced_with(request.path))
    return called_by_name(module, arguments, inputs, request)


def called_by_name(module: Any, arguments: Arguments, inputs: List[Row], request: LoadRequest) -> Program:
    """The program of a module whose `forward` is fed by the names of its arguments."""
    fed = [(arguments.of(row["name"]), row["name"]) for row in inputs]

    def run(tensors: Dict[str, Any]) -> Any:
        if arguments.packing == "dict":
            return module(tensors)
        if arguments.packing == "list":
            return module(list(tensors.values()))
        return module(**{argument: tensors[name] for argument, name in fed})

    declared = request.manifest.get("declared") or {}
    return Program(
        run=run,
        inputs=inputs,
        output_names=names_told(request),
        outputs=declared_rows(request, "outputs"),
        has_rows=declared.get("has_rows"),
    )


def script_arguments(module: Any) -> Arguments:
    """Raises LoadFailure where `forward` must be given what is no tensor."""
    if not hasattr(module, "forward"):
        raise LoadFailure("the TorchScript module has no `forward`", fix="Script or trace a module that has one.")
    required: List[str] = []
    optional: List[str] = []
    found = module.forward.schema.arguments[1:]
    for argument in found:
        kind = str(argument.type)
        if kind in PACKINGS and len(found) == 1:
            return Arguments((argument.name,), packing=PACKINGS[kind])
        if argument.has_default_value():
            optional += [argument.name] if kind in TENSORS else []
        elif kind in TENSORS:
            required.append(argument.name)
        else:
            raise LoadFailure(
                "the argument %s of the model's `forward` is a %s, which no request can hold" % (argument.name, kind),
                fix="Save a module whose `forward` takes tensors, or give the argument a default.",
            )
    return Arguments(tuple(required), tuple(optional))
