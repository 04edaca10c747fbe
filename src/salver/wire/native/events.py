"""Answers as a stream of events: one for each part, whose data is a JSON document on one line. Pure."""

from __future__ import annotations

from typing import Any

import orjson
import pybase64

from salver.operations.base import Answer
from salver.types import BodyResult, InferResponse, VersionInfo

CONTENT_TYPE = "text/event-stream; charset=utf-8"
Headers = tuple[tuple[str, str], ...]
NOT_KEPT: Headers = (("Cache-Control", "no-store"),)


def event_answer(document: bytes, headers: Headers) -> Answer:
    """One event; none for no document."""
    return Answer(200, event(document) if document else b"", CONTENT_TYPE, headers + NOT_KEPT)


def event(document: bytes, name: bytes = b"") -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, document) if name else b"data: %b\n\n" % document


def body_document(version: VersionInfo, result: BodyResult) -> bytes:
    """What a model's own code wrote: text where it is UTF-8, else base64."""
    document: dict[str, Any] = {"model": version.id.model, "version": version.id.version}
    try:
        document["body"] = result.data.decode()
    except UnicodeDecodeError:
        document["body"] = {"b64": pybase64.b64encode_as_string(result.data)}
    return orjson.dumps({**document, "content_type": result.content_type or ""})


def adds_nothing(response: InferResponse) -> bool:
    """Whether this, behind the parts of an answer, is no part itself."""
    return response.outputs == {} or (response.body is not None and not response.body.data)
