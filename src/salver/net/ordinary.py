"""The ordinary road: an ASGI application made from the wires' tables of addresses, every one behind the gate."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.routing import compile_path

from salver.errors import Code, RequestError, SalverError
from salver.net.rendering import BODILESS, safe_headers
from salver.net.uploads import ClientGone, Uploads, drop
from salver.operations.base import Answer, Credentials, Request, Route
from salver.operations.gate import Gate, checked_request_id

log = logging.getLogger("salver.net")
MAX_BODY_BYTES = 1024 * 1024
"""What no ordinary address needs more of; it is held in memory, and read before it is known who asks."""
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


class Upload:
    """One body on its way to a file."""

    def __init__(self, uploads: Uploads, receive: Receive) -> None:
        self.is_begun = False
        self._uploads = uploads
        self._receive = receive
        self._path: Path | None = None

    async def receive(self) -> None:
        self.is_begun = True
        self._path = await self._uploads.receive(self._receive)

    def named_in(self, request: Request) -> Request:
        return msgspec.structs.replace(request, upload="" if self._path is None else str(self._path))

    def remove(self) -> None:
        if self._path is not None:
            drop(self._path)


class OrdinaryRoad:
    """Finds the row of an address, lets the gate run its operation, and writes what the wire makes of the result.

    Start-up fails when a row declares no known operation, so there is no address without a permission.
    """

    def __init__(
        self,
        gate: Gate,
        wires: Sequence[OrdinaryWire],
        uploads: Uploads | None = None,
        *,
        new_request_id: Callable[[], str],
    ) -> None:
        """`uploads` is where large bodies go; without it the addresses that take them take what others do."""
        self._gate = gate
        self._uploads = uploads
        self._wires = wires
        self._new_request_id = new_request_id
        self._rows: list[tuple[Any, Route, OrdinaryWire]] = []
        for wire in wires:
            gate.check_routes(wire.routes, wire.name)
            self._rows.extend((compile_path(route.path)[0], route, wire) for route in wire.routes)
        self._upload_rows = [(pattern, route) for pattern, route, _ in self._rows if route.takes_upload]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request_of(scope, self._new_request_id)
        try:
            answer = await self._answer(request, scope["state"], receive)
        except ClientGone:
            return
        body = b"" if answer.status in BODILESS else answer.body
        await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer, len(body))})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, request: Request, state: dict[str, Any], receive: Receive) -> Answer:
        row, wire, parameters = self._match(request)
        try:
            if not state["is_host_allowed"]:
                raise RequestError(
                    Code.PERMISSION_DENIED,
                    "The Host header names none of this server's hosts.",
                    fix="Call the server by its address, or allow the name with --allowed-hosts.",
                )
            if row is None:
                return wire.unmatched(request)
            self._check_origin(row, request)
            request = msgspec.structs.replace(request, path_params=parameters)
            if row.takes_upload and self._uploads is not None:
                return await self._upload(row, wire, request, state["credentials"], receive)
            request = msgspec.structs.replace(request, body=await _body(request, receive))
            return await self._run(row, wire, request, state["credentials"])
        except SalverError as error:
            return wire.error(error, request)
        except ClientGone:
            raise
        except Exception as error:
            log.exception("operation_failed", extra={"request_id": request.request_id, "path": request.path})
            return wire.error(
                RequestError(Code.INTERNAL, "The server failed on this request.", log_detail=repr(error)), request
            )

    async def _run(
        self,
        row: Route,
        wire: OrdinaryWire,
        request: Request,
        credentials: Credentials,
        upload: Upload | None = None,
    ) -> Answer:
        result = await self._gate.run(
            row.operation,
            credentials,
            lambda: row.read(request if upload is None else upload.named_in(request)),
            receive=None if upload is None else upload.receive,
            model=row.model(request),
            wire=wire.name,
            request_id=request.request_id,
        )
        return row.write(result, request)

    async def _upload(
        self, row: Route, wire: OrdinaryWire, request: Request, credentials: Credentials, receive: Receive
    ) -> Answer:
        """The body goes to a file once the caller may send it; the file is gone when the answer is made."""
        assert self._uploads is not None
        upload = Upload(self._uploads, receive)
        try:
            return await self._run(row, wire, request, credentials, upload)
        except SalverError as error:
            length = _content_length(request)
            is_read = upload.is_begun or await self._uploads.discard(receive, length)
            return msgspec.structs.replace(wire.error(error, request), close=not is_read)
        finally:
            upload.remove()

    def takes_upload(self, method: str, path: str) -> bool:
        """Whether a body above the limit of other addresses is welcome at an address."""
        return any(
            method in route.methods and pattern.fullmatch(path) is not None for pattern, route in self._upload_rows
        )

    def _match(self, request: Request) -> tuple[Route | None, OrdinaryWire, dict[str, str]]:
        """The row of an address. HEAD is answered wherever GET is: uvicorn leaves the body out."""
        methods = {request.method, "GET"} if request.method == "HEAD" else {request.method}
        for pattern, route, wire in self._rows:
            if route.methods == ("*",) or not methods.isdisjoint(route.methods):
                match = pattern.fullmatch(request.path)
                if match:
                    return route, wire, match.groupdict()
        return None, self._owner(request.path), {}

    def _owner(self, path: str) -> OrdinaryWire:
        return next((wire for wire in self._wires if wire.owns(path)), self._wires[-1])

    def _check_origin(self, row: Route, request: Request) -> None:
        """A web page of another site must not change anything here, whatever network its visitor sits in."""
        if not self._gate.operation(row.operation).changes_state:
            return
        origin = request.header("origin")
        is_foreign = origin is not None and not _is_same_host(origin, request.header("host") or "")
        if is_foreign or request.header("sec-fetch-site") in ("cross-site", "same-site"):
            raise RequestError(
                Code.PERMISSION_DENIED,
                "A page of another site may not change anything on this server.",
                fix="Call it from a program, or from a page of this server.",
            )


def _is_same_host(origin: str, host: str) -> bool:
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(netloc) and netloc.lower() == host.lower()


async def _body(request: Request, receive: Receive) -> bytes:
    """The request's whole body. Raises RequestError(PAYLOAD_TOO_LARGE), ClientGone."""
    announced = _content_length(request)
    if announced is not None and announced > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message["body"]
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        if not message["more_body"]:
            return bytes(body)


