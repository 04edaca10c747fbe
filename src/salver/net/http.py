"""The HTTP edge: uvicorn's protocol class with a fast lane for predictions, and the limits that it lacks.

A request whose address a wire knows as a prediction is answered inside the protocol class, without a task, a scope or
an event object; every other request goes to the ASGI application. Limits hold for both, before any route is looked at.
"""

from __future__ import annotations

import asyncio
import logging

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from salver.net.cycle import cycle_of
from salver.net.edge import Edge
from salver.net.exchange import KnownExchange, KnownRequest, LaneExchange
from salver.net.head import TOO_LONG, Fault, HeadFacts, head_bytes, version_fault
from salver.net.large import LargeReader
from salver.net.line import CLOSES, Exchange, Line, hang_up
from salver.net.pace import Pace, Verdict
from salver.net.rendering import render
from salver.net.target import in_origin_form, without_upgrade
from salver.net.turns import Part, turn_of
from salver.operations.base import Credentials
from salver.operations.gate import checked_request_id

log = logging.getLogger("salver.net")
LARGE_BODY_BYTES = 64 * 1024
"""Bodies from this size on are received straight into shared memory."""
MAX_KNOWN_HEAD = 2048
MANY_PARTS = 64
"""A body in more pieces than this is gathered while it arrives: small pieces cost more memory than they hold."""
KEEPS_OPEN = True
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


NOTHING, HEAD, BODY = Part


