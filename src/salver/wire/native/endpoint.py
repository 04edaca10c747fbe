"""What a row of this wire is: an address with its operation, and what the rows share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from salver.errors import Code, RequestError
from salver.operations.base import Answer, Request, Route

Parameters = TypeVar("Parameters")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A route, and what the OpenAPI document tells of it."""

    route: Route
    summary: str
    status: int = 200
    takes: type | None = None
    """The JSON document of the request's body."""
    gives: type | None = None
    """The JSON document of the answer's body; None where the answer is something else."""
    content_type: str = "application/json"
    query: tuple[str, ...] = ()
    """Names of what may stand in the query, for documents."""

    @property
    def method(self) -> str:
        """The method that documents show: not HEAD, which goes with every GET."""
        return self.route.methods[0]


def answer_headers(request: Request) -> tuple[tuple[str, str], ...]:
    return (("X-Request-Id", request.request_id),)


def json_answer(document: Any, request: Request, status: int = 200) -> Answer:
    return Answer(status=status, body=msgspec.json.encode(document), headers=answer_headers(request))


def always(parameters: Parameters) -> Callable[[Request], Parameters]:
    """A read for operations whose parameters do not depend on the request."""

    def read(_: Request) -> Parameters:
        return parameters

    return read


def demand_json(request: Request) -> None:
    """A change of state must say that it is JSON: no form of a web page can, so no page can make one unasked."""
    content_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise RequestError(
            Code.UNSUPPORTED_MEDIA_TYPE,
            "This address takes application/json only.",
            fix="Send the header `Content-Type: application/json` and a JSON body.",
        )


def version_number(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    raise RequestError(
        Code.VERSION_NOT_FOUND,
        f"A version is a whole number of at most 18 digits, not {text[:64]!r}.",
        fix="Name the version by its number, or use the address of a label.",
    )


def get(path: str, operation: str, read: Callable[[Request], Any], write: Callable[[Any, Request], Answer]) -> Route:
    """A reading; HEAD asks for the same without the body, which the edge leaves out."""
    return Route(methods=("GET", "HEAD"), path=path, operation=operation, read=read, write=write)
