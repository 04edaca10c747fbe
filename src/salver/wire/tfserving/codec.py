"""The general road from a predict body to a request: every legal form, and the original's text for every other.

The checks come in the original's order: JSON, `signature_name`, the signature, then `instances` or `inputs`.
``plan.py`` has the short road for the usual form; it gives up, never errs, and what it takes comes out the same here.
"""

from __future__ import annotations

from typing import Any

from salver.errors import Code, RequestError
from salver.types import DEFAULT_SIGNATURE, PayloadKind, Signature, Tensor, VersionInfo
from salver.wire.jsonbody import JsonError, parse_json
from salver.wire.tfserving.body import body_request
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.instances import instance_tensors
from salver.wire.tfserving.request import TfRequest, tensors_request
from salver.wire.tfserving.texts import document_error, fault_error, parse_error
from salver.wire.tfserving.values import ValueFault, dense_tensor, is_base64_object


def decode_predict(raw: bytes, version: VersionInfo) -> TfRequest:
    """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND)."""
    document = parse_document(raw)
    name = signature_name(document, raw)
    if version.payload is PayloadKind.BODY:
        return body_request(version, name or DEFAULT_SIGNATURE, *_given(document, raw))
    signature = find_signature(version, name)
    key, value = _given(document, raw)
    is_row = key == "instances"
    tensors = instance_tensors(value, signature) if is_row else _column_tensors(value, signature)
    return tensors_request(version, name or DEFAULT_SIGNATURE, signature, tensors, is_row=is_row)


def parse_document(raw: bytes) -> dict[str, Any]:
    """The body's object. Raises RequestError(INVALID_INPUT)."""
    try:
        document = parse_json(raw)
    except JsonError as error:
        raise parse_error(error) from error
    if type(document) is not dict:
        raise document_error(raw, "Is not object")
    return document


def signature_name(document: dict[str, Any], raw: bytes) -> str:
    """The name that the request gives, empty where it gives none."""
    name = document.get("signature_name", "")
    if type(name) is not str:
        raise document_error(raw, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def find_signature(version: VersionInfo, name: str) -> Signature:
    signature = version.signature(name)
    if signature is None:
        text = f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def'
        raise RequestError(Code.SIGNATURE_NOT_FOUND, text, fix="")
    if not signature.inputs:
        raise invalid(f"Failed to get input map for signature: {name or 'DEFAULT'}")
    return signature


def _given(document: dict[str, Any], raw: bytes) -> tuple[str, Any]:
    """The key that the request came with, and its value."""
    has_instances, has_inputs = "instances" in document, "inputs" in document
    if has_instances and has_inputs:
        text = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        raise document_error(raw, text)
    if has_inputs:
        return "inputs", document["inputs"]
    if not has_instances:
        raise invalid("Missing 'inputs' or 'instances' key")
    instances = document["instances"]
    if type(instances) is not list:
        raise document_error(raw, "Expecting 'instances' to be an list/array")
    if not instances:
        raise document_error(raw, "No values in 'instances' array")
    return "instances", instances


def _column_tensors(value: Any, signature: Signature) -> dict[str, Tensor]:
    """The column form: one input's value, or an object of them; names that the signature lacks are passed over."""
    if type(value) is not dict or is_base64_object(value):
        if len(signature.inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {signature.inputs[0].name: value}
    tensors: dict[str, Tensor] = {}
    for spec in sorted(signature.inputs, key=lambda spec: spec.name):
        if spec.name not in value:
            raise invalid(f"Missing named input: {spec.name} in 'inputs' object.")
        tensors[spec.name] = _column_tensor(value[spec.name], spec.datatype)
    return tensors


def _column_tensor(value: Any, datatype: str) -> Tensor:
    try:
        return dense_tensor(value, datatype)
    except ValueFault as fault:
        raise fault_error(fault, datatype) from fault
