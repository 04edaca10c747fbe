"""The requests of one connection, in the order they came: one is answered, the others wait behind it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from salver.errors import Code, RequestError
from salver.net.exchange import KnownExchange, LaneExchange, LaneState
from salver.net.rendering import BODILESS, render, render_beginning
from salver.operations.base import Answer, Credentials
from salver.operations.burst import MAX_UNREAD_BYTES

if TYPE_CHECKING:
    from salver.net.head import HeadFacts

MAX_WAITING = 64
CLOSES = True
LAST_CHUNK = b"0\r\n\r\n"

Exchange: TypeAlias = LaneExchange | RequestResponseCycle
"""A request on the fast lane, or one on the ordinary road as uvicorn keeps it."""


class Line:
    """Starts requests, writes the answers of predictions, and says the last word to a client that is refused."""

    def __init__(
        self,
        state: LaneState,
        credentials: Credentials,
        transport: asyncio.Transport,
        flow: FlowControl,
        loop: asyncio.AbstractEventLoop,
        run: Callable[[RequestResponseCycle], None],
        credentials_of: Callable[[HeadFacts], Credentials],
    ) -> None:
        """`run` hands an ordinary request to its application; `credentials` are the connection's own."""
        self.state = state
        self._credentials = credentials
        self._credentials_of = credentials_of
        self._transport = transport
        self._flow = flow
        self._loop = loop
        self._run = run
        self.running: Exchange | None = None
        """The request that is being answered."""
        self.waiting: deque[Exchange] = deque()
        """Those behind it, the newest on the left."""
        self.is_deaf = False
        """Whether what still comes from this client is thrown away."""
        self.is_leaving = False
        """Whether the last word has been said."""
        self._farewell: Answer | None = None
        self.begun = 0
        """Requests begun on this connection."""

    @property
    def is_empty(self) -> bool:
        return self.running is None and not self.waiting

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= MAX_WAITING

    def recall(self, data: bytes) -> bool:
        """Take a whole prediction whose head is known byte for byte, past the parser; whether it was taken.

        Only between two requests, so that the parser is where it would be before this one.
        """
        if self.running is not None or self.is_deaf or self.waiting:
            return False
        end = data.find(b"\r\n\r\n") + 4
        state = self.state
        known = state.known_requests.get(data[:end])
        if known is None or len(data) != end + known.length:
            return False
        credentials = self._credentials_of(known.facts) if known.has_key else self._credentials
        self.running = lane = KnownExchange(self, known, credentials, data[end:])
        self.begun += 1
        state.predictions.start(lane, known.route)
        return True

    def take(self, exchange: Exchange) -> None:
        """Start the request, or let it wait until those before it are answered."""
        if self.running is None and not self.waiting:
            self.running = exchange
            self._start(exchange)
        else:
            self._flow.pause_reading()
            self.waiting.appendleft(exchange)

    def _start(self, exchange: Exchange) -> None:
        if isinstance(exchange, LaneExchange):
            exchange.start()
            return
        assert isinstance(exchange, RequestResponseCycle)
        if self.state.is_draining and not self.waiting:
            exchange.keep_alive = False
        self._run(exchange)

    def answered(self, lane: LaneExchange, answer: Answer) -> None:
        """Write the answer of the prediction that is running."""
        transport = self._transport
        self.running = None
        if transport.is_closing():
            return
        state = self.state
        close = answer.close or not lane.keep_alive or (state.is_draining and not self.waiting)
        transport.write(render(answer, state.date, close, lane.method == b"HEAD"))
        if close:
            transport.close()
        elif self.waiting or self.is_deaf:
            self.move_on()

    def answered_with(self, data: bytes) -> None:
        """Write the finished answer of the prediction that is running, on a connection that stays open."""
        transport = self._transport
        self.running = None
        if transport.is_closing():
            return
        transport.write(data)
        if self.waiting or self.is_deaf:
            self.move_on()

    def write_part(self, lane: LaneExchange, answer: Answer) -> bool:
        """Write a part of the answer of the prediction that is running, the first one behind its head.

        Whether the client keeps up. Raises RequestError(OUTPUT_INVALID) for a head that no body can follow.
        """
        transport = self._transport
        if transport.is_closing():
            return True
        data = answer.body
        if lane.takes_chunks:
            data = chunk(data)
        if not lane.has_begun:
            if answer.status in BODILESS:
                raise RequestError(Code.OUTPUT_INVALID, f"An answer of the status {answer.status} has no body to send.")
            lane.has_begun = True
            close = answer.close or not lane.keep_alive or (self.state.is_draining and not self.waiting)
            lane.ends_connection = close
            framing = b"transfer-encoding: chunked\r\n\r\n" if lane.takes_chunks else b"\r\n"
            data = b"%b%b%b" % (render_beginning(answer, self.state.date, close), framing, data)
        transport.write(data)
        return transport.get_write_buffer_size() <= MAX_UNREAD_BYTES

    def end_parts(self, lane: LaneExchange, last: Answer | None) -> None:
        """End the answer that is running; None breaks it off: the connection closes without the end of the body."""
        transport = self._transport
        self.running = None
        if transport.is_closing():
            return
        if last is not None:
            transport.write(chunk(last.body) + LAST_CHUNK if lane.takes_chunks else last.body)
        if last is None or lane.ends_connection:
            transport.close()
        else:
            self.move_on()

    def cycle_answered(self) -> None:
        """The ordinary request that is running has been answered."""
        self.running = None
        if not self._transport.is_closing():
            self.move_on()

    def move_on(self) -> None:
        """After an answer: the next request, or the last word. A client that does not read has to wait for either.

        One that reads on in the middle of an answer is read from again, so that its going is noticed.
        """
        if self._flow.write_paused:
            return
        if self.running is not None:
            if isinstance(self.running, LaneExchange) and not self.waiting:
                self._flow.resume_reading()
            return
        if self.waiting:
            exchange = self.running = self.waiting.pop()
            self._loop.call_soon(self._resume, exchange)  # not at once: requests that are refused would nest
        elif self._farewell is not None:
            self._leave(self._farewell)
        if not self.waiting:
            self._flow.resume_reading()

    def _resume(self, exchange: Exchange) -> None:
        if not exchange.disconnected:
            self._start(exchange)

    def end(self, farewell: Answer) -> None:
        """Take nothing more from the client; say the last word once everything before it is answered."""
        self.is_deaf = True
        self._farewell = farewell
        if self.is_empty:
            self._leave(farewell)

    def _leave(self, farewell: Answer) -> None:
        """Closing at once could throw the last word away unread, so the client gets a moment to close."""
        self._farewell = None
        self.is_leaving = True
        self._transport.write(render(farewell, self.state.date, CLOSES))
        self._transport.write_eof()

    def withdraw(self, cycle: RequestResponseCycle) -> bool:
        """Take back an ordinary request whose body is still arriving; False when its answer has begun."""
        if cycle.response_started:
            return False
        hang_up(cycle)
        if cycle is self.running:
            self.running = None
        else:
            self.waiting.remove(cycle)
        return True

    def hang_up(self) -> None:
        """The client is gone."""
        gone = (self.running, *self.waiting)
        self.running = None
        self.waiting.clear()
        self.is_deaf = True
        for exchange in gone:
            hang_up(exchange)

    def shutdown(self) -> None:
        """The request that is running, when it is the last one, ends the connection."""
        if not self.waiting and isinstance(self.running, RequestResponseCycle):
            self.running.keep_alive = False


def chunk(data: bytes) -> bytes:
    """A piece of a chunked body; nothing for no bytes, since an empty chunk is the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def hang_up(exchange: Exchange | None) -> None:
    """Nobody waits for the answer any more."""
    if isinstance(exchange, LaneExchange):
        exchange.hang_up()
    elif isinstance(exchange, RequestResponseCycle):
        exchange.disconnected = True
        exchange.message_event.set()
