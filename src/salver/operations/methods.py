"""What a wire offers over gRPC: rows of methods, each with its translations, and the status of each error.

A call of gRPC is an HTTP/2 POST to `/package.Service/Method`, so the words are those of the other doors: a `Request`
has the method's path, the metadata as headers and one message as body; an `Answer` has the number of a gRPC status, and
as body the answer's message, or the text of the error in UTF-8. Its headers become trailing metadata.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from salver.errors import Code, SalverError
from salver.operations.base import Answer, PredictRoute, Request


class GrpcStatus(enum.IntEnum):
    """The canonical codes, by their numbers."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


STATUS: dict[Code, GrpcStatus] = {
    Code.INVALID_INPUT: GrpcStatus.INVALID_ARGUMENT,
    Code.MODEL_NOT_FOUND: GrpcStatus.NOT_FOUND,
    Code.VERSION_NOT_FOUND: GrpcStatus.NOT_FOUND,
    Code.LABEL_NOT_FOUND: GrpcStatus.NOT_FOUND,
    Code.SIGNATURE_NOT_FOUND: GrpcStatus.INVALID_ARGUMENT,
    Code.MODEL_NOT_READY: GrpcStatus.UNAVAILABLE,
    Code.ROUTE_NOT_FOUND: GrpcStatus.UNIMPLEMENTED,
    Code.METHOD_NOT_ALLOWED: GrpcStatus.UNIMPLEMENTED,
    Code.PAYLOAD_TOO_LARGE: GrpcStatus.RESOURCE_EXHAUSTED,
    Code.UNSUPPORTED_MEDIA_TYPE: GrpcStatus.INVALID_ARGUMENT,
    Code.NOT_ACCEPTABLE: GrpcStatus.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED: GrpcStatus.UNAUTHENTICATED,
    Code.PERMISSION_DENIED: GrpcStatus.PERMISSION_DENIED,
    Code.QUOTA_EXCEEDED: GrpcStatus.RESOURCE_EXHAUSTED,
    Code.OVERLOADED: GrpcStatus.UNAVAILABLE,
    Code.SHUTTING_DOWN: GrpcStatus.UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: GrpcStatus.DEADLINE_EXCEEDED,
    Code.CANCELLED: GrpcStatus.CANCELLED,
    Code.WORKER_DIED: GrpcStatus.UNAVAILABLE,
    Code.MODEL_ERROR: GrpcStatus.INTERNAL,
    Code.OUTPUT_INVALID: GrpcStatus.INTERNAL,
    Code.OUT_OF_MEMORY: GrpcStatus.RESOURCE_EXHAUSTED,
    Code.CONFLICT: GrpcStatus.ABORTED,
    Code.LOAD_FAILED: GrpcStatus.FAILED_PRECONDITION,
    Code.FORMAT_UNKNOWN: GrpcStatus.FAILED_PRECONDITION,
    Code.MANIFEST_INVALID: GrpcStatus.FAILED_PRECONDITION,
    Code.EXAMPLE_MISMATCH: GrpcStatus.FAILED_PRECONDITION,
    Code.ENVIRONMENT_BROKEN: GrpcStatus.FAILED_PRECONDITION,
    Code.SETTINGS_INVALID: GrpcStatus.FAILED_PRECONDITION,
    Code.PORT_TAKEN: GrpcStatus.FAILED_PRECONDITION,
    Code.DATA_DIRECTORY_LOCKED: GrpcStatus.FAILED_PRECONDITION,
    Code.STATE_DAMAGED: GrpcStatus.DATA_LOSS,
    Code.INTERNAL: GrpcStatus.INTERNAL,
}
"""What a wire without a table of its own says, and the edge where no wire is asked."""


def status_answer(error: SalverError, status: GrpcStatus | None = None, text: str | None = None) -> Answer:
    """The answer to a call that failed; without a `status` that of the table, without a `text` message and fix."""
    if text is None:
        text = f"{error.message.rstrip('.')}. {error.fix}" if error.fix else error.message
    headers = () if error.retry_after_s is None else (("retry-after", str(max(1, math.ceil(error.retry_after_s)))),)
    return Answer(STATUS[error.code] if status is None else status, text.encode("utf-8", "replace"), None, headers)


class PredictMethod(msgspec.Struct, frozen=True, kw_only=True):
    """One message in, one prediction, one message out.

    `open` reads the message, because a model is named inside it; the route it makes serves this one call, and may keep
    what it has read: its `decode` is asked once the gate has said yes. Callers that the server does not know are
    refused before. Raises RequestError when the message is none.
    """

    path: str
    """`/package.Service/Method`."""
    open: Callable[[Request], PredictRoute]


class JoinedMethod(msgspec.Struct, frozen=True, kw_only=True):
    """One message in, several predictions at once, one message out. The first of them that fails is the answer."""

    path: str
    open: Callable[[Request], Sequence[PredictRoute]]
    join: Callable[[Sequence[bytes]], bytes]
    """Makes the answer's message of the predictions' own."""


class StreamMethod(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction for each message of the client, answered in the order they came.

    An answer with the status OK is a message, and the stream goes on: so a wire can tell an error inside of its
    messages. Any other status ends the stream. A `PartsRoute` answers in several messages; a last one that is empty is
    not sent.
    """

    path: str
    open: Callable[[Request], PredictRoute]
    takes_many: bool = True
    """Whether the client may send more than one message."""


class OrdinaryMethod(msgspec.Struct, frozen=True, kw_only=True):
    """An operation of the catalogue; start-up fails when it is not there.

    `open` reads the message, `read` makes the operation's parameters of that, `write` the answer's message of the
    result. All three may raise RequestError.
    """

    path: str
    operation: str
    open: Callable[[Request], Any]
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], bytes]
    """Takes the operation's result and what `open` made."""
    model: Callable[[Any], str] = lambda _: ""
    """The model that the permission is about, for operations of model scope, of what `open` made."""
    error: Callable[[SalverError, Any], Answer] | None = None
    """The rendering of an error where it needs to know what `open` made; the wire's own where that is None."""


Method: TypeAlias = PredictMethod | JoinedMethod | StreamMethod | OrdinaryMethod
