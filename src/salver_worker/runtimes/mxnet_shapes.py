"""What a symbol takes and gives: from MXNet Model Server's signature beside it, else from its graph."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from salver_worker.arrays import datatype_of
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import tensor

Inputs = List[Tuple[Dict[str, Any], str]]
"""Rows of the signature, each with NumPy's name of its elements."""
TRIED_SIZES = (224, 227, 299, 112, 96, 64, 32, 28, 16, 8, 4, 2, 1)
"""What stands for a free dimension while the outputs are described."""
_CODES = {"0": "float32", "1": "float64", "2": "float16", "3": "uint8", "4": "int32", "5": "int8", "6": "int64"}
"""MXNet's numbers of datatypes."""
_KEEPS_SHAPE = frozenset(
    ("Activation", "BatchNorm", "LeakyReLU", "identity", "_copy", "Cast", "cast", "Dropout", "clip")
    + ("_mul_scalar", "_plus_scalar", "_minus_scalar", "_div_scalar", "BlockGrad")
)


def read_signature(path: str) -> Mapping[str, Any]:
    """MXNet Model Server's: `inputs` and `outputs`, each with `data_name` and `data_shape`, where 0 is any size."""
    with open(path, encoding="utf-8") as file:
        known = json.load(file)
    rows = known.get("inputs") if isinstance(known, dict) else None
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        raise LoadFailure("%s has no list `inputs` of `data_name` and `data_shape`" % path, fix=_FIX)
    return dict(known)


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("data_name"), str) and isinstance(row.get("data_shape"), list)


def describe_inputs(symbol: Any, parameters: Mapping[str, Any], known: Mapping[str, Any]) -> Inputs:
    """The arguments that no parameter is for; labels, which only training looks at, are none."""
    told = {row["data_name"]: row["data_shape"] for row in known.get("inputs", ())}
    free = [name for name in symbol.list_arguments() if name not in parameters]
    names = [name for name in free if name in told] or [name for name in free if not name.endswith("label")] or free
    attributes = symbol.attr_dict()
    graph = json.loads(symbol.tojson())["nodes"]
    shapes = {name: array.shape for name, array in parameters.items()}
    inputs: Inputs = []
    for name in names:
        own = attributes.get(name, {})
        shape = _free(told.get(name)) or _written(own.get("__shape__")) or _by_first_layer(graph, name, shapes)
        if shape is None:
            raise LoadFailure("the graph does not tell the shape of the input %s" % name, fix=_FIX)
        dtype = _CODES.get(own.get("__dtype__", ""), _common_dtype(parameters))
        inputs.append((tensor(name, datatype_of(np.zeros(0, dtype)) or "FP32", (-1, *shape[1:])), dtype))
    return inputs


def _free(shape: Optional[Sequence[int]]) -> Optional[List[int]]:
    return [size or -1 for size in shape] if shape else None


def _written(text: Optional[str]) -> Optional[List[int]]:
    """A shape as a variable's attribute has it, `(0, 3, 224, 224)`."""
    sizes = [part.strip() for part in (text or "").strip("()[] ").split(",") if part.strip()]
    try:
        return _free([max(int(size), 0) for size in sizes])
    except ValueError:
        return None


def _common_dtype(parameters: Mapping[str, Any]) -> str:
    """Half precision when all parameters have it, else MXNet's own default."""
    dtypes = {np.dtype(array.dtype).name for array in parameters.values()}
    return dtypes.pop() if len(dtypes) == 1 and dtypes <= {"float16", "float64"} else "float32"


