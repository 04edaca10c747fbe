"""Errors in the original's words: each code has a status, the name of a Java exception, and a text.

Statuses, names and texts are those of Multi Model Server 1.1 and of TorchServe 0.12, row by row in ``dialect.py``; of
TorchServe where the first knows no such case (versions); and of HTTP where both know none (quotas).
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import NamedTuple

from salver.errors import Code, SalverError
from salver.operations.base import Answer
from salver.wire.torchserve.answers import pretty, usual_headers
from salver.wire.torchserve.dialect import INTERNAL, MMS, NOT_ALLOWED, NOT_FOUND, Dialect, Row

__all__ = ["NOT_ALLOWED", "NOT_FOUND"]


class Subject(NamedTuple):
    """What a request was about, for the texts that name it; the version as the client wrote it."""

    model: str = ""
    version: str = ""


NAMED = frozenset(int(status) for status in HTTPStatus)
RETRY_LATER = frozenset({Code.OVERLOADED, Code.SHUTTING_DOWN, Code.MODEL_NOT_READY, Code.QUOTA_EXCEEDED})
TOO_LARGE = Answer(413, b"", content_type=None, close=True)
"""The original refuses a body that is too large before it makes headers or words."""


def error_answer(error: SalverError, about: Subject, request_id: str, dialect: Dialect = MMS) -> Answer:
    """The original's rendering of any error; never raises."""
    if error.code is Code.PAYLOAD_TOO_LARGE:
        return TOO_LARGE
    row = row_of(error, dialect)
    document = {"code": row.status, "type": row.type, "message": text_of(error, row, about)}
    headers = usual_headers(request_id) + advice(error)
    return Answer(row.status, pretty(document), headers=headers, close=True, phrase=phrase_of(row.status))


def phrase_of(status: int) -> str | None:
    """As Netty calls a status that has no name; None for one that has."""
    if status in NAMED:
        return None
    return f"{'Client' if status < 500 else 'Server'} Error ({status})"


def row_of(error: SalverError, dialect: Dialect) -> Row:
    """The error's row; a status that the model's code chose wins."""
    asked = getattr(error, "status", None)
    if asked is not None and 400 <= asked <= 599:
        return Row(asked, INTERNAL, "{message}")
    return dialect.rows[error.code]


def text_of(error: SalverError, row: Row, about: Subject) -> str:
    message = error.message
    if "{fix}" in row.text and error.fix and not message.endswith((".", "!", "?")):
        message += "."
    version_word = f' Version {about.version}"' if about.version else ""  # the quotation mark is the original's
    text = row.text.format(
        message=message, fix=error.fix, model=about.model, version=about.version, version_word=version_word
    )
    text = text.strip() if "{fix}" in row.text else text
    return text.encode("utf-8", "replace").decode()  # a handler's message may hold half a surrogate pair


def advice(error: SalverError) -> tuple[tuple[str, str], ...]:
    """What HTTP has headers for: when to come again, and how to say who one is."""
    if error.code is Code.UNAUTHENTICATED:
        return (("WWW-Authenticate", "Bearer"),)
    if error.code in RETRY_LATER or error.retry_after_s is not None:
        return (("Retry-After", str(max(1, math.ceil(error.retry_after_s or 1)))),)
    return ()
