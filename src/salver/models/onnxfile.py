"""What an ONNX file says of itself, from the outline of its protobuf: weights and nodes are stepped over, not read.

Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import itertools
from typing import BinaryIO

import msgspec

from salver.models.protofields import LENGTH, VARINT, CutShort, Field, NotProtobuf, fields, text

MAX_FIELDS = 200_000
"""Fields of a graph that are looked at; a graph with more is still known, but not described."""

# ModelProto
_IR_VERSION, _GRAPH, _OPSET_IMPORT = 1, 7, 8
# GraphProto
_INITIALIZER, _INPUT = 5, 11
# OperatorSetIdProto
_DOMAIN, _OPSET = 1, 2
# names in ValueInfoProto and TensorProto
_VALUE_NAME, _TENSOR_NAME = 1, 8


class OnnxOutline(msgspec.Struct, frozen=True, kw_only=True):
    """The default domain's opset and the names of the inputs that callers give; None where the file does not say."""

    opset: int | None
    inputs: tuple[str, ...] | None

    @property
    def label(self) -> str:
        facts = [] if self.opset is None else [f"opset {self.opset}"]
        if self.inputs is not None:
            facts.append(f"{len(self.inputs)} input{'' if len(self.inputs) == 1 else 's'}")
        return f"ONNX model ({', '.join(facts)})" if facts else "ONNX model"


def read_outline(file: BinaryIO, size: int) -> OnnxOutline | None:
    """None when the file is no ONNX model. Raises CutShort when it begins as one and ends before its graph does."""
    has_version = False
    graph: Field | None = None
    opset = None
    try:
        for field in itertools.islice(fields(file, 0, size), MAX_FIELDS):
            if field.number == _IR_VERSION:
                has_version = field.kind == VARINT
            elif field.number == _GRAPH and field.kind == LENGTH:
                graph = field
            elif field.number == _OPSET_IMPORT and field.kind == LENGTH:
                opset = _default_opset(file, field) or opset
        if not has_version or graph is None:
            return None
        return OnnxOutline(opset=opset, inputs=_inputs(file, graph))
    except CutShort:
        if has_version:
            raise
        return None
    except NotProtobuf:
        return None


def _default_opset(file: BinaryIO, entry: Field) -> int | None:
    """The version in an opset import of the default domain, which has no name."""
    domain, version = "", None
    for field in fields(file, entry.start, entry.end):
        if field.number == _DOMAIN and field.kind == LENGTH:
            domain = text(file, field)
        elif field.number == _OPSET and field.kind == VARINT:
            version = field.value
    return version if domain in ("", "ai.onnx") else None


def _inputs(file: BinaryIO, graph: Field) -> tuple[str, ...] | None:
    """Inputs less those that only give weights a name, as graphs before IR version 4 list them."""
    inputs: list[str] = []
    weights: set[str] = set()
    for count, field in enumerate(fields(file, graph.start, graph.end)):
        if count == MAX_FIELDS:
            return None
        if field.kind == LENGTH and field.number == _INPUT:
            inputs.append(_name(file, field, _VALUE_NAME))
        elif field.kind == LENGTH and field.number == _INITIALIZER:
            weights.add(_name(file, field, _TENSOR_NAME))
    return tuple(name for name in inputs if name not in weights)


def _name(file: BinaryIO, message: Field, number: int) -> str:
    names = (field for field in fields(file, message.start, message.end) if field.number == number)
    field = next((field for field in names if field.kind == LENGTH), None)
    return "" if field is None else text(file, field)
