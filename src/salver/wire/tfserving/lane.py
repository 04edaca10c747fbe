"""What the prediction addresses have in common: where the body is, and how an error looks."""

from __future__ import annotations

from typing import Any

from salver.errors import SalverError
from salver.operations.base import Answer, Exchange
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


def lane_error(error: SalverError, address: Address, headers: Headers) -> Answer:
    return error_answer(error, missing_text(error.code, address), headers)
