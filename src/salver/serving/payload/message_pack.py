"""Documents as msgpack: the forms of JSON, with bytes, NaN and times of their own."""

from __future__ import annotations

from typing import Any

import msgspec

from salver.errors import Code, RequestError
from salver.serving.payload.documents import document_to_inputs
from salver.serving.payload.policy import Policy
from salver.types import Signature, Tensor

SHARE = 4
"""A body may be this part of the limit, since a byte of it can become a list of its own."""


def message_pack_to_inputs(raw: Any, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    """All inputs of a signature. Raises RequestError(INVALID_INPUT | PAYLOAD_TOO_LARGE)."""
    return document_to_inputs(parse_message_pack(raw, policy.max_bytes), signature, policy)


def parse_message_pack(raw: Any, max_bytes: int) -> Any:
    """The document; extension types other than the timestamp are refused."""
    if len(raw) > max_bytes // SHARE:
        raise RequestError(
            Code.PAYLOAD_TOO_LARGE,
            f"A msgpack document may have {max_bytes // SHARE} bytes, a quarter of --max-body-mb.",
            fix="Send Arrow, .npy or raw values, or less at once.",
        )
    try:
        return msgspec.msgpack.decode(raw, ext_hook=_refuse_extension)
    except (ValueError, TypeError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)[:200]
        raise RequestError(
            Code.INVALID_INPUT, f"The body is not msgpack that this server reads: {reason}.", fix=""
        ) from error


def _refuse_extension(code: int, _data: memoryview) -> Any:
    raise ValueError(f"it has a value of the extension type {code}")
