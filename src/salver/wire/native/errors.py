"""Every error as the native wire says it: one JSON shape, and one table from code to HTTP status."""

from __future__ import annotations

import math

import orjson

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer

STATUS: dict[Code, int] = {
    Code.INVALID_INPUT: 400,
    Code.MODEL_NOT_FOUND: 404,
    Code.VERSION_NOT_FOUND: 404,
    Code.LABEL_NOT_FOUND: 404,
    Code.SIGNATURE_NOT_FOUND: 404,
    Code.MODEL_NOT_READY: 503,
    Code.ROUTE_NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.PAYLOAD_TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.NOT_ACCEPTABLE: 406,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.QUOTA_EXCEEDED: 429,
    Code.OVERLOADED: 503,
    Code.SHUTTING_DOWN: 503,
    Code.DEADLINE_EXCEEDED: 504,
    Code.CANCELLED: 499,
    Code.WORKER_DIED: 503,
    Code.MODEL_ERROR: 500,
    Code.OUTPUT_INVALID: 500,
    Code.OUT_OF_MEMORY: 507,
    Code.CONFLICT: 409,
    Code.LOAD_FAILED: 422,
    Code.FORMAT_UNKNOWN: 422,
    Code.MANIFEST_INVALID: 422,
    Code.EXAMPLE_MISMATCH: 422,
    Code.ENVIRONMENT_BROKEN: 422,
    Code.SETTINGS_INVALID: 500,
    Code.PORT_TAKEN: 500,
    Code.DATA_DIRECTORY_LOCKED: 500,
    Code.STATE_DAMAGED: 500,
    Code.INTERNAL: 500,
}

DEFAULT_RETRY_AFTER_S = 1.0


def status_of(error: SalverError) -> int:
    """The code's status; a status between 400 and 599 that the model's own code asked for takes its place."""
    wanted = error.status if isinstance(error, RequestError) else None
    if error.code is Code.MODEL_ERROR and wanted is not None and 400 <= wanted <= 599:
        return wanted
    return STATUS[error.code]


def error_answer(error: SalverError, request_id: str, allow: tuple[str, ...] = ()) -> Answer:
    """The answer to a request that failed; `allow` names the methods of the address for METHOD_NOT_ALLOWED."""
    status = status_of(error)
    document = {
        "code": error.code.value,
        "message": printable(error.message),
        "fix": printable(error.fix),
        "request_id": printable(request_id),
    }
    return Answer(
        status=status,
        body=orjson.dumps({"error": document}),
        headers=tuple(error_headers(error, status, request_id, allow)),
    )


def error_headers(error: SalverError, status: int, request_id: str, allow: tuple[str, ...]) -> list[tuple[str, str]]:
    headers = [("X-Request-Id", request_id)] if request_id else []
    if status == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    if allow:
        headers.append(("Allow", ", ".join(allow)))
    if error.retry_after_s is not None or status in (429, 503):
        seconds = DEFAULT_RETRY_AFTER_S if error.retry_after_s is None else error.retry_after_s
        headers.append(("Retry-After", str(max(1, math.ceil(seconds)))))
    return headers


def printable(text: str) -> str:
    """The text with what UTF-8 cannot carry (half a surrogate pair, from a mangled address) replaced."""
    return text.encode("utf-8", "replace").decode()
