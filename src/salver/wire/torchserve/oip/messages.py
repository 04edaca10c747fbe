"""Messages of Open Inference to the JSON that TorchServe's handlers get, and what they answer to messages. Pure.

From its ``OpenInferenceProtocolImpl`` and ``GRPCJob``. Which package a message is declared in is not in its bytes, so
those of Open Inference serve here too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import orjson
import pybase64

from salver.errors import Code, RequestError
from salver.types import Array, InferResponse
from salver.wire.openinference.document import InputDocument
from salver.wire.openinference.errors import invalid, shown
from salver.wire.openinference.grpcmessages import CONTENTS, read_message
from salver.wire.openinference.outputs import outputs_of, raw_bytes
from salver.wire.openinference.pb import inference_pb2 as pb
from salver.wire.openinference.request import V2Request
from salver.wire.openinference.values import RAW_ONLY, flat
from salver_worker.frames import NUMPY_NAMES, FrameError, decode_bytes_elements


class HandlerOutput(msgspec.Struct, frozen=True):
    """One output as a handler answers it."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


class HandlerAnswer(msgspec.Struct, frozen=True):
    """What a handler answers: the document of Open Inference over HTTP."""

    outputs: list[HandlerOutput]
    id: str | int | float | None = None
    model_name: str | None = None
    model_version: str | int | float | None = None


def handler_document(message: Any) -> bytes:
    """The body that a handler gets: a request in JSON, bytes as base64. Raises RequestError(INVALID_INPUT)."""
    document, raw = read_message(message)
    inputs = [_input(item, piece) for item, piece in zip(document.inputs, raw.pieces, strict=True)]
    told = {"id": message.id, "model_name": message.model_name, "inputs": inputs}
    return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)


def _input(item: InputDocument, raw: bytes) -> dict[str, Any]:
    told = {"name": item.name, "shape": item.shape, "datatype": item.datatype}
    if item.datatype == "BYTES":
        return told | {"data": [pybase64.b64encode_as_string(element) for element in _elements(item, raw)]}
    if item.datatype not in NUMPY_NAMES:
        if raw:
            raise invalid(f"input '{shown(item.name)}' is of {shown(item.datatype)}, which JSON for a handler has not")
        return told  # as the original leaves out what it has no values of
    kind = np.dtype(NUMPY_NAMES[item.datatype])
    if len(raw) % kind.itemsize:
        raise invalid(f"input '{shown(item.name)}' has {len(raw)} bytes, no whole elements of {item.datatype}")
    values = np.frombuffer(raw, kind)
    if kind.kind == "f" and not np.isfinite(values).all():
        raise invalid(f"input '{shown(item.name)}' holds NaN or an infinity, which JSON for a handler has not")
    return told | {"data": values}


def _elements(item: InputDocument, raw: bytes) -> list[bytes]:
    try:
        return decode_bytes_elements(raw, math.prod(item.shape))
    except FrameError as error:
        raise invalid(f"input '{shown(item.name)}' has not the elements of its shape") from error


def handler_message(body: bytes, model: str, version: str, request_id: str) -> Any:
    """The message of what a handler answered; `model`, `version` and `request_id` where it does not tell them.

    Raises RequestError(OUTPUT_INVALID).
    """
    try:
        answer = msgspec.json.decode(body, type=HandlerAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_document(str(error)) from error
    message = pb.ModelInferResponse(
        model_name=model if answer.model_name is None else answer.model_name,
        model_version=version if answer.model_version is None else str(answer.model_version),
        id=request_id if answer.id is None else str(answer.id),
    )
    for output in answer.outputs:
        _add_typed(message, output)
    return message


def _add_typed(message: Any, output: HandlerOutput) -> None:
    field = CONTENTS.get(output.datatype)
    if field is None:
        raise _no_document(f"the output {shown(output.name)!r} is of {shown(output.datatype)!r}, which has no values")
    values = flat(output.data)
    try:
        added = message.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        added.contents.SetInParent()
        getattr(added.contents, field).extend(map(orjson.dumps, values) if output.datatype == "BYTES" else values)
    except (TypeError, ValueError) as error:
        raise _no_document(f"the output {shown(output.name)!r}: {error}") from error


def _no_document(detail: str) -> RequestError:
    return RequestError(
        Code.OUTPUT_INVALID,
        f"The handler's answer is no document of Open Inference: {detail}.",
        fix='Answer {"outputs": [{"name", "datatype", "shape", "data"}]}, as the envelope kservev2 does.',
        status=500,
    )


def tensor_message(response: InferResponse, request: V2Request, outputs: Mapping[str, Array], version: str) -> Any:
    """The message of a model that takes tensors: typed, as this service answers; FP16 and BF16 are raw only.

    Raises RequestError(OUTPUT_INVALID).
    """
    message = pb.ModelInferResponse(model_name=response.version.id.model, model_version=version, id=request.id)
    found = list(outputs_of(response, request, outputs))
    is_raw = any(datatype in RAW_ONLY for _, _, datatype in found)
    for wish, array, datatype in found:
        output = message.outputs.add(name=wish.name, datatype=datatype, shape=array.shape)
        if is_raw:
            message.raw_output_contents.append(raw_bytes(array, datatype))
        else:
            getattr(output.contents, CONTENTS[datatype]).extend(array.reshape(-1).tolist())
    return message
