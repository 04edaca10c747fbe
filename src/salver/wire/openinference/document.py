"""The JSON of an inference request: its form, and what is wrong with any other. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias

import msgspec
import orjson
from msgspec import UNSET, UnsetType

from salver.wire.jsonbody import JsonError, parse_json
from salver.wire.openinference.errors import invalid, shown

Parameters: TypeAlias = dict[str, str | bool | int | float]
Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]
Shape: TypeAlias = Annotated[list[Size], msgspec.Meta(max_length=64)]

MAX_PARAMETERS_BYTES = 64 * 1024
"""What a request may carry beside its tensors, as JSON: it travels in the header of a frame."""
OWN_PARAMETERS = frozenset(
    {
        "binary_data_output",
        "content_type",
        "headers",
        "priority",
        "sequence_end",
        "sequence_id",
        "sequence_start",
        "timeout",
    }
)
"""Words that the protocol keeps for the server; a model does not see them."""
RESERVED_PREFIX = "triton_"


class InputDocument(msgspec.Struct, gc=False):
    """One input. Its values are in `data`, or behind the JSON."""

    name: str
    datatype: str
    shape: Shape
    parameters: Parameters | None = None
    data: list[Any] | UnsetType = UNSET

    def parameter(self, name: str) -> str | bool | int | float | None:
        return None if self.parameters is None else self.parameters.get(name)


class OutputDocument(msgspec.Struct, gc=False):
    """One output that is asked for."""

    name: str
    parameters: Parameters | None = None

    def parameter(self, name: str) -> str | bool | int | float | None:
        return None if self.parameters is None else self.parameters.get(name)


class InferDocument(msgspec.Struct, gc=False):
    """The whole request; other keys are passed over."""

    inputs: list[InputDocument]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[OutputDocument] | None = None


def parse_document(raw: bytes) -> InferDocument:
    """Raises RequestError(INVALID_INPUT)."""
    try:
        value = parse_json(raw)
    except JsonError as error:
        place = "" if error.offset is None else f" at {error.offset}"
        raise invalid(f"failed to parse the request JSON buffer: {error.fault.value}{place}") from error
    try:
        return msgspec.convert(value, InferDocument)
    except msgspec.ValidationError as error:
        raise invalid(f"Unable to parse '{_field(str(error))}': {error}") from error


def model_parameters(document: InferDocument) -> Parameters | None:
    """What goes to the model; None when nothing does. Raises RequestError(INVALID_INPUT)."""
    if not document.parameters:
        return None
    if any(name.startswith(RESERVED_PREFIX) for name in document.parameters):
        raise invalid(
            f"parameter keys starting with '{RESERVED_PREFIX}' are reserved for Triton usage and should not be "
            "specified."
        )
    given = {name: value for name, value in document.parameters.items() if name not in OWN_PARAMETERS}
    if not given:
        return None
    if len(orjson.dumps(given)) > MAX_PARAMETERS_BYTES:
        raise invalid(f"Unable to parse 'parameters': they are above the limit of {MAX_PARAMETERS_BYTES} bytes")
    return given


def flag(name: str, value: str | bool | int | float | None) -> bool:
    """A parameter that is true or false. Raises RequestError(INVALID_INPUT)."""
    if value is None:
        return False
    if type(value) is not bool:
        raise invalid(f"Unable to parse 'parameters': '{shown(name)}' must be true or false")
    return value


_PLACE = re.compile(r"\$\.(\w+)|required field `(\w+)`")


def _field(problem: str) -> str:
    """The key of the request that the decoder complains about."""
    match = _PLACE.search(problem)
    named = None if match is None else match[1] or match[2]
    return named or "request"
