"""Errors over gRPC: the texts of REST, and the status that the original gives each. Pure."""

from __future__ import annotations

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer
from salver.operations.methods import STATUS, GrpcStatus, status_answer
from salver.wire.openinference.errors import Subject, Unsupported, missing

BY_HTTP: dict[int, GrpcStatus] = {
    400: GrpcStatus.INVALID_ARGUMENT,
    401: GrpcStatus.UNAUTHENTICATED,
    403: GrpcStatus.PERMISSION_DENIED,
    404: GrpcStatus.NOT_FOUND,
    409: GrpcStatus.ABORTED,
    413: GrpcStatus.RESOURCE_EXHAUSTED,
    429: GrpcStatus.RESOURCE_EXHAUSTED,
    501: GrpcStatus.UNIMPLEMENTED,
    503: GrpcStatus.UNAVAILABLE,
    504: GrpcStatus.DEADLINE_EXCEEDED,
}
"""What the statuses of HTTP are called here, those of a model's own code among them."""
OWN: dict[Code, GrpcStatus] = {
    Code.MODEL_NOT_FOUND: GrpcStatus.INVALID_ARGUMENT,
    Code.LOAD_FAILED: GrpcStatus.INVALID_ARGUMENT,
    Code.OUT_OF_MEMORY: GrpcStatus.UNAVAILABLE,
}
"""Where the original differs from what is usual."""


def status_of(error: SalverError) -> GrpcStatus:
    if isinstance(error, Unsupported):
        return GrpcStatus.UNIMPLEMENTED
    asked = error.status if isinstance(error, RequestError) and error.code is Code.MODEL_ERROR else None
    if asked is not None and 400 <= asked <= 599:
        return BY_HTTP.get(asked, GrpcStatus.INVALID_ARGUMENT if asked < 500 else GrpcStatus.INTERNAL)
    return OWN.get(error.code) or STATUS[error.code]


def grpc_error(error: SalverError, about: Subject | None = None) -> Answer:
    """The answer to a call that failed; must not raise."""
    found = None if about is None else missing(error, about)
    if found is None:
        return status_answer(error, status_of(error))
    return status_answer(error, BY_HTTP[found[0]], found[1])
