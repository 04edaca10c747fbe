"""Answers as MXNet Model Server writes them: pretty JSON, and headers against caches on every one of them.

From its ``NettyUtils.sendHttpResponse``: the usual headers replace what a handler set, and a status of 400 or above
closes the connection.
"""

from __future__ import annotations

from typing import Any

import orjson

from salver.operations.base import Answer, Request

JSON_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY

USUAL_HEADERS = (
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache; no-store, must-revalidate, private"),
    ("Expires", "Thu, 01 Jan 1970 00:00:00 UTC"),
)


def usual_headers(request_id: str) -> tuple[tuple[str, str], ...]:
    """The headers of every answer; without an id only where the request never got one."""
    return (("x-request-id", request_id), *USUAL_HEADERS) if request_id else USUAL_HEADERS


def pretty(document: Any) -> bytes:
    """JSON with two spaces and a newline at the end. NaN and infinities, which JSON has not, become null."""
    return orjson.dumps(document, option=JSON_OPTIONS)


def json_answer(document: Any, request: Request) -> Answer:
    return Answer(200, pretty(document), headers=usual_headers(request.request_id))


def without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    """The original leaves out what it does not know."""
    return {key: value for key, value in document.items() if value is not None}
