"""Errors over gRPC in the original's words: a status, a text, and under it the name of a Java exception. Pure."""

from __future__ import annotations

from salver.errors import Code, SalverError
from salver.operations.base import Answer
from salver.operations.methods import GrpcStatus
from salver.wire.torchserve.dialect import BAD_REQUEST, INTERNAL, UNAVAILABLE, Dialect
from salver.wire.torchserve.errors import Subject, row_of, text_of

JAVA = {
    "BadRequestException": "org.pytorch.serve.http.BadRequestException",
    "InternalServerException": "org.pytorch.serve.http.InternalServerException",
    "ModelNotFoundException": "org.pytorch.serve.archive.model.ModelNotFoundException",
    "ModelVersionNotFoundException": "org.pytorch.serve.archive.model.ModelVersionNotFoundException",
    "ServiceUnavailableException": "org.pytorch.serve.http.ServiceUnavailableException",
}
"""The second line of an error's description: the exception's class."""
SHORT_NAMES = {BAD_REQUEST: "BadRequestException.()", UNAVAILABLE: "InternalServerException.()"}
"""Where the inference service writes that line by hand."""
WORKER_STATUS = {503: GrpcStatus.UNAVAILABLE, 507: GrpcStatus.RESOURCE_EXHAUSTED}
REFUSED = frozenset({Code.UNAUTHENTICATED, Code.PERMISSION_DENIED})


def failure(error: SalverError, about: Subject, dialect: Dialect) -> Answer:
    """What the inference service says: INTERNAL, whatever it is, but of keys and of what a worker said."""
    row = row_of(error, dialect)
    text = text_of(error, row, about)
    if row.type in SHORT_NAMES:
        return Answer(GrpcStatus.INTERNAL, f"{text}\n{SHORT_NAMES[row.type]}".encode(), None)
    if error.code in REFUSED:
        return described(GrpcStatus.PERMISSION_DENIED, text, row.type)
    by_worker = WORKER_STATUS.get(row.status) if row.type == INTERNAL else None
    return described(by_worker or GrpcStatus.INTERNAL, text, row.type)


def described(status: GrpcStatus, text: str, exception: str) -> Answer:
    name = JAVA.get(exception)
    return Answer(status, f"{text}\n{name}".encode() if name else text.encode(), None)