def _by_first_layer(nodes: Sequence[Any], name: str, shapes: Mapping[str, Sequence[int]]) -> Optional[List[int]]:
    """What the first layer with weights takes that the input reaches unchanged."""
    place = next(index for index, node in enumerate(nodes) if node["op"] == "null" and node["name"] == name)
    for node in _readers(nodes, place):
        weight = next(
            (shapes[nodes[each[0]]["name"]] for each in node["inputs"][1:2] if nodes[each[0]]["name"] in shapes), None
        )
        attributes = node.get("attrs") or node.get("attr") or node.get("param") or {}
        if weight is None:
            continue
        if node["op"] == "FullyConnected":
            is_flat = attributes.get("flatten", "True") in ("True", "1")
            return [-1, weight[1]] if is_flat else None
        if node["op"] == "Convolution" and attributes.get("layout", "None")[:2] in ("NC", "No"):
            return [-1, weight[1] * int(attributes.get("num_group", 1)), *[-1] * (len(weight) - 2)]
        if node["op"] == "Embedding":
            return [-1, -1]
    return None


def _readers(nodes: Sequence[Any], place: int) -> Iterator[Any]:
    """The operators that get a node's output as their data, through those that keep its shape."""
    for index, node in enumerate(nodes):
        if node["inputs"] and node["inputs"][0][0] == place:
            yield node
            if node["op"] in _KEEPS_SHAPE:
                yield from _readers(nodes, index)


def describe_outputs(symbol: Any, inputs: Inputs, known: Mapping[str, Any]) -> Tuple[List[Dict[str, Any]], bool]:
    """The outputs as two batches and two sizes of free dimensions show them, and whether each has a row for a row."""
    names = _output_names(symbol, known)
    dtypes = _output_dtypes(symbol, inputs)
    found = [shapes for shapes in (_inferred(symbol, inputs, 2, size) for size in TRIED_SIZES) if shapes][:2]
    if not found:
        raise LoadFailure("no sizes were found that fit the graph", fix=_FIX)
    three = next(shapes for shapes in (_inferred(symbol, inputs, 3, size) for size in TRIED_SIZES) if shapes)
    has_rows = all(two[:1] == (2,) and more[:1] == (3,) for two, more in zip(found[0], three))
    rows = []
    for name, dtype, shape, others in zip(names, dtypes, found[0], zip(*found)):
        free = [-1 if len({other[place] for other in others}) > 1 else size for place, size in enumerate(shape)]
        rows.append(tensor(name, datatype_of(np.zeros(0, dtype)) or "FP32", [-1, *free[1:]] if has_rows else free))
    return rows, has_rows


def _output_names(symbol: Any, known: Mapping[str, Any]) -> List[str]:
    own = [str(name) for name in symbol.list_outputs()]
    told = [row.get("data_name") for row in known.get("outputs") or () if isinstance(row, dict)]
    is_told = len(told) == len(own) and all(isinstance(name, str) for name in told) and len(set(told)) == len(told)
    return [str(name) for name in told] if is_told else own


def _output_dtypes(symbol: Any, inputs: Inputs) -> List[Any]:
    _, found, _ = symbol.infer_type(**{row["name"]: dtype for row, dtype in inputs})
    return list(found) if found else ["float32"] * len(symbol.list_outputs())


def infer(symbol: Any, shapes: Mapping[str, Sequence[int]]) -> Tuple[Any, Any]:
    """The shapes of arguments and outputs. Raises MXNet's error, without what MXNet prints before it."""
    with contextlib.redirect_stdout(io.StringIO()):
        arguments, outputs, _ = symbol.infer_shape(**shapes)
    return arguments, outputs


def _inferred(symbol: Any, inputs: Inputs, rows: int, size: int) -> Optional[List[Tuple[int, ...]]]:
    """The outputs' shapes, or None where these sizes do not fit."""
    shapes = {row["name"]: (rows, *[size if each < 0 else each for each in row["shape"][1:]]) for row, _ in inputs}
    try:
        _, found = infer(symbol, shapes)
    except Exception:  # noqa: BLE001  MXNet's own error, which is not imported here
        return None
    return None if found is None else [tuple(shape) for shape in found]


_FIX = (
    'Put a file NAME-signature.json beside it, as {"inputs": [{"data_name": "data", "data_shape": [0, 3, 224, 224]}]}; '
    "0 is any size."
)
