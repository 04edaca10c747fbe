"""Predictions for models that take bodies instead of tensors, over gRPC: each input is a part. Pure.

A text of one element is the part's bytes as they are; anything else is its JSON, as over REST.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import orjson

from salver.errors import Code, RequestError
from salver.types import Body, BodyResult, Part, as_array
from salver.wire.jsontensors import encode_array
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.pb import tensorflow_pb2 as tf
from salver.wire.tfserving.rpc.dtypes import BY_NUMBER, type_text
from salver.wire.tfserving.rpc.tensors import proto_of, tensor_of

BODY_OUTPUT = "body"
BODY = "body"
STATUS_CODES = {400: Code.INVALID_INPUT, 413: Code.PAYLOAD_TOO_LARGE, 429: Code.OVERLOADED, 503: Code.OVERLOADED}


def body_of(inputs: Mapping[str, tf.TensorProto], max_bytes: int) -> Body:
    """A lone input is the whole body, whatever its name; several are parts by their names. Raises RequestError."""
    if not inputs:
        raise invalid("This model takes one input at least.")
    if len(inputs) == 1:
        (proto,) = inputs.values()
        return Body((_part(BODY, proto, max_bytes),), {})
    return Body(tuple(_part(name, inputs[name], max_bytes) for name in sorted(inputs)), {})


def _part(name: str, proto: tf.TensorProto, max_bytes: int) -> Part:
    kind = BY_NUMBER.get(proto.dtype)
    if kind is None or kind.datatype == "BF16":
        raise invalid(f"Input {name!r} is {type_text(proto.dtype)}, which this model cannot be given.")
    tensor = tensor_of(name, proto, max_bytes)
    if tensor.datatype == "BYTES" and len(tensor.data) == 1:
        return Part(name, "application/octet-stream", tensor.data[0])
    value = encode_array(as_array(tensor), as_base64=False)
    return Part(name, "application/json", orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))


def check_result(result: BodyResult) -> None:
    """Raises RequestError for an answer with an error's status, with the text that the model's code gave."""
    if result.status >= 400:
        text = result.data.decode("utf-8", "replace") or result.phrase or f"The model answered {result.status}."
        raise RequestError(STATUS_CODES.get(result.status, Code.MODEL_ERROR), text, fix="")


def result_proto(result: BodyResult) -> tf.TensorProto:
    """What the model answered, as the one element of a text."""
    array = np.empty(1, object)
    array[0] = result.data
    return proto_of(array, "BYTES")