def _content_length(request: Request) -> int | None:
    announced = request.header("content-length")
    if announced is None:
        return None if request.header("transfer-encoding") else 0
    return int(announced)


def _too_large() -> RequestError:
    return RequestError(
        Code.PAYLOAD_TOO_LARGE, f"The body is above the limit of {MAX_BODY_BYTES} bytes for this address."
    )


def _headers(answer: Answer, length: int) -> list[tuple[bytes, bytes]]:
    given = [] if answer.content_type is None else [("content-type", answer.content_type)]
    if answer.status not in BODILESS:
        given.append(("content-length", str(length)))
    if answer.close:
        given.append(("connection", "close"))
    return [
        (name.lower().encode("ascii"), value.encode("latin-1", "replace"))
        for name, value in (*given, *safe_headers(answer.headers))
    ]


def _request_of(scope: Scope, new_request_id: Callable[[], str]) -> Request:
    """The request without its body."""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    given = dict(reversed(scope["headers"]))
    host = given.get(b"host", b"").decode("latin-1")
    return Request(
        method=scope["method"],
        path=scope["path"],
        raw_path=scope["raw_path"].decode("latin-1"),
        query=tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers=headers,
        base_url=f"{scope['scheme']}://{host or 'localhost'}",
        request_id=checked_request_id(given.get(b"x-request-id", b"")) or new_request_id(),
    )
