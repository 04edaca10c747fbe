"""Lines of JSON (NDJSON): one row on each."""

from __future__ import annotations

from typing import Any

import orjson

from salver.errors import Code, RequestError
from salver.serving.payload.documents import rows_to_inputs
from salver.serving.payload.policy import Policy
from salver.types import Signature, Tensor


def json_lines_to_inputs(raw: bytes, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    """All inputs of a signature; empty lines do not count. Raises RequestError(INVALID_INPUT)."""
    rows: list[Any] = []
    for number, line in enumerate(raw.split(b"\n"), 1):
        if line.strip():
            try:
                rows.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise RequestError(
                    Code.INVALID_INPUT, f"Line {number} is not JSON: {error}.", fix="Send one JSON value on each line."
                ) from error
    if not rows:
        raise RequestError(Code.INVALID_INPUT, "The body has no lines.", fix="Send one JSON value on each line.")
    return rows_to_inputs(rows, signature, policy)
