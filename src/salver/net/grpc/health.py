"""The standard health service, `grpc.health.v1.Health`: the same truth as the readiness addresses over HTTP.

Its two messages have one field each, so they are read and written here by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from salver.errors import Code, RequestError, SalverError
from salver.net.grpc.calls import Calls, Context, conclude
from salver.operations import server
from salver.operations.base import Answer, Request
from salver.operations.methods import GrpcStatus, OrdinaryMethod, status_answer

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
SERVICE = 0x0A
"""The tag of HealthCheckRequest.service: field 1, length-delimited."""
SERVING, NOT_SERVING, SERVICE_UNKNOWN = (bytes((0x08, status)) for status in (1, 2, 3))
"""HealthCheckResponse.status: field 1, a varint."""
LOOK_S = 0.25
"""How often the truth is looked at for those who watch."""
MAX_WATCHERS = 256


class Health:
    """A wire of its own on every gRPC port. The server and each service of the port have one state."""

    name = "grpc-health"

    def __init__(self, calls: Calls, services: Collection[str], is_ready: Callable[[], bool]) -> None:
        self._calls = calls
        self._services = frozenset(("", "grpc.health.v1.Health", *services))
        self._is_ready = is_ready
        self._ended = asyncio.Event()
        self._watchers = 0
        self.check = OrdinaryMethod(path=CHECK, operation=server.READY.name, open=self._open, read=_read, write=_write)

    @property
    def methods(self) -> tuple[OrdinaryMethod, ...]:
        return (self.check,)

    def error(self, error: SalverError) -> Answer:
        if error.code is Code.ROUTE_NOT_FOUND:
            return status_answer(error, GrpcStatus.NOT_FOUND)  # as the protocol says of an unknown service
        return status_answer(error)

    def _open(self, request: Request) -> str:
        service = service_of(request.body)
        if service not in self._services:
            known = ", ".join(sorted(self._services - {""}))
            raise RequestError(
                Code.ROUTE_NOT_FOUND, f"This port has no service {service[:200]!r}.", fix=f"It has {known}."
            )
        return service

    async def watch(self, context: Context) -> None:
        """Tell the state now and whenever it changes, until the client goes or the server stops."""
        arrival = self._calls.arrival(context)
        if self._watchers >= MAX_WATCHERS:
            full = RequestError(Code.OVERLOADED, f"{MAX_WATCHERS} callers watch the state of this port already.")
            conclude(arrival, self.error(full))
            return
        self._watchers += 1
        try:
            is_known = service_of(await self._calls.message(context)) in self._services
            told = b""
            while not self._ended.is_set():
                state = self._state() if is_known else SERVICE_UNKNOWN
                if state != told:
                    await context.write(state)
                    told = state
                await self._pause()
            conclude(arrival, self.error(RequestError(Code.SHUTTING_DOWN, "The server is stopping.")))
        except SalverError as error:
            conclude(arrival, self.error(error))
        finally:
            self._watchers -= 1

    def _state(self) -> bytes:
        return SERVING if self._is_ready() else NOT_SERVING

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._ended.wait()
        except TimeoutError:
            return

    def end(self) -> None:
        """Nobody is told anything any more."""
        self._ended.set()


def service_of(message: bytes) -> str:
    """The name in a HealthCheckRequest. Raises RequestError(INVALID_INPUT)."""
    if not message:
        return ""
    size, start = 0, 1
    for shift in (0, 7):
        if start >= len(message) or message[0] != SERVICE:
            raise _no_request()
        size |= (message[start] & 0x7F) << shift
        start += 1
        if message[start - 1] < 0x80:
            break
    if len(message) != start + size:
        raise _no_request()
    try:
        return message[start:].decode()
    except UnicodeDecodeError:
        raise _no_request() from None


def _no_request() -> RequestError:
    return RequestError(
        Code.INVALID_INPUT, "The message is no HealthCheckRequest.", fix="Send a message of grpc.health.v1."
    )


def _read(_: str) -> server.GetHealth:
    return server.GetHealth()


def _write(report: server.HealthReport, _: str) -> bytes:
    return SERVING if report.is_ready else NOT_SERVING