class LaneProtocol(HttpToolsProtocol):
    """One client connection. Of uvicorn's attributes, `cycle` is the newest ordinary request; `pipeline` is unused."""

    line: Line

    def __init__(self, edge: Edge, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self.edge = edge
        self.credentials = Credentials(None, "", is_loopback=False)
        self.part = NOTHING
        self.body_bytes = 0
        self._length = 0
        self._stray_bytes = 0
        """Bytes since the head began, or since the body last grew: what is not body is bounded, wherever it stands."""
        self._body_seen = 0
        self._receiving: Exchange | None = None
        """The request whose body is arriving."""
        self._parts: list[bytes | bytearray] = []
        self._is_staying = False
        self._read_bytes = 0
        self._facts: HeadFacts | None = None
        self._last_head = b""
        self._pace = Pace()
        self._large_reader: LargeReader | None = None
        self._known_facts: HeadFacts | None = None
        self._known_credentials = self.credentials

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows the transport of asyncio.Protocol
        self.credentials = self.edge.credentials_of(transport)
        self.line = Line(
            self.edge.lane, self.credentials, self.transport, self.flow, self.loop, self._run, self._credentials
        )
        if not self.edge.opened(self):
            self.line.is_deaf = True
            refusal = self.edge.refusal(503, "The server has as many connections as it may.")
            self.transport.write(render(refusal, self.edge.lane.date, CLOSES))
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.edge.closed(self)
        self._large_reader = None
        receiving, self._receiving = self._receiving, None
        hang_up(receiving)
        self.line.hang_up()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read: nothing more is read from it either, so that its answers cannot pile up."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.line.move_on()

    # Bytes in

    def data_received(self, data: bytes) -> None:
        part = self.part
        line = self.line
        if not part and line.recall(data):
            return
        if line.is_deaf:
            return
        begun = line.begun
        self._read_bytes = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(data[upgrade.args[0] :])
            return
        except httptools.HttpParserCallbackError:
            log.exception("request_failed")
            self.refuse(500, "The server failed on this request.")
            return
        except httptools.HttpParserError:
            self.refuse(400, "The request is not valid HTTP/1.1.")
            return
        if self.part:
            self._check_unfinished(data, line.begun - begun, part)
        elif not part and line.begun == begun + 1:
            whole = data.find(b"\r\n\r\n") + 4 + self._length
            self._remember(self.line.running, data, is_whole=len(data) == whole)

    def recall_large(self, data: bytes) -> bool:
        """Take the beginning of a large prediction past the parser, where its head is known; whether it was taken."""
        line = self.line
        reader = self._large_reader
        if reader is None or not line.is_empty or self.part or line.is_deaf:
            return False
        end = data.find(b"\r\n\r\n") + 4
        known = self.edge.lane.known_requests.get(data[:end])
        if known is None or known.length < LARGE_BODY_BYTES or len(data) - end >= known.length:
            return False
        credentials = self.credentials if known.facts.authorization is None else self._credentials(known.facts)
        lane = KnownExchange(line, known, credentials, b"")
        lane.is_started = False
        self.line.begun += 1
        self.part = BODY
        self.body_bytes = 0
        self._receiving = lane
        reader.take_body(lane, known.length, (data[end:],), self.edge.buffer_for(known.length))
        return True

    def _remember(self, lane: Exchange | None, data: bytes, *, is_whole: bool) -> None:
        """Keep the head of a prediction that the parser has just taken, for `_recall`, when it comes a second time.

        `is_whole`: its body came with it, or comes as a large one.
        """
        facts = self._facts
        if not isinstance(lane, LaneExchange) or facts is None or lane.request_id or not lane.keep_alive:
            return
        end = data.find(b"\r\n\r\n") + 4
        head = data[:end]
        if head != self._last_head:
            self._last_head = head if end <= MAX_KNOWN_HEAD else b""
        elif lane.method == b"POST" and not facts.is_chunked and not facts.expects and is_whole:
            is_small = self._length < LARGE_BODY_BYTES  # large bodies lie in the slab, each by itself
            known = KnownRequest(lane.route, lane.target, lane.headers, facts, self._length, is_of_one_head=is_small)
            self.edge.remember(head, known)

    def _stay(self, rest: bytes) -> None:
        """A wish to switch protocols is ignored (RFC 9110 section 7.8): the request is taken as it is.

        The parser would leave its body to the other protocol, so it gets the head again without the wish.
        """
        if self._is_staying:  # one in each read, or a read full of them would nest
            self.refuse(400, "This server does not switch protocols on a connection.")
            return
        self._is_staying = True
        head = without_upgrade(self.parser.get_method(), self.url, self.headers)
        self._take_parser()
        self.part = NOTHING
        self.data_received(head + rest)
        self._is_staying = False

    def _take_parser(self) -> None:
        """A fresh parser, between two requests."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _check_unfinished(self, data: bytes, begun: int, part_before: Part) -> None:
        """After a read, with `begun` new requests in it, that left the last request unfinished."""
        size = len(data)
        if begun:
            is_all_head = begun == 1 and not part_before and self.part is HEAD
            self._stray_bytes = size if is_all_head else 0  # else: how much is head is not known; one read at most
        elif self.part is HEAD or self.body_bytes == self._body_seen:
            self._stray_bytes += size
        else:
            self._stray_bytes = 0
        self._body_seen = self.body_bytes
        if self._stray_bytes > self.edge.max_header_bytes:
            self.refuse(431, TOO_LONG)
        elif self._length >= LARGE_BODY_BYTES and isinstance(self._receiving, LaneExchange):
            if begun == 1 and not part_before:
                self._remember(self._receiving, data, is_whole=True)
            parts, self._parts = self._parts, []
            if self._large_reader is None:
                self._large_reader = LargeReader(self, self.edge.first_bytes)
            self._large_reader.take_body(self._receiving, self._length, parts, self.edge.buffer_for(self._length))

    # What the parser says

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.body_bytes = 0
        self._stray_bytes = 0
        self.line.begun += 1
        self.part = HEAD

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))
        if len(self.headers) > self.edge.max_headers:
            self.refuse(431, TOO_LONG)

    def on_headers_complete(self) -> None:
        if self.line.is_deaf:
            return
        edge = self.edge
        headers = self.headers
        facts, self._length, request_id = edge.read_head(headers)
        self._facts = facts
        if facts.wants_upgrade and self.parser.should_upgrade():
            return  # to `_stay`
        if self.url[:1] != b"/":
            self.url, facts = in_origin_form(self.url, facts, edge.is_host_allowed)
        keep_alive = self.parser.should_keep_alive()
        fault = facts.fault or self._oversize()
        if not keep_alive or facts.is_version_telling:
            version = self.parser.get_http_version()
            keep_alive = keep_alive and version == "1.1"
            fault = fault or version_fault(version, facts)
        method = self.parser.get_method()
        if method == b"CONNECT":  # the parser would leave everything after it to another protocol
            fault = fault or (400, "The method CONNECT is for proxies, and this server is none.")
        if fault is not None:
            self.refuse(*fault)
            return
        if facts.is_chunked:
            self.headers = []  # trailers come through the same callback, and are no headers
        known = edge.lane_route(method, self.url)
        if known is None:
            self._ordinary(headers, facts, keep_alive)
        elif not facts.is_host_allowed:
            self.refuse(421, "The Host header names none of this server's hosts (--allowed-hosts).")
        else:
            credentials = self._credentials(facts)
            id = checked_request_id(request_id) if request_id else ""
            memory = known if facts.is_plain else None
            self._receiving = lane = LaneExchange(
                self.line, known.route, method, self.url, headers, credentials, facts, id, keep_alive, memory
            )
            if not keep_alive:
                lane.takes_chunks = self.parser.get_http_version() == "1.1"
            self._parts = []
            self.part = BODY
            if facts.expects:
                self.transport.write(CONTINUE)

    def _oversize(self) -> Fault | None:
        edge = self.edge
        if self._length > edge.max_body_bytes:
            return 413, edge.body_too_large
        most = self._stray_bytes + self._read_bytes
        if most > edge.max_header_bytes and head_bytes(self.headers) + len(self.url) > edge.max_header_bytes:
            return 431, TOO_LONG
        return None

    def _credentials(self, facts: HeadFacts) -> Credentials:
        if facts.authorization is None:
            return self.credentials
        if facts is not self._known_facts:
            self._known_credentials = self.edge.with_token(self.credentials, facts.authorization)
            self._known_facts = facts
        return self._known_credentials

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        if self.line.is_deaf:
            return
        if self.body_bytes > self.edge.max_body_bytes:
            self.refuse(413, self.edge.body_too_large)
        elif isinstance(self._receiving, LaneExchange):
            self._parts.append(body)
            if len(self._parts) > MANY_PARTS:
                self._parts = [gathered(self._parts)]
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        receiving = self._receiving
        if receiving is None:  # refused, or to be taken again without its wish to upgrade
            return
        if isinstance(receiving, LaneExchange):
            parts = self._parts
            receiving.body = parts[0] if len(parts) == 1 else b"".join(parts)
            self.received(receiving)
            return
        self.part = NOTHING
        self._receiving = None
        self.line.is_deaf = not self.cycle.keep_alive
        super().on_message_complete()

    def received(self, lane: LaneExchange) -> None:
        """The whole prediction is there."""
        self.part = NOTHING
        self._receiving = None
        line = self.line
        if line.is_full:
            lane.hang_up()
            self._refuse_more()
            return
        line.is_deaf = not lane.keep_alive
        line.take(lane)

    def large_body_received(self, lane: LaneExchange) -> None:
        """The whole of a large body is there."""
        if not isinstance(lane, KnownExchange):
            self._take_parser()
        self.received(lane)

    # The ordinary road

    def _ordinary(self, headers: list[tuple[bytes, bytes]], facts: HeadFacts, keep_alive: bool) -> None:
        """Hand the request to the ASGI application, as uvicorn does."""
        if self.line.is_full:
            self._refuse_more()
            return
        self.part = BODY
        self.cycle = self._receiving = cycle_of(self, headers, facts, self._credentials(facts), keep_alive)
        self.line.take(self.cycle)

    def _run(self, cycle: RequestResponseCycle) -> None:
        self._start_asgi_task(cycle, self.app)

    def on_response_complete(self) -> None:
        self.line.cycle_answered()

    # Refusals and time

    def _refuse_more(self) -> None:
        self.refuse(429, "Too many requests were sent ahead on one connection.")

    def refuse(self, status: int, message: str) -> None:
        """Answer in the edge's own words, after what came before, and close: the request never reached a wire."""
        if self.line.is_deaf:
            return
        receiving, self._receiving = self._receiving, None
        if isinstance(receiving, RequestResponseCycle) and not self.line.withdraw(receiving):
            self.line.is_deaf = True
            self.transport.close()
            return
        if isinstance(receiving, LaneExchange):
            receiving.hang_up()
            if self._large_reader is not None:
                self._large_reader.forget_body()
            self.transport.set_protocol(self)  # in the place of the reader of a large body
        self.line.end(self.edge.refusal(status, message))

    def check_pace(self, now: float) -> None:
        """End the connection when its client takes longer than it may."""
        turn, progress = turn_of(self)
        settings = self.edge.settings
        verdict = self._pace.judge(settings, now, turn, self.line.begun, progress)
        if verdict is Verdict.IDLE:
            self.transport.close()
        elif verdict is Verdict.CUT:
            self.transport.abort()
        elif verdict is Verdict.SLOW_HEAD:
            self.refuse(408, f"The headers took longer than {settings.header_timeout_s:g} s (--header-timeout-s).")
        elif verdict is Verdict.SLOW_BODY:
            self.refuse(408, f"The body came slower than {settings.min_body_rate} bytes/s (--min-body-rate).")

    @property
    def is_reading_head(self) -> bool:
        """Whether what was read last ends inside of a head."""
        return self.part is HEAD

    @property
    def is_busy(self) -> bool:
        """Whether a request is on its way in or out."""
        return not self.line.is_empty or (bool(self.part) and not self.line.is_deaf)

    def shutdown(self) -> None:
        """Close as soon as nothing is in flight on this connection."""
        if self.is_busy:
            self.line.shutdown()
        else:
            self.transport.close()


def gathered(parts: list[bytes | bytearray]) -> bytearray:
    """The parts as one: the first of them, grown, where it has been gathered before."""
    first = parts[0]
    whole = first if type(first) is bytearray else bytearray(first)
    whole += b"".join(parts[1:])
    return whole
