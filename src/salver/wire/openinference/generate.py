"""The generate extension: an object whose keys are inputs, and one whose keys are outputs. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from salver.operations.base import Answer
from salver.types import Array, InferResponse, Signature, TensorSpec, nested_list_shape, shape_matches
from salver.wire.jsonbody import JsonError, parse_json
from salver.wire.openinference.codec import shape_text
from salver.wire.openinference.document import InferDocument, InputDocument
from salver.wire.openinference.errors import invalid, refused, shown
from salver.wire.openinference.outputs import json_values, outputs_of
from salver.wire.openinference.request import V2Request
from salver.wire.openinference.values import flat

EVENTS = "text/event-stream; charset=utf-8"
IDENTITY_ONLY = "Unsupported content-encoding, only 'identity' is supported."
OWN = frozenset({"id", "parameters"})
PARAMETER_TYPES = (str, bool, int, float)


def read_object(raw: bytes) -> dict[str, Any]:
    """Raises RequestError(INVALID_INPUT)."""
    try:
        value = parse_json(raw)
    except JsonError as error:
        raise invalid(f"failed to parse the request JSON buffer: {error.fault.value}") from error
    if type(value) is not dict:
        raise invalid("failed to parse the request JSON buffer: an object is needed")
    return value


def is_infer_form(value: Mapping[str, Any], specs: Mapping[str, TensorSpec]) -> bool:
    """Whether an object is a request of `infer`, which MLServer takes at these addresses."""
    given = value.get("inputs")
    return "inputs" not in specs and isinstance(given, list) and all(isinstance(item, dict) for item in given)


def infer_document(value: dict[str, Any], signature: Signature) -> InferDocument:
    """The request that an object means: what names an input is one, all else are parameters. Raises RequestError."""
    id = value.get("id") or None
    if id is not None and not isinstance(id, str):
        raise invalid("Unable to parse 'id': it must be a string")
    specs = {spec.name: spec for spec in signature.inputs}
    inputs = [_input(specs[name], given, id or "") for name, given in value.items() if name in specs]
    nested = value.get("parameters", {})
    if "parameters" not in specs and not isinstance(nested, dict):
        raise invalid("Unable to parse 'parameters': an object is needed")
    own = {} if "parameters" in specs else nested
    others = {name: given for name, given in value.items() if name not in specs and name not in OWN}
    return InferDocument(inputs, id=id, parameters=_parameters(others | own) or None)


def parts_document(value: dict[str, Any]) -> InferDocument:
    """For a model that takes bodies: text is a part of its name, all else its JSON."""
    parts = {name: given for name, given in value.items() if name not in OWN}
    inputs = [
        InputDocument(name, "BYTES", [1], None, [given if isinstance(given, str) else orjson.dumps(given).decode()])
        for name, given in parts.items()
    ]
    nested = value.get("parameters", {})
    if not isinstance(nested, dict):
        raise invalid("Unable to parse 'parameters': an object is needed")
    id = value.get("id")
    return InferDocument(inputs, id=id if isinstance(id, str) else None, parameters=_parameters(nested) or None)


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    for name, item in given.items():
        if type(item) not in PARAMETER_TYPES:
            raise invalid(f"Unable to parse 'parameters': '{shown(name)}' must be a string, a number, or true or false")
    return given


def _input(spec: TensorSpec, given: Any, request_id: str) -> InputDocument:
    """A value in the shape that the model wants: as it is nested, or as one row of it, or filled up in order."""
    leaves = flat(given) if isinstance(given, list) else [given]
    shape = nested_list_shape(given)
    if not shape_matches(spec.shape, shape):
        shape = (1, *shape) if shape_matches(spec.shape, (1, *shape)) else filled(spec.shape, len(leaves))
    if not shape_matches(spec.shape, shape) or not leaves:
        expected = shape_text(spec.shape)
        raise refused(
            request_id,
            f"unexpected shape for input '{shown(spec.name)}'. Expected {expected}, got {len(leaves)} values",
        )
    return InputDocument(spec.name, spec.datatype, list(shape), None, leaves)


def filled(spec: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The shape in which so many values are one row, its last free dimension taking what the others leave."""
    shape = [1 if size == -1 and not place else size for place, size in enumerate(spec)]
    free = [place for place, size in enumerate(shape) if size == -1] or ([0] if spec[:1] == (-1,) else [])
    for place in free:
        shape[place] = 1
    if free:
        known = math.prod(shape)
        shape[free[-1]] = count // known if known and count % known == 0 else 0
    return tuple(shape) if math.prod(shape) == count else ()


def generated(response: InferResponse, request: V2Request, outputs: Mapping[str, Array]) -> Answer:
    """One key for each output: its only value, or a list of its values. Raises RequestError."""
    document: dict[str, Any] = {"id": request.id} if request.id else {}
    document["model_name"] = response.version.id.model
    document["model_version"] = str(response.version.id.version)
    for wish, array, datatype in outputs_of(response, request, outputs):
        values = json_values(wish, array, datatype)
        document[wish.name] = values[0] if len(values) == 1 else values
    return Answer(200, orjson.dumps(document, None, orjson.OPT_SERIALIZE_NUMPY))


NO_EVENTS = Answer(200, b"", EVENTS)


def as_event(answer: Answer) -> Answer:
    """The answer as an event of a stream; one that failed stays what it is."""
    if answer.status >= 400:
        return answer
    return msgspec.structs.replace(answer, body=event(answer.body), content_type=EVENTS)


def event(document: bytes) -> bytes:
    """A document without line ends as an event."""
    return b"data: %b\n\n" % document


def adds_nothing(response: InferResponse) -> bool:
    """Whether this, behind the parts of an answer, is no part itself."""
    return response.outputs == {} or (response.body is not None and not response.body.data)
