"""TorchServe's envelopes: what a handler's requests are unpacked from, and its answers packed into.

Unlike the original's, they keep the requests of a batch apart: each caller gets the answers to its own rows.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Callable, Dict, List, Mapping

import numpy as np

from salver_worker.arrays import NUMPY_TYPES, datatype_of
from salver_worker.errors import InputError
from salver_worker.failures import PredictFailure
from salver_worker.runtimes.context import Context

Handler = Callable[[Any, Context], Any]
Rows = List[Dict[str, Any]]


def enveloped(handler: Handler, name: str) -> Handler:
    """The handler in the envelope of this name (body, json, kserve, kservev2), or as it is for any other name."""
    envelope = ENVELOPES.get(name)
    if envelope is None:
        return handler

    def handle(data: Rows, context: Context) -> Any:
        return envelope(handler, data, context)

    return handle


def _body_of(row: Mapping[str, Any]) -> Any:
    return row.get("data") or row.get("body")


def _body(handler: Handler, data: Rows, context: Context) -> Any:
    return handler([_body_of(row) for row in data], context)


def _json(handler: Handler, data: Rows, context: Context) -> Any:
    return _by_rows(handler, data, context, "predictions")


def _kserve(handler: Handler, data: Rows, context: Context) -> Any:
    is_explanation = context.get_request_header(0, "explain") == "True"
    return _by_rows(handler, data, context, "explanations" if is_explanation else "predictions")


def _by_rows(handler: Handler, data: Rows, context: Context, key: str) -> List[Any]:
    """The rows of all requests are one batch for the handler; it answers each of them."""
    batches = [_instances(_document(row)) for row in data]
    answers = handler([instance for batch in batches for instance in batch], context)
    if not isinstance(answers, list) or len(answers) != sum(len(batch) for batch in batches):
        raise PredictFailure("number of batch response mismatched", status=503)
    packed, place = [], 0
    for batch in batches:
        packed.append(json.dumps({key: answers[place : place + len(batch)]}))
        place += len(batch)
    return packed


def _document(row: Mapping[str, Any]) -> Dict[str, Any]:
    """Raises InputError."""
    given = _body_of(row) or dict(row)
    try:
        document = json.loads(bytes(given)) if isinstance(given, (bytes, bytearray)) else given
        document = json.loads(document) if isinstance(document, str) else document
    except (ValueError, RecursionError) as error:
        raise InputError("the body is not JSON") from error
    if not isinstance(document, dict):
        raise InputError("the body is no JSON object")
    return document


def _instances(document: Mapping[str, Any]) -> List[Any]:
    instances = document.get("instances")
    if not isinstance(instances, list) or not instances:
        raise InputError("the body has no list of `instances`")
    return [_plain(instance) for instance in instances]


def _plain(value: Any) -> Any:
    """With bytes for `{"b64": text}`, as an instance or as one of its columns."""
    if not isinstance(value, dict):
        return value
    if list(value) == ["b64"]:
        return _decoded(value["b64"])
    return {
        key: _decoded(each["b64"]) if isinstance(each, dict) and list(each) == ["b64"] else each
        for key, each in value.items()
    }


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise InputError("a b64 is no base64") from error


def _kservev2(handler: Handler, data: Rows, context: Context) -> List[Any]:
    """One request at a time: its list of inputs, to a list of outputs with the same names."""
    return [_one_of_v2(handler, _document(row), context, place) for place, row in enumerate(data)]


def _one_of_v2(handler: Handler, document: Mapping[str, Any], context: Context, place: int) -> str:
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        raise InputError("the body has no list of `inputs`")
    answers = handler([_shaped(each) for each in inputs], context)
    if not isinstance(answers, list):
        raise PredictFailure("Invalid model predict output", status=503)
    names = [str(each.get("name", "")) for each in inputs]
    outputs = [_output(names[number % len(names)], answer) for number, answer in enumerate(answers)]
    version = context.manifest.get("model", {}).get("modelVersion")
    told: Dict[str, Any] = {"id": document.get("id") or context.get_request_id(place), "model_name": context.model_name}
    if version is not None:
        told["model_version"] = str(version)
    return json.dumps({**told, "outputs": outputs})


def _shaped(given: Mapping[str, Any]) -> Dict[str, Any]:
    """An input with its data in its shape; of BYTES it is the first element, as in the original."""
    data, datatype = given.get("data"), given.get("datatype")
    if not isinstance(data, list) or not data:
        raise InputError("the input %s has no data" % given.get("name"))
    if datatype == "BYTES":
        return {**given, "data": data[0]}
    if datatype not in NUMPY_TYPES:
        raise InputError("the input %s has no datatype that there is" % given.get("name"))
    try:
        return {**given, "data": np.array(data).reshape(given.get("shape", [-1])).tolist()}
    except (TypeError, ValueError) as error:
        raise InputError("the data of the input %s are not of its shape" % given.get("name")) from error


def _output(name: str, answer: Any) -> Dict[str, Any]:
    array = np.array(answer)
    datatype = datatype_of(array) or "BYTES"
    values = [answer] if array.dtype == object else array.ravel().tolist()
    return {"name": name, "datatype": datatype, "data": values, "shape": list(array.shape) or [1]}


ENVELOPES: Dict[str, Callable[[Handler, Rows, Context], Any]] = {
    "body": _body,
    "json": _json,
    "kserve": _kserve,
    "kservev2": _kservev2,
}
