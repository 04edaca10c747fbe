"""The HTTP edge: uvicorn's protocol class with a fast lane for predictions, and the limits that it lacks.

A request whose address a wire knows as a prediction is answered inside the protocol class, without a task, a scope or
an event object; every other request goes to the ASGI application. Limits hold for both, before any route is looked at.
"""

from __future__ import annotations

import asyncio
import enum
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from salver.net.edge import Edge, KnownRequest
from salver.net.exchange import LaneExchange, render_head
from salver.net.head import HeadFacts
from salver.net.large import LargeBody
from salver.operations.base import Answer, Credentials

LARGE_BODY_BYTES = 64 * 1024
"""Bodies from this size on are received straight into shared memory."""
MAX_PIPELINED = 64
TOO_LONG = "The request line and headers are too long, or there are too many headers."


class Phase(enum.IntEnum):
    """What a connection is waiting for; each phase has its own time limit, held by the edge's sweep."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    ANSWER = 3


IDLE, ANSWER = Phase.IDLE, Phase.ANSWER
KEEPS_OPEN = CLOSES = True
MAX_KNOWN_HEAD = 2048


class LaneProtocol(HttpToolsProtocol):
    """One client connection."""

    def __init__(self, edge: Edge, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self.edge = edge
        self.credentials = Credentials(None, "", is_loopback=False)
        self.phase = Phase.IDLE
        self.phase_since = 0.0
        self.body_bytes = 0
        self._head_bytes = 0
        self._length = 0
        self._lane: LaneExchange | None = None
        """The prediction whose body is arriving."""
        self._parts: list[bytes] = []
        self._completed = 0
        """Requests completed by the bytes in hand."""
        self._is_refused = False
        self._never_asked = True

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows the transport of asyncio.Protocol
        self.credentials = self.edge.credentials_of(transport)
        self._enter(Phase.IDLE)
        if not self.edge.opened(self):
            self.refuse(503, "The server has as many connections as it may.")

    def connection_lost(self, exc: Exception | None) -> None:
        self.edge.closed(self)
        if self._lane is not None:
            self._lane.hang_up()
            self._lane = None
        cycles: list[Any] = [self.cycle, *(cycle for cycle, _ in self.pipeline)]
        for cycle in cycles:
            if type(cycle) is LaneExchange:
                cycle.hang_up()
        self.pipeline.clear()
        super().connection_lost(exc)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.phase_since = self.edge.now

    # Bytes in

    def data_received(self, data: bytes) -> None:
        if self.phase is IDLE and self._recall(data):
            return
        if self._is_refused:
            return
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        starts_here = self.phase is IDLE
        self._completed = 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.refuse(400, "This server does not switch protocols on a connection.")
            return
        except httptools.HttpParserError:
            if not self._is_refused:
                self.refuse(400, "The request is not valid HTTP/1.1.")
            return
        if self._completed == 1 and starts_here:
            self._remember(data)
        elif self.phase is Phase.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > self.edge.max_header_bytes:
                self.refuse(431, TOO_LONG)
        elif self._lane is not None and self._length >= LARGE_BODY_BYTES:
            self._receive_large(self._lane, self._length)

    def _recall(self, data: bytes) -> bool:
        """Take a whole prediction whose head is known byte for byte, past the parser; False when it is not one.

        Only between two messages, so that the parser is where it would be before this one.
        """
        end = data.find(b"\r\n\r\n") + 4
        known = self.edge.known_requests.get(data[:end])
        if known is None or len(data) != end + known.length or self.is_busy or self._is_refused:
            return False
        facts = known.facts
        credentials = self.credentials
        if facts.authorization is not None:
            credentials = self.edge.with_token(credentials, facts.authorization)
        lane = LaneExchange(self, known.route, b"POST", known.target, known.headers, credentials, facts, KEEPS_OPEN)
        lane.body = data[end:]
        lane.is_complete = True
        self.cycle = lane  # type: ignore[assignment]  # a lane exchange stands for uvicorn's cycle
        self.phase = ANSWER
        self.phase_since = self.edge.now
        self.edge.predictions.start(lane, known.route)
        return True

    def _remember(self, data: bytes) -> None:
        """Keep the head of a prediction that the parser has just taken whole, for `_recall`."""
        lane: Any = self.cycle
        if type(lane) is not LaneExchange or not lane.keep_alive or lane.method != b"POST":
            return
        facts = self.edge.facts(tuple(lane.headers))
        end = data.find(b"\r\n\r\n") + 4
        if facts.length is None or facts.is_chunked or facts.expects or len(data) != end + facts.length:
            return
        if end <= MAX_KNOWN_HEAD and not facts.request_id:
            request = KnownRequest(lane.route, lane.target, lane.headers, facts, facts.length)
            self.edge.remember(data[:end], request)

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.body_bytes = 0
        self._head_bytes = 0
        self._never_asked = False
        self.phase = Phase.HEAD
        self.phase_since = self.edge.now

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))
        if len(self.headers) > self.edge.max_headers:
            self.refuse(431, TOO_LONG)

    def on_headers_complete(self) -> None:
        edge = self.edge
        headers = self.headers
        if self._is_refused:
            return
        facts = edge.facts(tuple(headers))
        length = self._length = facts.length or 0
        if length > edge.max_body_bytes:
            self.refuse(413, f"The body is above the limit of {edge.max_body_bytes} bytes (--max-body-mb).")
            return
        if facts.size + len(self.url) > edge.max_header_bytes:
            self.refuse(431, TOO_LONG)
            return
        self.phase = Phase.BODY
        method = self.parser.get_method()
        route = edge.lane_route(method, self.url)
        if route is None:
            self._ordinary(facts)
            return
        if not facts.is_host_allowed:
            self.refuse(421, "The Host header names none of this server's hosts (--allowed-hosts).")
            return
        credentials = self.credentials
        if facts.authorization is not None:
            credentials = edge.with_token(credentials, facts.authorization)
        keep_alive = self.parser.should_keep_alive()
        self._lane = LaneExchange(self, route, method, self.url, headers, credentials, facts, keep_alive)
        self._parts = []
        if facts.expects:
            self._expected(facts.expects)

    def _expected(self, wish: bytes) -> None:
        """The client waits for a word before it sends its body; its length has been looked at."""
        if wish == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            self.refuse(417, "Only `Expect: 100-continue` can be met.")

    def _ordinary(self, facts: HeadFacts) -> None:
        """Hand the request to the ASGI application, as uvicorn does."""
        self.expect_100_continue = facts.expects == b"100-continue"
        self.headers = [(name.lower(), value) for name, value in self.headers]
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "root_path": self.root_path,
            "headers": self.headers,
            "state": {
                "credentials": self.edge.with_token(self.credentials, facts.authorization),
                "is_host_allowed": facts.is_host_allowed,
            },
        }  # type: ignore[typeddict-item]  # uvicorn fills method and path next
        if len(self.pipeline) >= MAX_PIPELINED:
            self.refuse(429, "Too many requests were sent ahead on one connection.")
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        if self.body_bytes > self.edge.max_body_bytes:
            self.refuse(413, f"The body is above the limit of {self.edge.max_body_bytes} bytes (--max-body-mb).")
        elif self._lane is not None:
            self._parts.append(body)
        elif not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_refused:
            return
        self.phase = ANSWER
        self._completed += 1
        lane = self._lane
        if lane is None:
            super().on_message_complete()
            return
        parts = self._parts
        lane.body = parts[0] if len(parts) == 1 else b"".join(parts)
        self.received(lane)

    def _receive_large(self, lane: LaneExchange, length: int) -> None:
        """Let the rest of a large body flow straight into shared memory, past the parser."""
        if not self.edge.can_switch_protocol or self.pipeline or self.body_bytes >= length:
            return
        self._lane = None
        LargeBody(self, lane, length, self._parts, self.edge.buffer_for(length))
        self._parts = []

    def large_body_received(self, lane: LaneExchange, body: Any) -> None:
        """The whole body is there: the connection is HTTP again, with a fresh parser."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.transport.set_protocol(self)
        lane.body = body
        self.phase = Phase.ANSWER
        self.received(lane)

    # Predictions

    def received(self, lane: LaneExchange) -> None:
        """The whole request is there; it starts unless another one is before it on this connection."""
        self._lane = None
        lane.is_complete = True
        before = self.cycle
        if before is None or before.response_complete:
            self.cycle = lane  # type: ignore[assignment]  # a lane exchange stands for uvicorn's cycle
            lane.start()
        elif len(self.pipeline) >= MAX_PIPELINED:
            lane.release_body()
            self.refuse(429, "Too many requests were sent ahead on one connection.")
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((lane, self.app))  # type: ignore[arg-type]  # see above

    def resumed(self, lane: LaneExchange) -> None:
        if not lane.disconnected:
            self.cycle = lane  # type: ignore[assignment]  # see `received`
            lane.start()

    def answered(self, lane: LaneExchange, answer: Answer) -> None:
        transport = self.transport
        if transport.is_closing():
            return
        edge = self.edge
        close = answer.close or not lane.keep_alive or edge.is_draining
        head = render_head(answer, edge.date, close)
        transport.write(head if lane.method == b"HEAD" else head + answer.body)
        self.phase = IDLE
        self.phase_since = edge.now
        if close:
            transport.close()
        elif self.pipeline:
            self.flow.resume_reading()
            self._next_in_line()

    def _next_in_line(self) -> None:
        waiting: tuple[Any, Any] = self.pipeline.pop()
        cycle, app = waiting
        if type(cycle) is LaneExchange:
            self.loop.call_soon(self.resumed, cycle)
        else:
            self._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self.phase = Phase.IDLE
        self.phase_since = self.edge.now
        super().on_response_complete()

    # Refusals

    def refuse(self, status: int, message: str) -> None:
        """Answer in the edge's own words and close: the request never reached a wire."""
        if self._is_refused:
            return
        self._is_refused = True
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.hang_up()
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            answer = self.edge.refusal(status, message)
            transport.write(render_head(answer, self.edge.date, CLOSES) + answer.body)
        transport.close()

    def check_pace(self, now: float) -> None:
        """End the connection when its client takes longer than it may."""
        settings = self.edge.settings
        waited = now - self.phase_since
        in_flight = self.cycle is not None and not self.cycle.response_complete
        if in_flight or self._is_refused:
            if waited > settings.write_timeout_s and self.flow.write_paused:
                self.transport.abort()
        elif self.phase is Phase.IDLE:
            if waited > settings.keep_alive_s or (self._never_asked and waited > settings.header_timeout_s):
                self.transport.close()
        elif self.phase is Phase.HEAD:
            if waited > settings.header_timeout_s:
                self.refuse(408, f"The headers took longer than {settings.header_timeout_s:g} s (--header-timeout-s).")
        elif waited > settings.body_timeout_s and self.body_bytes < settings.min_body_rate * waited:
            self.refuse(408, f"The body came slower than {settings.min_body_rate} bytes/s (--min-body-rate).")

    def timeout_keep_alive_handler(self) -> None:
        """Idle connections are closed by the edge's sweep."""

    @property
    def is_busy(self) -> bool:
        """Whether a request is on its way in or out."""
        return self.phase is not Phase.IDLE or (self.cycle is not None and not self.cycle.response_complete)

    def shutdown(self) -> None:
        """Close as soon as nothing is in flight on this connection."""
        if not self.is_busy:
            self.transport.close()
        elif self.cycle is not None:
            self.cycle.keep_alive = False
