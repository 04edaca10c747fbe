"""What the server must know of a request's headers, worked out once for headers that repeat."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence

import msgspec

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]
NO_LENGTH = -1
MAX_NAMES = 1024
MAX_KNOWN = 2048
MAX_KNOWN_BYTES = 2048
"""Longer heads are worked out each time: they would fill the memory with what hardly repeats."""
TOO_LONG = "The request line and headers are too long, or there are too many headers."
MAX_DEADLINE_MS = 3_600_000.0
NO_DEADLINE = 0.0
BAD_DEADLINE = -1.0
HOST = re.compile(rb"(?:[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")

Fault = tuple[int, str]
"""Why a request is refused: status and message."""


class Kind(enum.Enum):
    """What a header is to the edge."""

    IDLE = "idle"
    ACTING = "acting"
    LENGTH = "length"
    REQUEST_ID = "request id"


IDLE, ACTING, LENGTH, REQUEST_ID = Kind
KINDS = {
    b"authorization": ACTING,
    b"connection": ACTING,
    b"content-length": LENGTH,
    b"expect": ACTING,
    b"host": ACTING,
    b"salver-deadline-ms": ACTING,
    b"transfer-encoding": ACTING,
    b"upgrade": ACTING,
    b"x-request-id": REQUEST_ID,
}


class HeadFacts(msgspec.Struct, frozen=True, gc=False):
    """The headers that the edge acts on. Names of headers do not matter any more."""

    is_chunked: bool
    """Whether there is a Transfer-Encoding."""
    is_host_allowed: bool
    authorization: bytes | None
    expects: bytes
    """The value of Expect in lower case; empty when there is none."""
    deadline_s: float
    """What `Salver-Deadline-Ms` allows, in seconds; NO_DEADLINE without the header, BAD_DEADLINE when it is none."""
    has_host: bool
    is_version_telling: bool
    """Whether the version of HTTP makes a difference: it decides if Host may be missing, and what keep-alive means."""
    wants_upgrade: bool
    is_plain: bool
    """Whether a prediction with this head has neither a key nor a deadline of its own."""
    fault: Fault | None


class KnownHeads:
    """Facts by the headers they come from. What differs from request to request, length and id, is read beside them."""

    def __init__(self, is_host_allowed: Callable[[bytes | None], bool]) -> None:
        self._is_host_allowed = is_host_allowed
        self._known: dict[Headers, HeadFacts] = {}
        self._kinds: dict[bytes, Kind] = {}
        """By the name as it was sent."""

    def read(self, headers: Sequence[Header]) -> tuple[HeadFacts, int, bytes]:
        """The facts, the body's announced length (NO_LENGTH without one) and the client's own id for the request."""
        kinds = self._kinds
        acting: list[Header] = []
        length = NO_LENGTH
        request_id = b""
        for header in headers:
            name = header[0]
            kind = kinds.get(name)
            if kind is None:
                kind = self._kind_of(name)
            if kind is IDLE:
                continue
            if kind is LENGTH:
                length = int(header[1])
            elif kind is ACTING:
                acting.append(header)
            else:
                request_id = request_id or header[1]
        key = tuple(acting)
        return self._known.get(key) or self._learn(key), length, request_id

    def _kind_of(self, name: bytes) -> Kind:
        kind = KINDS.get(name.lower(), IDLE)
        if len(self._kinds) < MAX_NAMES:
            self._kinds[name] = kind
        return kind

    def _learn(self, headers: Headers) -> HeadFacts:
        found = {name.lower(): value for name, value in reversed(headers)}
        host = found.get(b"host")
        authorization = found.get(b"authorization")
        deadline_s = _deadline_s(found.get(b"salver-deadline-ms"))
        facts = HeadFacts(
            is_chunked=b"transfer-encoding" in found,
            is_host_allowed=self._is_host_allowed(host),
            authorization=authorization,
            expects=found.get(b"expect", b"").lower(),
            deadline_s=deadline_s,
            has_host=host is not None,
            is_version_telling=host is None or b"keep-alive" in found.get(b"connection", b"").lower(),
            wants_upgrade=b"upgrade" in found,
            is_plain=authorization is None and deadline_s == NO_DEADLINE,
            fault=_fault(headers),
        )
        if head_bytes(headers) <= MAX_KNOWN_BYTES:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[headers] = facts
        return facts


def head_bytes(headers: Sequence[Header]) -> int:
    """Bytes of all names and values."""
    return sum(len(name) + len(value) for name, value in headers)


def version_fault(version: str, facts: HeadFacts) -> Fault | None:
    """What is wrong with this head in this version of HTTP."""
    if version not in ("1.0", "1.1"):
        return 505, "This server speaks HTTP/1.1."
    if version == "1.1" and not facts.has_host:
        return 400, "The Host header is missing."
    if version == "1.0" and facts.is_chunked:
        return 400, "HTTP/1.0 has no Transfer-Encoding."
    return None


def _fault(headers: Headers) -> Fault | None:
    """What no request may have, whatever it is for."""
    hosts = [value for name, value in headers if name.lower() == b"host"]
    if len(hosts) > 1:
        return 400, "There is more than one Host header."
    if hosts and HOST.fullmatch(hosts[0]) is None:
        return 400, "The Host header is not the name of a host."
    codings = [value.strip().lower() for name, value in headers if name.lower() == b"transfer-encoding"]
    if codings not in ([], [b"chunked"]):
        return 501, "The only transfer coding of this server is chunked."
    wishes = {value.strip().lower() for name, value in headers if name.lower() == b"expect"}
    if not wishes <= {b"100-continue"}:
        return 417, "Only `Expect: 100-continue` can be met."
    return None


def _deadline_s(raw: bytes | None) -> float:
    if raw is None:
        return NO_DEADLINE
    try:
        milliseconds = float(raw)
    except ValueError:
        return BAD_DEADLINE
    return milliseconds / 1000 if 0.0 < milliseconds <= MAX_DEADLINE_MS else BAD_DEADLINE
