"""What a module takes: a file of PyTorch names the arguments of `forward`, and seldom says what they are.

The first that knows tells: `inputs` under `[runtime]` in model.toml, another server's file, the inputs that the module
was traced with, the example, the first layer. Where none does the model is not served: a guess would refuse what is
right, or take what is wrong.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from salver_worker.arrays import datatype_of
from salver_worker.failures import LoadFailure
from salver_worker.frames import DATATYPE_SIZES
from salver_worker.runtimes.base import LoadRequest, tensor
from salver_worker.runtimes.options import KEY, option, wrong_option
from salver_worker.runtimes.torch_tensors import TYPES, datatype_of_tensor
from salver_worker.runtimes.torch_traced import Traced

Row = Dict[str, Any]
INPUTS = "inputs"
FORM = '[{ name = "x", datatype = "FP32", shape = [-1, 4] }]'
CONVOLUTIONS = ("Conv1d", "Conv2d", "Conv3d")
LOOKUPS = ("Embedding", "EmbeddingBag")
_POSITION = re.compile(r".*__(\d{1,3})")


class Arguments(NamedTuple):
    """The arguments of a `forward` that take tensors. `packing` is "dict" or "list" where one takes all of them."""

    required: Tuple[str, ...] = ()
    optional: Tuple[str, ...] = ()
    packing: str = ""

    @property
    def names(self) -> Tuple[str, ...]:
        return (*self.required, *self.optional)

    def of(self, name: str) -> str:
        """The argument that an input feeds: the one of its name, or for `INPUT__1` the second. Raises LoadFailure."""
        if self.packing or name in self.names:
            return name
        position = _POSITION.fullmatch(name)
        if position is not None and int(position[1]) < len(self.names):
            return self.names[int(position[1])]
        raise LoadFailure(
            "the model has no input %s; its `forward` takes: %s" % (name, ", ".join(self.names) or "none"),
            code="MANIFEST_INVALID",
            fix="Call it by the argument's name, or by its place, as INPUT__0.",
        )


def known_inputs(
    request: LoadRequest, arguments: Arguments, module: Any, traced: Optional[Sequence[Traced]] = None
) -> List[Row]:
    """One row for each input. Raises LoadFailure when nobody says what they are."""
    rows = (
        told_rows(request)
        or declared_rows(request, INPUTS)
        or _traced_rows(arguments, traced)
        or _example_rows(request, arguments)
        or _first_layer_rows(arguments, module)
    )
    if rows is None:
        names = ", ".join(arguments.names) or "what it takes"
        raise LoadFailure(
            "the file does not say of what datatype and shape the model's inputs are (%s)" % names,
            fix="Say it in model.toml under [runtime]: inputs = %s." % FORM,
        )
    fed = [arguments.of(row["name"]) for row in rows]
    missing = [name for name in arguments.required if name not in fed and not arguments.packing]
    if missing:
        raise LoadFailure(
            "nothing feeds the argument %s of the model's `forward`" % missing[0],
            code="MANIFEST_INVALID",
            fix="Name it among the inputs.",
        )
    return list(rows)


def told_rows(request: LoadRequest) -> Optional[List[Row]]:
    rows = option(request, INPUTS)
    if rows is None:
        return None
    try:
        told = [tensor(str(row["name"]), row["datatype"], [int(dim) for dim in row["shape"]]) for row in rows]
    except (KeyError, TypeError, ValueError):
        raise wrong_option(INPUTS, "a list as %s" % FORM) from None
    for row in told:
        if row["datatype"] not in TYPES:
            raise LoadFailure(
                "the datatype %s of the input %s is none of %s" % (row["datatype"], row["name"], ", ".join(TYPES)),
                code="MANIFEST_INVALID",
                fix="Correct it in model.toml.",
                where=[KEY, INPUTS],
            )
    return told


def declared_rows(request: LoadRequest, key: str) -> Optional[List[Row]]:
    """What another server's file says of the `inputs` or `outputs`, rows put in front where it leaves them out."""
    declared = request.manifest.get("declared") or {}
    rows = declared.get(key) or ()
    if not rows or any(row["datatype"] not in DATATYPE_SIZES for row in rows):
        return None
    front = [-1] if declared.get("has_rows") else []
    return [tensor(row["name"], row["datatype"], [*front, *row["shape"]]) for row in rows]


def _traced_rows(arguments: Arguments, traced: Optional[Sequence[Traced]]) -> Optional[List[Row]]:
    """The first dimension of what a module was traced with counts rows; the others are as they were."""
    if not traced or arguments.packing or len(traced) > len(arguments.names):
        return None
    return [tensor(name, value.datatype, [-1, *value.shape[1:]]) for name, value in zip(arguments.names, traced)]


def _example_rows(request: LoadRequest, arguments: Arguments) -> Optional[List[Row]]:
    """What the manifest's example is, unless conversions stand between it and the model."""
    manifest = request.manifest
    example = (manifest.get("example") or {}).get("inputs") or {}
    if not example or manifest.get("inputs") or not set(arguments.required) <= set(example):
        return None
    rows = [_example_row(name, value) for name, value in example.items()]
    return None if None in rows else [row for row in rows if row is not None]


def _example_row(name: str, value: Any) -> Optional[Row]:
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    if array.dtype.kind not in "bif" or not array.ndim:
        return None
    datatype = "FP32" if array.dtype.kind == "f" else datatype_of(array)
    return tensor(name, datatype or "", [-1, *array.shape[1:]])


def _first_layer_rows(arguments: Arguments, module: Any) -> Optional[List[Row]]:
    """What the module's first layer takes, where the module has one input. A first run shows whether that is so."""
    if len(arguments.required) != 1 or arguments.packing:
        return None
    for _, layer in module.named_modules():
        found = _taken_by(getattr(layer, "original_name", type(layer).__name__), layer)
        if found is not None:
            return [tensor(arguments.required[0], *found)]
    return None


def _taken_by(kind: str, layer: Any) -> Optional[Tuple[str, List[int]]]:
    weight: Any = getattr(layer, "weight", None)
    if kind in LOOKUPS:
        return "INT64", [-1, -1]
    if kind == "Linear":
        return datatype_of_tensor(weight), [-1, weight.shape[1]]
    if kind in CONVOLUTIONS:
        channels = weight.shape[1] * int(getattr(layer, "groups", 1))
        return datatype_of_tensor(weight), [-1, channels, *[-1] * (weight.dim() - 2)]
    return None


def names_told(request: LoadRequest) -> Tuple[str, ...]:
    """The outputs' names, in order, as `outputs` under `[runtime]` or another server's file says."""
    names = option(request, "outputs")
    if names is None:
        declared: Mapping[str, Any] = request.manifest.get("declared") or {}
        return tuple(row["name"] for row in declared.get("outputs") or ())
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise wrong_option("outputs", 'a list of names, as ["logits", "boxes"]')
    return tuple(names)
