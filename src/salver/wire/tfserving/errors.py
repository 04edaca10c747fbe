"""Errors as TensorFlow Serving's clients know them: one table from code to canonical code to HTTP status, and the texts."""

from __future__ import annotations

import math
import re

import orjson

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer
from salver.wire.jsonbody import JsonError, JsonFault
from salver.wire.jsontensors import FaultKind, ValueFault, echo
from salver.wire.tfserving.datatypes import TEXT_NAMES

ECHO_BYTES = 256
"""Longest echo of a JSON value in an error text."""

CANONICAL: dict[Code, str] = {
    Code.INVALID_INPUT: "INVALID_ARGUMENT",
    Code.MODEL_NOT_FOUND: "NOT_FOUND",
    Code.VERSION_NOT_FOUND: "NOT_FOUND",
    Code.LABEL_NOT_FOUND: "INVALID_ARGUMENT",
    Code.SIGNATURE_NOT_FOUND: "INVALID_ARGUMENT",
    Code.MODEL_NOT_READY: "NOT_FOUND",  # the original calls a version that is not AVAILABLE not found
    Code.ROUTE_NOT_FOUND: "INVALID_ARGUMENT",
    Code.METHOD_NOT_ALLOWED: "INVALID_ARGUMENT",
    Code.PAYLOAD_TOO_LARGE: "RESOURCE_EXHAUSTED",
    Code.UNSUPPORTED_MEDIA_TYPE: "INVALID_ARGUMENT",
    Code.UNAUTHENTICATED: "UNAUTHENTICATED",
    Code.PERMISSION_DENIED: "PERMISSION_DENIED",
    Code.QUOTA_EXCEEDED: "RESOURCE_EXHAUSTED",
    Code.OVERLOADED: "UNAVAILABLE",
    Code.SHUTTING_DOWN: "UNAVAILABLE",
    Code.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    Code.CANCELLED: "CANCELLED",
    Code.WORKER_DIED: "UNAVAILABLE",
    Code.MODEL_ERROR: "INTERNAL",
    Code.OUTPUT_INVALID: "INTERNAL",
    Code.OUT_OF_MEMORY: "RESOURCE_EXHAUSTED",
    Code.CONFLICT: "ABORTED",
    Code.LOAD_FAILED: "FAILED_PRECONDITION",
    Code.FORMAT_UNKNOWN: "FAILED_PRECONDITION",
    Code.MANIFEST_INVALID: "FAILED_PRECONDITION",
    Code.EXAMPLE_MISMATCH: "FAILED_PRECONDITION",
    Code.ENVIRONMENT_BROKEN: "FAILED_PRECONDITION",
    Code.SETTINGS_INVALID: "FAILED_PRECONDITION",
    Code.PORT_TAKEN: "FAILED_PRECONDITION",
    Code.DATA_DIRECTORY_LOCKED: "FAILED_PRECONDITION",
    Code.STATE_DAMAGED: "DATA_LOSS",
    Code.INTERNAL: "INTERNAL",
}
HTTP_STATUS: dict[str, int] = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
CLOSER_STATUS = {Code.PAYLOAD_TOO_LARGE: 413, Code.UNSUPPORTED_MEDIA_TYPE: 415}
"""Cases that the original does not have, and for which HTTP has a word of its own."""


class Unimplemented(RequestError):
    """A datatype that JSON cannot carry here: the canonical code UNIMPLEMENTED."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.INVALID_INPUT, message, fix="")


def invalid(text: str) -> RequestError:
    """An INVALID_ARGUMENT whose text is the original's, so nothing is added to it."""
    return RequestError(Code.INVALID_INPUT, text, fix="")


def http_status(error: SalverError) -> int:
    if isinstance(error, Unimplemented):
        return HTTP_STATUS["UNIMPLEMENTED"]
    return CLOSER_STATUS.get(error.code) or HTTP_STATUS[CANONICAL[error.code]]


def error_answer(error: SalverError, text: str | None = None, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """The answer to a request that failed: `text` where the original has one for it, else the message and its fix."""
    if text is None:
        text = f"{error.message} {error.fix}" if error.fix else error.message
    if error.retry_after_s is not None:
        headers = (*headers, ("Retry-After", str(max(1, math.ceil(error.retry_after_s)))))
    return Answer(status=http_status(error), body=error_body(text), headers=headers)


def error_body(text: str) -> bytes:
    """What UTF-8 cannot carry (half a surrogate pair, from a mangled address) is replaced."""
    return orjson.dumps({"error": text.encode("utf-8", "replace").decode()})


# Texts


def servable_text(model: str, version: int | None) -> str:
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
            return f"JSON Value: {echo(value, ECHO_BYTES)} {place}"
        case FaultKind.LIST_FOR_VALUE:
            return f"Encountered list at unexpected level: {level} expected < {fault.expected}"
        case FaultKind.LENGTH:
            return f"Encountered list at unexpected size: {fault.got} at level: {level} expected size: {fault.expected}"
        case FaultKind.BASE64_TEXT:
            return "Unable to base64 decode"
        case FaultKind.BASE64_FORM:
            return f"JSON Value: {echo(value, ECHO_BYTES)} not formatted correctly for base64 data"
    return _leaf_text(fault, datatype)


def _leaf_text(fault: ValueFault, datatype: str) -> str:
    sent, name = echo(fault.value, ECHO_BYTES), TEXT_NAMES[datatype]
    if fault.kind is FaultKind.UNSUPPORTED:
        return f"Conversion of JSON Value: {sent} to type: {name}"
    if fault.kind is FaultKind.RANGE and datatype.startswith("FP"):
        return f"Cannot convert JSON value: {sent} to {name} without loss of precision."
    return f"JSON Value: {sent} Type: {json_type(fault.value)} is not of expected type: {name}"


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
