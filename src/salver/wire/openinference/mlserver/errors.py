"""Errors as clients of MLServer know them: a text, or a list of what is wrong with the form of a body. Pure."""

from __future__ import annotations

from typing import Any

import orjson
from msgspec.structs import replace

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer
from salver.wire.openinference.errors import Subject, shown
from salver.wire.openinference.errors import error_answer as usual_answer

UNPROCESSABLE = 422
MAX_INPUT_BYTES = 1024
"""Longest echo of what was sent."""
BARE = {Code.ROUTE_NOT_FOUND: "Not Found", Code.METHOD_NOT_ALLOWED: "Method Not Allowed"}
"""What the original's web framework says by itself, without the original's form of errors."""
NO_DOCUMENT: dict[str, Any] = {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}


class Unprocessable(RequestError):
    """A body that has not the form of a request: 422, with one entry for each thing that is wrong."""

    def __init__(self, *detail: dict[str, Any]) -> None:
        super().__init__(Code.INVALID_INPUT, f"{detail[0]['msg']}: {detail[0]['loc']}", fix="")
        self.detail = detail


def entry(kind: str, place: list[str | int], message: str, given: Any) -> dict[str, Any]:
    """One thing that is wrong; what was given is told as long as it is short."""
    found = {"type": kind, "loc": place, "msg": message}
    return found | ({"input": given} if len(orjson.dumps(given)) <= MAX_INPUT_BYTES else {})


def not_found(about: Subject) -> str:
    return f"Model {named(about)} not found"


def not_ready(about: Subject) -> str:
    return f"Model {named(about)} is not ready yet."


def named(about: Subject) -> str:
    version = "" if about.version is None else f" with version {about.version}"
    return shown(about.model) + version


def missing(error: SalverError, about: Subject, asked: int | None) -> tuple[int, str] | None:
    """Status and text for a name that leads nowhere; None for any other error. `asked`: the version in the address."""
    if error.code in (Code.MODEL_NOT_FOUND, Code.VERSION_NOT_FOUND):
        return 404, not_found(Subject(about.model, asked))
    if error.code is not Code.MODEL_NOT_READY:
        return None
    if about.version is None:
        return 404, not_found(about)
    return 503, not_ready(Subject(about.model, asked))


def error_answer(error: SalverError, about: Subject | None = None, asked: int | None = None) -> Answer:
    """The answer to a request that failed; must not raise."""
    answer = usual_answer(error)
    if isinstance(error, Unprocessable):
        return Answer(UNPROCESSABLE, orjson.dumps({"detail": error.detail}))
    if error.code in BARE:
        return replace(answer, body=orjson.dumps({"detail": BARE[error.code]}))
    found = None if about is None else missing(error, about, asked)
    return answer if found is None else replace(answer, status=found[0], body=text_body(found[1]))


def text_body(text: str) -> bytes:
    """What UTF-8 cannot carry is replaced."""
    return orjson.dumps({"error": text.encode("utf-8", "replace").decode()})
