"""Errors as clients of this protocol know them: one text, one table from code to HTTP status. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

import orjson

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer

STATUS: dict[Code, int] = {
    Code.INVALID_INPUT: 400,
    Code.MODEL_NOT_FOUND: 400,  # the original calls a name that is not in its repository an invalid argument
    Code.VERSION_NOT_FOUND: 404,
    Code.LABEL_NOT_FOUND: 404,
    Code.SIGNATURE_NOT_FOUND: 400,
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
    Code.CANCELLED: 400,
    Code.WORKER_DIED: 503,
    Code.MODEL_ERROR: 500,
    Code.OUTPUT_INVALID: 500,
    Code.OUT_OF_MEMORY: 503,
    Code.CONFLICT: 409,
    Code.LOAD_FAILED: 400,
    Code.FORMAT_UNKNOWN: 400,
    Code.MANIFEST_INVALID: 400,
    Code.EXAMPLE_MISMATCH: 400,
    Code.ENVIRONMENT_BROKEN: 500,
    Code.SETTINGS_INVALID: 500,
    Code.PORT_TAKEN: 500,
    Code.DATA_DIRECTORY_LOCKED: 500,
    Code.STATE_DAMAGED: 500,
    Code.INTERNAL: 500,
}
NOT_FOUND = "Not Found"
NOT_ALLOWED = "Method Not Allowed"
ECHO_CHARACTERS = 256
"""Longest echo of a name in an error text."""
UNSAID = "<id_unknown>"


class Subject(NamedTuple):
    """What a request was about. `version` is the one that it names, or that was found for it."""

    model: str
    version: int | None = None


class Unsupported(RequestError):
    """Something that the original has and this server does not: 501."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.INVALID_INPUT, message, fix="")


def invalid(text: str) -> RequestError:
    """An error of the caller's whose text is the original's, so nothing is added to it."""
    return RequestError(Code.INVALID_INPUT, text, fix="")


def refused(request_id: str, text: str) -> RequestError:
    """A request that does not fit its model: the original puts the request's id before the text."""
    return invalid(f"[request id: {shown(request_id) or UNSAID}] {text}")


def shown(name: str) -> str:
    """A name of the caller's, cut to the longest echo."""
    return name[:ECHO_CHARACTERS]


def missing(error: SalverError, about: Subject) -> tuple[int, str] | None:
    """Status and text for a name that leads nowhere, in the original's words; None for any other error."""
    name = f"Request for unknown model: '{shown(about.model)}'"
    if error.code is Code.MODEL_NOT_FOUND:
        return STATUS[error.code], f"{name} is not found"
    if error.code is Code.VERSION_NOT_FOUND:
        return STATUS[error.code], f"{name} version {about.version} is not found"
    if error.code is not Code.MODEL_NOT_READY:
        return None
    if about.version is None:
        return 404, f"{name} has no available versions"
    return STATUS[error.code], f"{name} version {about.version} is not at ready state"


def status_of(error: SalverError) -> int:
    """The code's status; one from 400 to 599 that the model's own code asked for takes its place."""
    if isinstance(error, Unsupported):
        return 501
    asked = error.status if isinstance(error, RequestError) else None
    if error.code is Code.MODEL_ERROR and asked is not None and 400 <= asked <= 599:
        return asked
    return STATUS[error.code]


def error_answer(error: SalverError, about: Subject | None = None) -> Answer:
    """The answer to a request that failed; must not raise."""
    found = None if about is None else missing(error, about)
    status, text = (status_of(error), _text(error)) if found is None else found
    headers: tuple[tuple[str, str], ...] = ()
    if error.code is Code.UNAUTHENTICATED:
        headers = (("WWW-Authenticate", "Bearer"),)
    if error.retry_after_s is not None and status in (429, 503):
        headers = (*headers, ("Retry-After", str(max(1, math.ceil(error.retry_after_s)))))
    return Answer(status, error_body(text), headers=headers)


def error_body(text: str) -> bytes:
    """What UTF-8 cannot carry (half a surrogate pair, from a mangled address) is replaced."""
    return orjson.dumps({"error": text.encode("utf-8", "replace").decode()})


def _text(error: SalverError) -> str:
    return f"{error.message.rstrip('.')}. {error.fix}" if error.fix else error.message
