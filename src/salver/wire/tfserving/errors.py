"""Errors as TensorFlow Serving's clients know them: one table from code to canonical code, one from that to HTTP."""

from __future__ import annotations

import math
from typing import TypeAlias

import orjson

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer

Headers: TypeAlias = tuple[tuple[str, str], ...]

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
    Code.NOT_ACCEPTABLE: "INVALID_ARGUMENT",
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


def error_answer(error: SalverError, text: str | None = None, headers: Headers = ()) -> Answer:
    """The answer to a request that failed: `text` where the original has one for it, else the message and its fix."""
    if text is None:
        text = f"{error.message.rstrip('.')}. {error.fix}" if error.fix else error.message
    if error.code is Code.UNAUTHENTICATED:
        headers = (*headers, ("WWW-Authenticate", "Bearer"))  # RFC 9110, 15.5.2
    if error.retry_after_s is not None:
        headers = (*headers, ("Retry-After", str(max(1, math.ceil(error.retry_after_s)))))
    return Answer(status=http_status(error), body=error_body(text), headers=headers)


def error_body(text: str) -> bytes:
    """What UTF-8 cannot carry (half a surrogate pair, from a mangled address) is replaced."""
    return orjson.dumps({"error": text.encode("utf-8", "replace").decode()})
