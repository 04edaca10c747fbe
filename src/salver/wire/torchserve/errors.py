"""Errors in the original's words: each code has a status, the name of a Java exception, and a text.

Statuses, names and texts are those of Multi Model Server 1.1; of TorchServe 0.12 where the first knows no such case
(versions); and of HTTP where both know none (keys, permissions, quotas).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from salver.errors import Code, SalverError
from salver.operations.base import Answer
from salver.wire.torchserve.answers import pretty, usual_headers


class Row(NamedTuple):
    """`text` may name {message}, {fix}, {model} and {version}; `{message} {fix}` where the original has no words."""

    status: int
    type: str
    text: str = "{message} {fix}"


class Subject(NamedTuple):
    """What a request was about, for the texts that name it."""

    model: str = ""
    version: int | None = None


NO_WORKER = "No worker is available to serve request for model: {model}. Consider increasing job queue size."
NOT_FOUND = "Requested resource is not found, please refer to API document."
NOT_ALLOWED = "Requested method is not allowed, please refer to API document."
NO_VERSION = "Model version: {version} does not exist for model: {model}"

BAD_REQUEST = "BadRequestException"
INTERNAL = "InternalServerException"
INVALID_KEY = "InvalidKeyException"
INVALID_MODEL = "InvalidModelException"
NO_SUCH_VERSION = "ModelVersionNotFoundException"
UNAVAILABLE = "ServiceUnavailableException"

ROWS: dict[Code, Row] = {
    Code.INVALID_INPUT: Row(400, BAD_REQUEST),
    Code.MODEL_NOT_FOUND: Row(404, "ModelNotFoundException", "Model not found: {model}"),
    Code.VERSION_NOT_FOUND: Row(404, NO_SUCH_VERSION, NO_VERSION),
    Code.LABEL_NOT_FOUND: Row(404, NO_SUCH_VERSION),
    Code.SIGNATURE_NOT_FOUND: Row(400, BAD_REQUEST),
    Code.MODEL_NOT_READY: Row(503, UNAVAILABLE, NO_WORKER),
    Code.ROUTE_NOT_FOUND: Row(404, "ResourceNotFoundException", NOT_FOUND),
    Code.METHOD_NOT_ALLOWED: Row(405, "MethodNotAllowedException", "{message}"),
    Code.PAYLOAD_TOO_LARGE: Row(413, BAD_REQUEST),
    Code.UNSUPPORTED_MEDIA_TYPE: Row(400, BAD_REQUEST),
    Code.UNAUTHENTICATED: Row(401, INVALID_KEY),
    Code.PERMISSION_DENIED: Row(403, INVALID_KEY),
    Code.QUOTA_EXCEEDED: Row(429, UNAVAILABLE),
    Code.OVERLOADED: Row(503, UNAVAILABLE, NO_WORKER),
    Code.SHUTTING_DOWN: Row(503, UNAVAILABLE),
    Code.DEADLINE_EXCEEDED: Row(408, "RequestTimeoutException"),
    Code.CANCELLED: Row(503, UNAVAILABLE),
    Code.WORKER_DIED: Row(500, INTERNAL, "Worker died."),
    Code.MODEL_ERROR: Row(503, INTERNAL, "{message}"),
    Code.OUTPUT_INVALID: Row(503, INTERNAL, "{message}"),
    Code.OUT_OF_MEMORY: Row(507, INTERNAL, "Out of resources"),
    Code.CONFLICT: Row(409, "ConflictStatusException"),
    Code.LOAD_FAILED: Row(500, INTERNAL),
    Code.FORMAT_UNKNOWN: Row(400, INVALID_MODEL),
    Code.MANIFEST_INVALID: Row(400, INVALID_MODEL),
    Code.EXAMPLE_MISMATCH: Row(400, INVALID_MODEL),
    Code.ENVIRONMENT_BROKEN: Row(500, INTERNAL),
    Code.SETTINGS_INVALID: Row(500, INTERNAL),
    Code.PORT_TAKEN: Row(500, INTERNAL),
    Code.DATA_DIRECTORY_LOCKED: Row(500, INTERNAL),
    Code.STATE_DAMAGED: Row(500, INTERNAL),
    Code.INTERNAL: Row(500, INTERNAL),
}

RETRY_LATER = frozenset({Code.OVERLOADED, Code.SHUTTING_DOWN, Code.MODEL_NOT_READY, Code.QUOTA_EXCEEDED})
TOO_LARGE = Answer(413, b"", content_type=None, close=True)
"""The original refuses a body that is too large before it makes headers or words."""


def error_answer(error: SalverError, about: Subject, request_id: str) -> Answer:
    """The original's rendering of any error; never raises."""
    if error.code is Code.PAYLOAD_TOO_LARGE:
        return TOO_LARGE
    row = ROWS[error.code]
    asked = getattr(error, "status", None)
    if asked is not None and 400 <= asked <= 599:
        row = Row(asked, INTERNAL, "{message}")
    document = {"code": row.status, "type": row.type, "message": text_of(error, row, about)}
    headers = usual_headers(request_id) + advice(error)
    return Answer(row.status, pretty(document), headers=headers, close=True)


def text_of(error: SalverError, row: Row, about: Subject) -> str:
    message = error.message
    if "{fix}" in row.text and not message.endswith((".", "!", "?")):
        message += "."
    text = row.text.format(message=message, fix=error.fix, model=about.model, version=about.version)
    return text.strip().encode("utf-8", "replace").decode()  # a handler's message may hold half a surrogate pair


def advice(error: SalverError) -> tuple[tuple[str, str], ...]:
    """What HTTP has headers for: when to come again, and how to say who one is."""
    if error.code is Code.UNAUTHENTICATED:
        return (("WWW-Authenticate", "Bearer"),)
    if error.code in RETRY_LATER or error.retry_after_s is not None:
        return (("Retry-After", str(max(1, math.ceil(error.retry_after_s or 1)))),)
    return ()
