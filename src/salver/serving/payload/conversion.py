"""The parts of a body become the inputs of a signature, by their content types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from salver.errors import Code, RequestError
from salver.serving.payload import media
from salver.serving.payload.csv_values import csv_to_tensor
from salver.serving.payload.formats import reader_of
from salver.serving.payload.json_values import parse_json, value_to_tensor
from salver.serving.payload.npy import npy_to_tensor
from salver.serving.payload.policy import STRICT, Policy
from salver.serving.payload.raw import as_bytes, as_view, element_to_tensor, raw_to_tensor
from salver.serving.payload.values import count_rows, refused
from salver.types import Part, Signature, Tensor, TensorSpec

GENERAL_NAMES = ("data", "body")
"""What callers name the one field of a form when they do not know the input's name."""


def body_to_inputs(
    parts: Sequence[Part], signature: Signature, policy: Policy = STRICT
) -> tuple[dict[str, Tensor], int]:
    """The inputs of the signature and their number of rows.

    One part may hold them all: a document or a table. Else each part is an input's value; where the model takes only
    one input, its part may also be named `data` or `body`, or be the only one. Parts that name no input are left aside.
    Raises RequestError(INVALID_INPUT | UNSUPPORTED_MEDIA_TYPE | PAYLOAD_TOO_LARGE).
    """
    read = reader_of(parts[0], signature) if len(parts) == 1 else None
    if read is not None:
        inputs = read(parts[0], signature, policy)
    else:
        inputs = {
            spec.name: part_to_tensor(_part_for(spec, parts, signature), spec, policy) for spec in signature.inputs
        }
    return inputs, count_rows(inputs, signature)


def batch_group(signature_name: str, inputs: dict[str, Tensor]) -> tuple[Any, ...]:
    """Equal for requests that may share a batch: the signature, and names, datatypes and shapes of rows."""
    return (signature_name, *[(name, tensor.datatype, tensor.shape[1:]) for name, tensor in inputs.items()])


def _part_for(spec: TensorSpec, parts: Sequence[Part], signature: Signature) -> Part:
    names: tuple[str, ...] = (spec.name,)
    if len(signature.inputs) == 1:
        if len(parts) == 1:
            return parts[0]
        names += GENERAL_NAMES
    for name in names:
        for part in parts:
            if part.name == name:
                return part
    wanted = ", ".join(f"'{other.name}'" for other in signature.inputs)
    given = ", ".join(f"'{part.name[:64]}'" for part in parts[:16]) or "nothing"
    raise RequestError(
        Code.INVALID_INPUT,
        f"The model takes {wanted}; the request brings {given}.",
        fix="Send a form with one field for each input, or a JSON object that names them.",
    )


def part_to_tensor(part: Part, spec: TensorSpec, policy: Policy = STRICT) -> Tensor:
    """One part as one input's tensor."""
    kind = media.bare_media_type(part.content_type)
    if media.is_json(kind):
        return value_to_tensor(parse_json(as_view(part.data)), spec, policy)
    alone = Signature(inputs=(spec,), outputs=())
    read = reader_of(part, alone)
    if read is not None:
        return read(part, alone, policy)[spec.name]
    if spec.datatype == "BYTES":
        return element_to_tensor(part.data, spec)
    if kind in media.NPY:
        return npy_to_tensor(as_view(part.data), spec, policy)
    if kind == media.TEXT:
        return _text_to_tensor(as_bytes(part.data), spec, policy)
    if kind in media.UNTYPED:
        return raw_to_tensor(part.data, spec)
    raise refused(
        spec,
        f"takes {spec.datatype} values, and {kind[:64]} is no format of numbers",
        code=Code.UNSUPPORTED_MEDIA_TYPE,
        fix="Send application/json, text/csv, application/x-npy, application/octet-stream, Arrow, Parquet or msgpack.",
    )


def _text_to_tensor(text: bytes, spec: TensorSpec, policy: Policy) -> Tensor:
    """A list in brackets, or lines of numbers."""
    if text.lstrip()[:1] == b"[":
        return value_to_tensor(parse_json(text), spec, policy)
    return csv_to_tensor(text, spec, policy=policy)
