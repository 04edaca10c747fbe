"""Predictions for models that take bodies instead of tensors: one instance is one body."""

from __future__ import annotations

from typing import Any

import orjson
import pybase64

from salver.operations.base import Answer
from salver.types import Body, BodyResult, Part, VersionInfo
from salver.wire.jsonbody import JsonError, parse_json
from salver.wire.jsontensors import dumps
from salver.wire.tfserving.errors import Headers, error_body, invalid
from salver.wire.tfserving.request import TfRequest
from salver.wire.tfserving.values import base64_bytes, is_base64_object


def body_request(version: VersionInfo, signature_name: str, key: str, value: Any) -> TfRequest:
    """The one instance (or the value of `inputs`) as a body: bytes where it is a b64 object, else its JSON.

    Raises RequestError(INVALID_INPUT) for more than one instance: such a model takes one body at a time.
    """
    is_row = key == "instances"
    if is_row:
        if len(value) > 1:
            raise invalid(f"This model takes one instance in each request, but got {len(value)}.")
        value = value[0]
    body = Body((_part(value),), {})
    return TfRequest(version, signature_name, None, body, 1, (signature_name, "body"), is_row=is_row)


def _part(value: Any) -> Part:
    if not is_base64_object(value):
        return Part("body", "application/json", orjson.dumps(value))
    data = base64_bytes(value)
    if data is None:
        raise invalid("Unable to base64 decode")
    return Part("body", "application/octet-stream", data)


def body_answer(result: BodyResult, headers: Headers, *, is_row: bool) -> Answer:
    """What the model answered, as the one prediction; an answer with an error's status stays one."""
    if result.status >= 400:
        status = result.status if result.status < 600 else 500  # HTTP has no others
        return Answer(status, error_body(result.data.decode("utf-8", "replace")), headers=headers)
    value = _value(result)
    document = {"predictions": [value]} if is_row else {"outputs": value}
    return Answer(200, dumps(document), headers=headers)


def _value(result: BodyResult) -> Any:
    """JSON as it is, other text as a string, anything else as a b64 object."""
    try:
        return parse_json(result.data)
    except JsonError:
        pass
    try:
        return result.data.decode()
    except UnicodeDecodeError:
        return {"b64": pybase64.b64encode_as_string(result.data)}
