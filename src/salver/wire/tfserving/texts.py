"""The original's error texts, word for word, from what is wrong."""

from __future__ import annotations

import re
from typing import Any

import orjson

from salver.errors import Code, RequestError
from salver.wire.jsonbody import JsonError, JsonFault
from salver.wire.tfserving.addresses import Address, Verb
from salver.wire.tfserving.datatypes import TEXT_NAMES
from salver.wire.tfserving.errors import Unimplemented, invalid
from salver.wire.tfserving.values import FaultKind, ValueFault

ECHO_BYTES = 256
"""Longest echo of a JSON value in an error text."""
MISSING = (Code.MODEL_NOT_FOUND, Code.VERSION_NOT_FOUND, Code.MODEL_NOT_READY)


def missing_text(code: Code, address: Address) -> str | None:
    """The original's text for an address whose name leads nowhere; None where it has none, or the code is another."""
    if code is Code.LABEL_NOT_FOUND:
        return f"Unrecognized servable version label: {address.label}"
    if code not in MISSING or (code is Code.MODEL_NOT_READY and address.label is not None):
        return None
    if address.verb is not Verb.STATUS:
        return servable_text(address)
    if address.version is None:
        return f"Could not find any versions of model {address.model}"
    return f"Could not find version {address.version} of model {address.model}"


def servable_text(address: Address) -> str:
    model, version = address.model, address.version
    wanted = f"Latest({model})" if version is None else f"Specific({model}, {version})"
    return f"Servable not found for request: {wanted}"


_PARSE_REASONS = {
    JsonFault.EMPTY: "The document is empty",
    JsonFault.NOT_FINITE: "Invalid value. NaN and Infinity are not JSON and are not accepted",
    JsonFault.TOO_LARGE: "Number too big to be stored in double.",
    JsonFault.TRAILING: "The document root must not be followed by other values.",
    JsonFault.ENCODING: "Invalid encoding in string.",
    JsonFault.TOO_DEEP: "The document is nested deeper than 64 levels.",
}


def parse_error(error: JsonError) -> RequestError:
    """JSON that cannot be read; an empty document's text names no place."""
    reason = _PARSE_REASONS.get(error.fault, "Invalid value.")
    if error.offset is None or error.fault is JsonFault.EMPTY:
        return invalid(f"JSON Parse error: {reason}")
    return invalid(f"JSON Parse error: {reason} at offset: {error.offset}")


_GAP = re.compile(rb"\s+")


def document_error(raw: bytes, problem: str) -> RequestError:
    """A document of the wrong form, echoed as it was sent."""
    sent = _GAP.sub(b" ", raw[:ECHO_BYTES].strip()).decode(errors="ignore")
    return invalid(f"JSON Value: {sent} {problem}")


def fault_error(fault: ValueFault, datatype: str) -> RequestError:
    text = fault_text(fault, datatype)
    return Unimplemented(text) if fault.kind is FaultKind.UNSUPPORTED else invalid(text)


def fault_status(fault: ValueFault, datatype: str) -> str:
    """A fault as the original prints a status inside another text: its canonical code and its text."""
    code = "UNIMPLEMENTED" if fault.kind is FaultKind.UNSUPPORTED else "INVALID_ARGUMENT"
    return f"{code}: {fault_text(fault, datatype)}"


def fault_text(fault: ValueFault, datatype: str) -> str:
    """The inner text for a value that is no tensor; levels count from the value itself."""
    level, value = len(fault.path), fault.value
    match fault.kind:
        case FaultKind.VALUE_FOR_LIST:
            place = f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {fault.expected}"
            return f"JSON Value: {echo(value)} {place}"
        case FaultKind.LIST_FOR_VALUE:
            return f"Encountered list at unexpected level: {level} expected < {fault.expected}"
        case FaultKind.LENGTH:
            return f"Encountered list at unexpected size: {fault.got} at level: {level} expected size: {fault.expected}"
        case FaultKind.BASE64_TEXT:
            return "Unable to base64 decode"
        case FaultKind.BASE64_FORM:
            return f"JSON Value: {echo(value)} not formatted correctly for base64 data"
    return _leaf_text(fault, datatype)


def _leaf_text(fault: ValueFault, datatype: str) -> str:
    sent, name = echo(fault.value), TEXT_NAMES[datatype]
    if fault.kind is FaultKind.UNSUPPORTED:
        return f"Conversion of JSON Value: {sent} to type: {name}"
    if fault.kind is FaultKind.RANGE and datatype.startswith("FP"):
        return f"Cannot convert JSON value: {sent} to {name} without loss of precision."
    return f"JSON Value: {sent} Type: {json_type(fault.value)} is not of expected type: {name}"


def echo(value: Any) -> str:
    """A parsed value as compact JSON, cut to the longest echo."""
    return orjson.dumps(value)[:ECHO_BYTES].decode(errors="ignore")


def json_type(value: object) -> str:
    match value:
        case None:
            return "Null"
        case bool():
            return str(value)
        case str():
            return "String"
        case list():
            return "Array"
        case dict():
            return "Object"
    return "Number"
