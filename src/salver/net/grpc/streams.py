"""Calls of several messages: each of the client's is a prediction, and the answers leave in the order they came."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

import grpc.aio

from salver.errors import Code, RequestError, SalverError
from salver.net.grpc.calls import conclude, request_of
from salver.net.grpc.exchange import StreamExchange
from salver.operations.base import Answer
from salver.operations.methods import GrpcStatus, StreamMethod

if TYPE_CHECKING:
    from salver.net.grpc.base import Service
    from salver.net.grpc.calls import Arrival, Calls, Context

log = logging.getLogger("salver.net")
MAX_AHEAD = 64
"""Predictions that one stream may have in the works; the next message is read when the oldest of them is answered."""
OVER = Answer(GrpcStatus.OK, b"")


class Streams:
    """The streams of one listener."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._open: set[Stream] = set()

    async def converse(self, method: StreamMethod, wire: Service, context: Context) -> None:
        stream = Stream(self._calls, method, wire, self._calls.arrival(context))
        self._open.add(stream)
        try:
            conclude(stream.arrival, await stream.run())
        finally:
            self._open.discard(stream)

    def end(self) -> None:
        """Read nothing more; what has been read is answered."""
        for stream in self._open:
            stream.end()


class Stream:
    """One call. `run` it once."""

    def __init__(self, calls: Calls, method: StreamMethod, wire: Service, arrival: Arrival) -> None:
        self.arrival = arrival
        self._calls = calls
        self._method = method
        self._wire = wire
        self._max_bytes = int(calls.settings.max_body_mb * 1024 * 1024)
        self._begun: deque[StreamExchange] = deque()
        """Predictions in the works, the oldest on the left."""
        self._bytes = 0
        """Of their messages."""
        self._moved = asyncio.Event()
        """Set whenever one is begun or answered, and when no more will be read."""
        self._reader: asyncio.Task[None] | None = None
        self._is_ended = False

    async def run(self) -> Answer:
        """Read and answer until either side is done; how the call ends."""
        self._reader = self._calls.loop.create_task(self._read())
        self._reader.add_done_callback(lambda _: self._moved.set())
        try:
            while await self._has_next():
                answer = await self._write(self._begun[0])
                exchange = self._begun.popleft()
                self._bytes -= len(exchange.body)
                self._moved.set()
                if answer.status != GrpcStatus.OK:
                    return answer
            return self._wire.error(_stopping()) if self._is_ended else OVER
        finally:
            self._reader.cancel()
            for exchange in self._begun:
                exchange.hang_up()

    async def _has_next(self) -> bool:
        """Whether there is another prediction; waits until that is known."""
        assert self._reader is not None
        while not self._begun and not self._reader.done():
            self._moved.clear()
            await self._moved.wait()
        return bool(self._begun)

    async def _write(self, exchange: StreamExchange) -> Answer:
        """Send all that a prediction answers; the answer that it ended with."""
        self._calls.running += 1
        try:
            while isinstance(part := await exchange.parts.get(), bytes):
                await self.arrival.context.write(part)
                exchange.unread_bytes -= len(part)
            if part.status == GrpcStatus.OK and part.body:
                await self.arrival.context.write(part.body)
            return part
        finally:
            self._calls.running -= 1

    def end(self) -> None:
        """Read nothing more."""
        if self._reader is not None and not self._reader.done():
            self._is_ended = True
            self._reader.cancel()

    async def _read(self) -> None:
        try:
            self._calls.predictions.check(self.arrival.credentials)
            if not self._method.takes_many:
                self._begin(await self._calls.message(self.arrival.context))
                return
            while True:
                while len(self._begun) >= MAX_AHEAD or self._bytes >= self._max_bytes:
                    self._moved.clear()
                    await self._moved.wait()
                message = await self.arrival.context.read()
                if message is grpc.aio.EOF:
                    return
                self._begin(message)
        except SalverError as error:
            self._refuse(error)
        except Exception as error:
            log.exception("stream_failed")
            self._refuse(RequestError(Code.INTERNAL, "The server failed on this stream.", log_detail=repr(error)))

    def _begin(self, message: bytes) -> None:
        exchange = self._exchange(message)
        request = request_of(self._method.path, self.arrival, message)
        self._calls.predictions.start(exchange, self._wire.name, lambda: self._method.open(request), self._wire.error)

    def _refuse(self, error: SalverError) -> None:
        self._calls.predictions.refuse(self._exchange(b""), self._wire.name, error, self._wire.error)

    def _exchange(self, message: bytes) -> StreamExchange:
        arrival = self.arrival
        exchange = StreamExchange(
            self._method.path,
            arrival.metadata,
            message,
            arrival.credentials,
            arrival.request_id,
            arrival.deadline_s,
            self._calls.loop,
        )
        self._begun.append(exchange)
        self._bytes += len(message)
        self._moved.set()
        return exchange


def _stopping() -> RequestError:
    return RequestError(Code.SHUTTING_DOWN, "The server is stopping.")
