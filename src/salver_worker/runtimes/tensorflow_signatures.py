"""TensorFlow's SignatureDefs as signatures: aliases in order, datatypes, shapes, and whether requests have rows."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from salver_worker.runtimes.base import Signature, signature, tensor

DEFAULT = "serving_default"
PREFERRED = (DEFAULT, "predict", "default", "serve")
"""The names that a default signature goes by, the best one first."""
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
REFERENCE = 100
"""What is added to the number of a datatype where a variable itself is meant, as in old graphs."""
DATATYPES = {
    1: "FP32", 2: "FP64", 3: "INT32", 4: "UINT8", 5: "INT16", 6: "INT8", 7: "BYTES", 9: "INT64", 10: "BOOL",
    14: "BF16", 17: "UINT16", 19: "FP16", 22: "UINT32", 23: "UINT64",
}  # fmt: skip
"""By the numbers of TensorFlow's DataType."""

Row = Dict[str, Any]


class Described(NamedTuple):
    """A signature that can be asked: its rows, and the tensors of the graph in the order of the rows."""

    signature: Signature
    has_batch_dimension: bool
    feeds: Tuple[str, ...]
    fetches: Tuple[str, ...]


def describe(definition: Any) -> Described:
    """Raises ValueError that says why nobody can ask for this signature."""
    inputs, outputs = sorted(definition.inputs.items()), sorted(definition.outputs.items())
    if not outputs:
        raise ValueError("it has no outputs")
    method = definition.method_name
    rows = [_row(alias, info, _input_shape(info, method)) for alias, info in inputs]
    answers = [_row(alias, info, _output_shape(info, method)) for alias, info in outputs]
    feeds = tuple(info.name for _, info in inputs)
    if len(set(feeds)) < len(feeds):
        raise ValueError("two of its inputs are one tensor")
    fetches = tuple(info.name for _, info in outputs)
    return Described(signature(rows, answers), _has_rows(rows, answers), feeds, fetches)


def default_name(names: Sequence[str]) -> str:
    """The signature that is meant where nobody names one."""
    return next((name for name in PREFERRED if name in names), min(names))


def definitions(graph: Any) -> Dict[str, Mapping[str, Any]]:
    """All that a graph says of its signatures, as JSON has it, for those who ask as of TensorFlow Serving."""
    return {name: _as_json(definition) for name, definition in graph.signature_def.items()}


def _row(alias: str, info: Any, shape: Optional[Sequence[int]]) -> Row:
    if info.WhichOneof("encoding") != "name":
        raise ValueError("%s is no dense tensor" % alias)
    datatype = DATATYPES.get(info.dtype - REFERENCE if info.dtype > REFERENCE else info.dtype)
    if datatype is None:
        raise ValueError("%s is of a datatype that does not travel (%d)" % (alias, info.dtype))
    return tensor(alias, datatype, shape)


def _shape(info: Any) -> Optional[List[int]]:
    return None if info.tensor_shape.unknown_rank else [dim.size for dim in info.tensor_shape.dim]


def _input_shape(info: Any, method: str) -> Optional[List[int]]:
    """Examples come as a list of text, whatever their placeholder says."""
    shape = _shape(info)
    return [-1] if shape is None and method in (CLASSIFY, REGRESS) else shape


def _output_shape(info: Any, method: str) -> Optional[List[int]]:
    """What classifiers and regressions answer has one row for each Example, also where the graph does not say so."""
    shape = _shape(info)
    if shape is None and method == CLASSIFY:
        return [-1, -1]
    return [-1] if shape is None and method == REGRESS else shape


def _has_rows(inputs: Sequence[Row], outputs: Sequence[Row]) -> bool:
    """Whether the first dimension of all tensors is known to be free."""
    return bool(inputs) and all("has_rank" not in row and row["shape"][:1] == [-1] for row in (*inputs, *outputs))


def _as_json(definition: Any) -> Mapping[str, Any]:
    from google.protobuf.json_format import MessageToDict

    write: Callable[..., Mapping[str, Any]] = MessageToDict
    try:
        return write(definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    except TypeError:  # protobuf before 5 has another word for it
        return write(definition, preserving_proto_field_name=True, including_default_value_fields=True)
