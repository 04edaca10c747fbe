"""The same prediction over gRPC: TensorFlow Serving's messages, Open Inference's in both forms, TorchServe's.

A status of gRPC is told as the status of HTTP that means the same, so that all protocols are compared alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import grpc
from journey_tongues import Ask, Said, Tongue, flat, has_base64, is_ragged, nested, raw, shape_of, unpacked

from salver.wire.openinference.pb import inference_pb2 as openinference
from salver.wire.tfserving.pb import serving_pb2 as tfserving
from salver.wire.tfserving.rpc.dtypes import BY_DATATYPE, BY_NUMBER
from salver.wire.torchserve.pb import inference_pb2 as torchserve

STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
}
"""500 where it is not here."""
EXCEPTIONS = {"BadRequestException": 400, "ModelNotFoundException": 404, "ModelVersionNotFoundException": 404}
"""TorchServe says INTERNAL of everything, and below its words which exception it was."""
CONTENTS = {
    "BOOL": "bool", "INT8": "int", "INT16": "int", "INT32": "int", "INT64": "int64", "UINT8": "uint",
    "UINT16": "uint", "UINT32": "uint", "UINT64": "uint64", "FP32": "fp32", "FP64": "fp64", "BYTES": "bytes",
}  # fmt: skip


def called(url: str, path: str, message: Any, read: Callable[[bytes], dict[str, Any]]) -> Said:
    with grpc.insecure_channel(url.removeprefix("grpc://")) as channel:
        method = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
        try:
            answer = method(message.SerializeToString(), timeout=60)
        except grpc.RpcError as error:
            words = error.details() or ""
            return Said(STATUS.get(error.code()) or _exception(words), None, words)
    return Said(200, read(answer), "")


def _exception(words: str) -> int:
    last = words.rpartition("\n")[2]
    return next((status for name, status in EXCEPTIONS.items() if f".{name}" in f".{last}"), 500)


def plain(values: list[Any]) -> list[Any]:
    """Texts as JSON has them."""
    return [value.decode() if isinstance(value, bytes) else value for value in values]


def encoded(values: list[Any]) -> list[Any]:
    return [value.encode() if isinstance(value, str) else value for value in values]


# TensorFlow Serving


def tfserving_grpc(url: str, ask: Ask) -> Said | None:
    """Ragged values cannot be said, nor words that are no number; text is bytes already."""
    if ask.splice is not None or has_base64(ask) or is_ragged(ask):
        return None
    message = tfserving.PredictRequest()
    message.model_spec.name = ask.model
    if ask.version is not None:
        message.model_spec.version.value = ask.version
    if ask.label is not None:
        message.model_spec.version_label = ask.label
    for name, (datatype, values) in ask.inputs.items():
        kind, tensor = BY_DATATYPE[datatype], message.inputs[name]
        tensor.dtype = kind.name
        for size in shape_of(values):
            tensor.tensor_shape.dim.add(size=size)
        getattr(tensor, kind.field).extend(encoded(flat(values)))
    return called(url, "/tensorflow.serving.PredictionService/Predict", message, _read_tfserving)


def _read_tfserving(answer: bytes) -> dict[str, Any]:
    message = tfserving.PredictResponse.FromString(answer)
    outputs = {}
    for name, tensor in message.outputs.items():
        values = plain(list(getattr(tensor, BY_NUMBER[tensor.dtype].field)))
        outputs[name] = nested(values, [dim.size for dim in tensor.tensor_shape.dim])
    return outputs


# Open Inference


def openinference_raw(url: str, ask: Ask) -> Said | None:
    return _openinference(url, ask, is_raw=True)


def openinference_typed(url: str, ask: Ask) -> Said | None:
    return _openinference(url, ask, is_raw=False)


def _openinference(url: str, ask: Ask, *, is_raw: bool) -> Said | None:
    """Labels cannot be said, nor words that are no number; text is bytes already."""
    if ask.label is not None or ask.splice is not None or has_base64(ask):
        return None
    message = openinference.ModelInferRequest(model_name=ask.model)
    if ask.version is not None:
        message.model_version = str(ask.version)
    for name, (datatype, values) in ask.inputs.items():
        tensor = message.inputs.add(name=name, datatype=datatype, shape=shape_of(values))
        if is_raw:
            message.raw_input_contents.append(raw(datatype, flat(values)))
        else:
            getattr(tensor.contents, f"{CONTENTS[datatype]}_contents").extend(encoded(flat(values)))
    return called(url, "/inference.GRPCInferenceService/ModelInfer", message, _read_openinference)


def _read_openinference(answer: bytes) -> dict[str, Any]:
    message = openinference.ModelInferResponse.FromString(answer)
    return {
        tensor.name: nested(unpacked(tensor.datatype, data), list(tensor.shape))
        for tensor, data in zip(message.outputs, message.raw_output_contents, strict=True)
    }


# TorchServe


def torchserve_grpc(url: str, ask: Ask) -> Said | None:
    """Each input is bytes under its name: here JSON."""
    if ask.label is not None:
        return None
    message = torchserve.PredictionsRequest(model_name=ask.model)
    if ask.version is not None:
        message.model_version = str(ask.version)
    for name, (_, values) in ask.inputs.items():
        message.input[name] = ask.spliced(json.dumps(values)).encode()
    path = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
    return called(url, path, message, _read_torchserve)


def _read_torchserve(answer: bytes) -> dict[str, Any]:
    got = json.loads(torchserve.PredictionResponse.FromString(answer).prediction)
    rows = got if isinstance(got, list) else [got]
    return {name: [row[name] for row in rows] for name in rows[0]}


GRPC_TONGUES = (
    Tongue("tfserving, gRPC", "tfserving", tfserving_grpc, is_grpc=True),
    Tongue("openinference, gRPC, raw", "openinference", openinference_raw, is_grpc=True),
    Tongue("openinference, gRPC, typed", "openinference", openinference_typed, is_grpc=True),
    Tongue("torchserve, gRPC", "mms", torchserve_grpc, is_grpc=True),
)
