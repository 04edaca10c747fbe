"""Messages of inference to documents with raw tensors beside them, as REST has them, and answers to messages. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from salver.types import Array, InferResponse
from salver.wire.openinference.addresses import version_number
from salver.wire.openinference.binary import SIZE
from salver.wire.openinference.document import InferDocument, InputDocument, OutputDocument, Parameters
from salver.wire.openinference.errors import invalid, shown
from salver.wire.openinference.outputs import outputs_of, raw_bytes
from salver.wire.openinference.pb import inference_pb2 as pb
from salver.wire.openinference.request import BINARY, BINARY_DEFAULT, V2Request
from salver_worker.frames import NUMPY_NAMES, encode_bytes_elements

MAX_DIMENSIONS = 64
MAX_SIZE = 1 << 48
CONTENTS: dict[str, str] = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the values of a datatype are when they are not raw; FP16 and BF16 only are."""
EMPTY_FINAL = "triton_enable_empty_final_response"
"""Whether a client of a stream wants to be told the end: every answer here is the last of its request."""


class MessagePieces(NamedTuple):
    """The raw tensors of a message, each in a piece of its own."""

    pieces: list[bytes]

    @property
    def left(self) -> int:
        return sum(map(len, self.pieces))

    def take(self, size: int, alignment: int) -> Any:
        """The next tensor, which has this size."""
        return self.pieces.pop(0)


def parse(kind: type[Any], raw: bytes) -> Any:
    """The message. Raises RequestError(INVALID_INPUT)."""
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise invalid(f"failed to parse the message {kind.DESCRIPTOR.full_name}") from error


def version_of(text: str) -> int | None:
    """The version that a message names; None for an empty one. Raises RequestError(INVALID_INPUT)."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise invalid(
            f"failed to get model version from specified version string '{shown(text)}', version should be an integer "
            "> 0"
        )
    return version_number(text)


def read_message(message: Any) -> tuple[InferDocument, MessagePieces]:
    """The request of a message. Raises RequestError(INVALID_INPUT)."""
    raw = list(message.raw_input_contents)
    if raw and len(raw) != len(message.inputs):
        raise invalid(
            f"expected {len(message.inputs)} raw_input_contents, one for each input, but got {len(raw)} for model "
            f"'{shown(message.model_name)}'"
        )
    pieces = raw or [_typed(item, message.model_name) for item in message.inputs]
    inputs = [
        _input(item, piece, message.model_name, is_raw=bool(raw))
        for item, piece in zip(message.inputs, pieces, strict=True)
    ]
    outputs = [OutputDocument(item.name, _output_parameters(item.parameters)) for item in message.outputs]
    parameters = {name: value for name, value in _parameters(message.parameters).items() if name != EMPTY_FINAL}
    document = InferDocument(inputs, message.id or None, parameters | {BINARY_DEFAULT: True}, outputs or None)
    return document, MessagePieces(pieces)


def _input(item: Any, piece: bytes, model: str, *, is_raw: bool) -> InputDocument:
    shape = list(item.shape)
    if len(shape) > MAX_DIMENSIONS or any(not 0 <= size <= MAX_SIZE for size in shape):
        raise invalid(f"invalid shape for input '{shown(item.name)}' for model '{shown(model)}'")
    if is_raw and item.contents.ListFields():
        raise invalid(
            f"contents field must not be specified when using raw_input_contents for '{shown(item.name)}' for model "
            f"'{shown(model)}'"
        )
    return InputDocument(item.name, item.datatype, shape, {**_parameters(item.parameters), SIZE: len(piece)})


def _typed(item: Any, model: str) -> bytes:
    """The values of an input as raw bytes. Raises RequestError(INVALID_INPUT)."""
    field = CONTENTS.get(item.datatype)
    filled = [descriptor.name for descriptor, _ in item.contents.ListFields()]
    if field is None and not filled:
        return b""  # the datatype is not the model's, or the values are lacking: the reader of documents says so
    if filled and filled != [field]:
        raise invalid(
            f"unexpected explicit tensor data for input tensor '{shown(item.name)}' for model '{shown(model)}' of type "
            f"'{shown(item.datatype)}': it has {', '.join(filled)}, expected {field or 'raw_input_contents'}"
        )
    values = list(getattr(item.contents, field or ""))
    if item.datatype == "BYTES":
        return encode_bytes_elements(values)
    try:
        return np.array(values, NUMPY_NAMES[item.datatype]).tobytes()
    except OverflowError as error:
        raise invalid(f"input '{shown(item.name)}' holds a number outside {item.datatype}") from error


def _parameters(given: Mapping[str, Any]) -> Parameters:
    found: Parameters = {}
    for name, value in given.items():
        chosen = value.WhichOneof("parameter_choice")
        if chosen is not None:
            found[name] = getattr(value, chosen)
    return found


def _output_parameters(given: Mapping[str, Any]) -> Parameters:
    return {**_parameters(given), BINARY: True}


def infer_response(response: InferResponse, request: V2Request, outputs: Mapping[str, Array]) -> Any:
    """The message of an answer, its tensors raw. Raises RequestError(OUTPUT_INVALID | INVALID_INPUT)."""
    id = response.version.id
    message = pb.ModelInferResponse(model_name=id.model, model_version=str(id.version), id=request.id)
    for wish, array, datatype in outputs_of(response, request, outputs):
        message.outputs.add(name=wish.name, datatype=datatype, shape=array.shape)
        message.raw_output_contents.append(raw_bytes(array, datatype))
    return message


def settings_message(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """Settings by name: texts and lists of texts of the trace, or the values of the log."""
    message = kind()
    for name, value in values.items():
        setting = message.settings[name]
        if isinstance(value, bool):
            setting.bool_param = value
        elif isinstance(value, int):
            setting.uint32_param = value
        elif hasattr(setting, "string_param"):
            setting.string_param = value
        else:
            setting.value.extend(_texts(value))
    return message


def _texts(value: str | Sequence[str]) -> Iterable[str]:
    return (value,) if isinstance(value, str) else value
