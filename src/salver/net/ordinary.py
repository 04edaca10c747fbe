"""The ordinary road: an ASGI application made from the wires' tables of addresses, every one behind the gate."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import compile_path

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, Credentials, Request, Route
from salver.operations.gate import Gate, checked_request_id

log = logging.getLogger("salver.net")
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class OrdinaryWire(Protocol):
    """What the road needs of a wire."""

    name: str

    @property
    def routes(self) -> tuple[Route, ...]: ...
    def owns(self, path: str) -> bool: ...
    def unmatched(self, request: Request) -> Answer: ...
    def error(self, error: SalverError, request: Request) -> Answer: ...


class OrdinaryRoad:
    """Finds the row of an address, lets the gate run its operation, and writes what the wire makes of the result.

    Start-up fails when a row declares no known operation, so there is no address without a permission.
    """

    def __init__(
        self,
        gate: Gate,
        wires: Sequence[OrdinaryWire],
        *,
        new_request_id: Callable[[], str],
    ) -> None:
        self._gate = gate
        self._wires = wires
        self._new_request_id = new_request_id
        self._rows: list[tuple[Any, Route, OrdinaryWire]] = []
        for wire in wires:
            gate.check_routes(wire.routes, wire.name)
            self._rows.extend((compile_path(route.path)[0], route, wire) for route in wire.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        answer = await self._answer(http)
        response = Response(
            answer.body,
            answer.status,
            headers=dict(answer.headers),
            media_type=None,
        )
        if answer.content_type is not None:
            response.headers["content-type"] = answer.content_type
        if answer.close:
            response.headers["connection"] = "close"
        await response(scope, receive, send)

    async def _answer(self, http: HttpRequest) -> Answer:
        request = _request_of(http, b"", self._new_request_id)
        row, wire, parameters = self._match(request)
        try:
            if not http.scope["state"]["is_host_allowed"]:
                raise RequestError(
                    Code.PERMISSION_DENIED,
                    "The Host header names none of this server's hosts.",
                    fix="Call the server by its address, or allow the name with --allowed-hosts.",
                )
            if row is None:
                return wire.unmatched(request)
            self._check_origin(row, request)
            request = _request_of(http, await http.body(), self._new_request_id, request.request_id, parameters)
            return await self._run(row, wire, request, http.scope["state"]["credentials"])
        except SalverError as error:
            return wire.error(error, request)
        except Exception as error:
            log.exception("operation_failed", extra={"request_id": request.request_id, "path": request.path})
            return wire.error(
                RequestError(Code.INTERNAL, "The server failed on this request.", log_detail=repr(error)), request
            )

    async def _run(self, row: Route, wire: OrdinaryWire, request: Request, credentials: Credentials) -> Answer:
        result = await self._gate.run(
            row.operation,
            credentials,
            lambda: row.read(request),
            model=row.model(request),
            wire=wire.name,
            request_id=request.request_id,
        )
        return row.write(result, request)

    def _match(self, request: Request) -> tuple[Route | None, OrdinaryWire, dict[str, str]]:
        for pattern, route, wire in self._rows:
            match = pattern.match(request.path)
            if match and (request.method in route.methods or route.methods == ("*",)):
                return route, wire, match.groupdict()
        return None, self._owner(request.path), {}

    def _owner(self, path: str) -> OrdinaryWire:
        return next((wire for wire in self._wires if wire.owns(path)), self._wires[-1])

    def _check_origin(self, row: Route, request: Request) -> None:
        """A web page of another site must not change anything here, whatever network its visitor sits in."""
        if not self._gate.operation(row.operation).changes_state:
            return
        origin = request.header("origin")
        is_foreign = origin is not None and urlsplit(origin).netloc != (request.header("host") or "")
        if is_foreign or request.header("sec-fetch-site") in ("cross-site", "same-site"):
            raise RequestError(
                Code.PERMISSION_DENIED,
                "A page of another site may not change anything on this server.",
                fix="Call it from a program, or from a page of this server.",
            )


def _request_of(
    http: HttpRequest,
    body: bytes,
    new_request_id: Callable[[], str],
    request_id: str = "",
    path_parameters: dict[str, str] | None = None,
) -> Request:
    given = http.headers.get("x-request-id")
    scope = http.scope
    return Request(
        method=scope["method"],
        path=scope["path"],
        raw_path=scope["raw_path"].decode("latin-1"),
        path_params=path_parameters or {},
        query=tuple(http.query_params.multi_items()),
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
        body=body,
        base_url=str(http.base_url).rstrip("/"),
        request_id=request_id
        or (checked_request_id(given.encode("latin-1", "replace")) if given else "")
        or new_request_id(),
    )
