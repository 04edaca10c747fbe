"""Errors as clients of the gRPC protocol know them. Pure."""

from __future__ import annotations

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, AnsweredCall
from salver.operations.methods import GrpcStatus, status_answer
from salver.wire.tfserving.addresses import Address
from salver.wire.tfserving.errors import CANONICAL, Unimplemented
from salver.wire.tfserving.texts import missing_text

MAX_TEXT = 1024
TRUNCATED = "...TRUNCATED"


class FailedPrecondition(RequestError):
    """A predict call names a signature that is not there: over gRPC the original says so with a code of its own."""


def status_of(error: SalverError) -> GrpcStatus:
    if isinstance(error, Unimplemented):
        return GrpcStatus.UNIMPLEMENTED
    if isinstance(error, FailedPrecondition):
        return GrpcStatus.FAILED_PRECONDITION
    return GrpcStatus[CANONICAL[error.code]]


def failure(error: SalverError, address: Address | None = None, call: AnsweredCall | None = None) -> Answer:
    """The answer to a call that failed, in the original's words where it has some for what the address names.

    A version that was found but has no live worker is unavailable for a moment, as over REST.
    """
    if error.code is Code.MODEL_NOT_READY and call is not None and call.version:
        return status_answer(error, GrpcStatus.UNAVAILABLE)
    text = None if address is None else missing_text(error.code, address)
    answer = status_answer(error, status_of(error), text)
    return Answer(answer.status, truncated(answer.body), None, answer.headers)


def truncated(text: bytes) -> bytes:
    """The text as the original cuts it."""
    if len(text) <= MAX_TEXT:
        return text
    return (text[:MAX_TEXT].decode("utf-8", "ignore") + TRUNCATED).encode()
