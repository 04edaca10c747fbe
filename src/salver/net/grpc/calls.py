"""One call at a time: its metadata and message are read, the method's row says what becomes of them.

A message is read by the handler itself, not by the library, so that nothing is read from callers whom the server does
not know, and a message that does not come has an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc.aio

from salver.errors import Code, RequestError, SalverError
from salver.net.base import NetSettings
from salver.net.grpc.base import Service
from salver.net.grpc.exchange import GrpcExchange
from salver.net.grpc.head import Callers, as_headers, as_metadata, request_id_of
from salver.net.head import MAX_DEADLINE_MS
from salver.operations.base import Answer, Credentials, Request
from salver.operations.gate import Gate
from salver.operations.methods import GrpcStatus, OrdinaryMethod, PredictMethod
from salver.operations.unread import UnreadPredictions

if TYPE_CHECKING:
    from salver.net.grpc.head import Metadata

Context = Any
"""grpc.aio.ServicerContext: its stubs have no types for bytes in and bytes out."""
MAX_TEXT_BYTES = 4096
"""Longest error text: clients take a few KiB of metadata, and the text is part of it."""
LEAST_S = 0.000_1
CODES = {code.value[0]: code for code in grpc.StatusCode}


class Arrival:
    """A call whose metadata is read."""

    __slots__ = ("context", "credentials", "metadata", "request_id")

    def __init__(self, context: Context, metadata: Metadata, credentials: Credentials, request_id: str) -> None:
        self.context = context
        self.metadata = metadata
        self.credentials = credentials
        self.request_id = request_id

    @property
    def deadline_s(self) -> float:
        """How long the client still waits; 0.0 when it did not say."""
        remaining = self.context.time_remaining()
        return 0.0 if remaining is None else max(LEAST_S, min(float(remaining), MAX_DEADLINE_MS / 1000))

    @property
    def is_late(self) -> bool:
        """Whether the client's deadline has passed."""
        remaining = self.context.time_remaining()
        return remaining is not None and remaining <= 0.0


class Calls:
    """What all calls of one listener share."""

    def __init__(
        self,
        settings: NetSettings,
        gate: Gate,
        predictions: UnreadPredictions,
        new_request_id: Callable[[], str],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.settings = settings
        self.gate = gate
        self.predictions = predictions
        self.loop = loop
        self._new_request_id = new_request_id
        self._callers = Callers()
        self._operations: set[asyncio.Task[Any]] = set()
        """Those that go on whether or not their client still waits."""
        self.running = 0
        """Calls that will be answered."""

    def arrival(self, context: Context) -> Arrival:
        metadata = context.invocation_metadata() or ()
        credentials = self._callers.credentials(context.peer(), metadata)
        return Arrival(context, metadata, credentials, request_id_of(metadata) or self._new_request_id())

    # One prediction

    async def predict(self, method: PredictMethod, wire: Service, context: Context) -> bytes:
        arrival = self.arrival(context)
        self.running += 1
        try:
            exchange = await self._exchange(method, wire, arrival)
            try:
                return conclude(arrival, await exchange.answer)
            except asyncio.CancelledError:
                if not arrival.is_late:  # else the deadline's own timer ends it, and it is written down as what it is
                    exchange.hang_up()
                raise
        finally:
            self.running -= 1

    async def _exchange(self, method: PredictMethod, wire: Service, arrival: Arrival) -> GrpcExchange:
        try:
            self.predictions.check(arrival.credentials)
            message = await self.message(arrival.context)
        except SalverError as error:
            exchange = self.exchange(method.path, arrival, b"")
            self.predictions.refuse(exchange, wire.name, error, wire.error)
        else:
            exchange = self.exchange(method.path, arrival, message)
            request = request_of(method.path, arrival, message)
            self.predictions.start(exchange, wire.name, lambda: method.open(request), wire.error)
        return exchange

    def exchange(self, path: str, arrival: Arrival, message: bytes) -> GrpcExchange:
        return GrpcExchange(
            path, arrival.metadata, message, arrival.credentials, arrival.request_id, arrival.deadline_s, self.loop
        )

    async def message(self, context: Context) -> bytes:
        """The call's only message. Raises RequestError(INVALID_INPUT | DEADLINE_EXCEEDED)."""
        allowed_s = self.settings.message_timeout_s
        try:
            async with asyncio.timeout(allowed_s):
                message = await context.read()
        except TimeoutError:
            raise RequestError(
                Code.DEADLINE_EXCEEDED,
                f"The call's message took longer than {allowed_s:g} s (--message-timeout-s).",
                fix="Send it faster, or in smaller pieces.",
            ) from None
        if message is grpc.aio.EOF:  # of one that is too large, the library tells the client the size and the limit
            raise RequestError(
                Code.INVALID_INPUT,
                "The call came without a message, or with one above the limit (--max-body-mb).",
                fix="Send one message.",
            )
        assert isinstance(message, bytes)
        return message

    # An operation

    async def operate(self, method: OrdinaryMethod, wire: Service, context: Context) -> bytes:
        arrival = self.arrival(context)
        self.running += 1
        try:
            task = self.loop.create_task(self._operate(method, wire, arrival))
            self._operations.add(task)
            task.add_done_callback(self._operations.discard)
            return conclude(arrival, await asyncio.shield(task))
        finally:
            self.running -= 1

    async def _operate(self, method: OrdinaryMethod, wire: Service, arrival: Arrival) -> Answer:
        opened: Any = None
        fault: SalverError | None = None
        try:
            if self.gate.operation(method.operation).permission is not None:
                self.predictions.check(arrival.credentials)
            opened = method.open(request_of(method.path, arrival, await self.message(arrival.context)))
        except SalverError as error:
            fault = error
        try:
            result = await self.gate.run(
                method.operation,
                arrival.credentials,
                lambda: _read(method, opened, fault),
                model=method.model(opened) if fault is None else "",
                wire=wire.name,
                request_id=arrival.request_id,
            )
            return Answer(GrpcStatus.OK, method.write(result, opened))
        except SalverError as error:
            return wire.error(error) if opened is None or method.error is None else method.error(error, opened)

    async def finish(self) -> None:
        """Returns when no operation runs any more."""
        while self._operations:
            await asyncio.wait(self._operations)


def _read(method: OrdinaryMethod, opened: Any, fault: SalverError | None) -> Any:
    """Makes the parameters; what was wrong with the message is told once the caller may hear it."""
    if fault is not None:
        raise fault
    return method.read(opened)


def request_of(path: str, arrival: Arrival, message: bytes) -> Request:
    return Request(
        method="POST",
        path=path,
        raw_path=path,
        headers=as_headers(arrival.metadata),
        body=message,
        request_id=arrival.request_id,
    )


def conclude(arrival: Arrival, answer: Answer) -> bytes:
    """Leave the answer with the library: its status, its trailing metadata, its message."""
    context = arrival.context
    context.set_trailing_metadata((("x-request-id", arrival.request_id), *as_metadata(answer.headers)))
    if answer.status == GrpcStatus.OK:
        return answer.body
    context.set_code(CODES[answer.status])
    context.set_details(answer.body[:MAX_TEXT_BYTES].decode("utf-8", "ignore"))
    return b""
