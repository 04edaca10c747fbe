"""What the prediction addresses have in common: where the body is, and how an error looks."""

from __future__ import annotations

from typing import Any

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange
from salver.types import SlabSlice
from salver.wire.jsonbody import Buffer, unpacked
from salver.wire.tfserving.addresses import Address
from salver.wire.tfserving.errors import Headers, error_answer
from salver.wire.tfserving.texts import missing_text


def sent_body(exchange: Exchange) -> Buffer:
    """The body's bytes as they arrived."""
    body: Any = exchange.body
    return body.view if type(body) is SlabSlice else body


def json_body(exchange: Exchange, max_body_bytes: int) -> bytes:
    """The body's JSON, inflated where the client compressed it.

    Raises RequestError(INVALID_INPUT | PAYLOAD_TOO_LARGE | UNSUPPORTED_MEDIA_TYPE).
    """
    return bytes(unpacked(sent_body(exchange), exchange.header(b"content-encoding"), max_body_bytes))


def lane_error(error: SalverError, address: Address, headers: Headers, call: AnsweredCall | None = None) -> Answer:
    """The answer to a prediction that failed.

    A version that was found but has no live worker is unavailable for a moment. The original knows no such case: what
    it calls not found, and clients then do not ask again for, has not been loaded.
    """
    if error.code is Code.MODEL_NOT_READY and call is not None and call.version:
        died = RequestError(Code.WORKER_DIED, error.message, fix=error.fix, retry_after_s=error.retry_after_s)
        return error_answer(died, None, headers)
    return error_answer(error, missing_text(error.code, address), headers)
