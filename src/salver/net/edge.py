"""What all connections of one listener share: limits, routes of the fast lane, the sweep that ends slow ones."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import struct
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import TYPE_CHECKING, Protocol

import msgspec

from salver.errors import Code, RequestError, SalverError
from salver.net.base import NetSettings
from salver.net.exchange import KnownRequest, KnownRoute, LaneState
from salver.net.head import KnownHeads
from salver.net.large import FIRST_BYTES
from salver.operations.base import Answer, Credentials, PredictRoute, Request
from salver.operations.inference import Predictions
from salver.types import SlabSlice

if TYPE_CHECKING:
    from salver.net.http import LaneProtocol

log = logging.getLogger("salver.net")
SWEEP_S = 0.5
MAX_ROUTES = 2048
MAX_ROUTE_BYTES = 512
"""Longer targets are worked out each time: strangers may send any number of them."""
MAX_KNOWN_REQUESTS = 2048
MAX_PEERS = 4096
PEER_CREDENTIALS = struct.Struct("3i")


class LaneSource(Protocol):
    """Who knows which addresses are predictions: a wire."""

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None: ...

    def error(self, error: SalverError, request: Request) -> Answer: ...


class Memory(Protocol):
    """Where large bodies go."""

    def take(self, size_bytes: int) -> SlabSlice | None: ...


class Edge:
    """One listener's rules. All its connections live on one loop."""

    def __init__(
        self,
        settings: NetSettings,
        predictions: Predictions,
        wires: Sequence[LaneSource],
        loop: asyncio.AbstractEventLoop,
        memory: Memory | None,
        *,
        hosts: frozenset[str],
    ) -> None:
        self.settings = settings
        self.predictions = predictions
        self.lane = LaneState(predictions)
        self.max_header_bytes = settings.max_header_kb * 1024
        self.max_headers = settings.max_headers
        self.max_body_bytes = int(settings.max_body_mb * 1024 * 1024)
        self.body_too_large = f"The body is above the limit of {self.max_body_bytes} bytes (--max-body-mb)."
        self.date_header = (b"date", b"")
        self.connections: set[LaneProtocol] = set()
        self.refused_connections = 0
        self._wires = wires
        self._clock: Callable[[], float] = loop.time
        self._loop = loop
        self._memory = memory
        self._hosts = hosts
        self._heads = KnownHeads(self.is_host_allowed)
        self.read_head = self._heads.read
        self._routes: dict[bytes, KnownRoute] = {}
        self._peers: dict[str, Credentials] = {}
        self._bearers: dict[tuple[Credentials, bytes], Credentials] = {}
        """One value per address, and per address and key, so that what was worked out for a caller is found by
        identity."""
        self.first_bytes = memoryview(bytearray(FIRST_BYTES))
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweep()

    # Routes

    def lane_route(self, method: bytes, target: bytes) -> KnownRoute | None:
        """The prediction behind an address, or None for the ordinary road."""
        if method == b"POST":
            known = self._routes.get(target)
            if known is not None:
                return known
        for wire in self._wires:
            route = wire.predict_route(method, target)
            if route is not None:
                known = KnownRoute(route)
                if method == b"POST" and len(target) <= MAX_ROUTE_BYTES and self._is_served(route):
                    if len(self._routes) >= MAX_ROUTES:
                        self._routes.clear()
                    self._routes[target] = known
                return known
        return None

    def _is_served(self, route: PredictRoute) -> bool:
        return route.model in self.predictions.model_names

    def remember(self, head: bytes, request: KnownRequest) -> None:
        """The parser need not see this head again: the same bytes mean the same request."""
        if not self._is_served(request.route):
            return
        known = self.lane.known_requests
        if len(known) >= MAX_KNOWN_REQUESTS:
            known.clear()
        known[head] = request

    def forget_routes(self) -> None:
        """What is served has changed."""
        self._routes.clear()
        self.lane.known_requests.clear()

    # Who asks

    def credentials_of(self, transport: asyncio.BaseTransport) -> Credentials:
        """What a connection itself says about its other end."""
        peer = transport.get_extra_info("peername")
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family == socket.AF_UNIX:
            _, uid, _ = PEER_CREDENTIALS.unpack(
                raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
            )
            return Credentials(None, "unix", is_loopback=True, local_uid=uid)
        host = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        known = self._peers.get(host)
        if known is None:
            if len(self._peers) >= MAX_PEERS:
                self._peers.clear()
            known = self._peers[host] = Credentials(None, host, is_loopback=is_loopback(host))
        return known

    def with_token(self, credentials: Credentials, authorization: bytes | None) -> Credentials:
        """The credentials of one request: the connection's, and the key of its Authorization header."""
        if authorization is None:
            return credentials
        known = self._bearers.get((credentials, authorization))
        if known is None:
            scheme, _, token = authorization.decode("latin-1").partition(" ")
            known = msgspec.structs.replace(credentials, token=token.strip() if scheme.lower() == "bearer" else "")
            if len(self._bearers) >= MAX_PEERS:
                self._bearers.clear()
            self._bearers[credentials, authorization] = known
        return known

    def is_host_allowed(self, host: bytes | None) -> bool:
        """Whether the Host header names this server: a web page must not reach it under a name of its own."""
        if host is None or "*" in self._hosts:
            return True
        name = host.decode("latin-1").strip().lower()
        name = name[1 : name.index("]")] if name.startswith("[") and "]" in name else name.rsplit(":", 1)[0]
        return not name or name in self._hosts or is_address(name)

    # Memory

    def buffer_for(self, size_bytes: int) -> SlabSlice | bytearray:
        piece = self._memory.take(size_bytes) if self._memory is not None else None
        return bytearray(size_bytes) if piece is None else piece

    # Connections

    def opened(self, connection: LaneProtocol) -> bool:
        """Whether the connection may stay."""
        if len(self.connections) >= self.settings.max_connections:
            self.refused_connections += 1
            return False
        self.connections.add(connection)
        return True

    def closed(self, connection: LaneProtocol) -> None:
        self.connections.discard(connection)

    def refusal(self, status: int, message: str) -> Answer:
        """In the words of the only protocol that is spoken here; where there are several, in the server's own."""
        code = REFUSAL_CODES.get(status, "INVALID_INPUT")
        if len(self._wires) == 1:
            error = RequestError(Code[code], message, fix="")
            answer = self._wires[0].error(error, UNREAD)
            return msgspec.structs.replace(answer, status=status, close=True)
        return Answer(status, msgspec.json.encode({"error": {"code": code, "message": message}}), close=True)

    def drain(self) -> None:
        """Every answer from now on closes its connection."""
        self.lane.is_draining = True

    def close_idle(self) -> None:
        for connection in list(self.connections):
            connection.shutdown()

    @property
    def is_busy(self) -> bool:
        """Whether any request is on its way in, or any answer still has bytes to go out."""
        return any(
            connection.is_busy or connection.transport.get_write_buffer_size() for connection in self.connections
        )

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self.connections):
            connection.transport.abort()

    def _sweep(self) -> None:
        """Twice a second: end what is too slow. A pass over all connections costs less than a timer per request."""
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
        date = formatdate(usegmt=True).encode()
        self.lane.date = b"date: %b\r\n" % date
        self.date_header = (b"date", date)
        now = self._clock()
        for connection in list(self.connections):
            connection.check_pace(now)


UNREAD = Request(method="", path="", raw_path="")
"""Stands for a request that was refused before anything of it was looked at."""
REFUSAL_CODES = {
    400: "INVALID_INPUT",
    408: "DEADLINE_EXCEEDED",
    413: "PAYLOAD_TOO_LARGE",
    417: "INVALID_INPUT",
    421: "PERMISSION_DENIED",
    429: "QUOTA_EXCEEDED",
    431: "PAYLOAD_TOO_LARGE",
    500: "INTERNAL",
    503: "OVERLOADED",
}


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_address(name: str) -> bool:
    """A literal address cannot be rebound by a name server."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
