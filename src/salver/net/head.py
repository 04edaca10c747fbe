"""What the server must know of a request's headers, worked out once for headers that repeat."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from salver.operations.gate import checked_request_id

Headers = tuple[tuple[bytes, bytes], ...]
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


class HeadFacts(msgspec.Struct, frozen=True, gc=False):
    """The headers that the edge acts on. Names of headers do not matter any more."""

    size: int
    """Bytes of all names and values."""
    length: int | None
    """Bytes of body announced by Content-Length; None without the header."""
    is_chunked: bool
    """Whether there is a Transfer-Encoding."""
    is_host_allowed: bool
    authorization: bytes | None
    expects: bytes
    """The value of Expect in lower case; empty when there is none."""
    request_id: str
    """The client's own, when it is harmless; else empty."""
    deadline_s: float
    """What `Salver-Deadline-Ms` allows, in seconds; NO_DEADLINE without the header, BAD_DEADLINE when it is none."""
    has_host: bool
    is_version_telling: bool
    """Whether the version of HTTP makes a difference: it decides if Host may be missing, and what keep-alive means."""
    wants_upgrade: bool
    fault: Fault | None


class KnownHeads:
    """Facts by the headers they come from. Clients repeat their headers, so one look-up is mostly enough."""

    def __init__(self, is_host_allowed: Callable[[bytes | None], bool]) -> None:
        self._is_host_allowed = is_host_allowed
        self._known: dict[Headers, HeadFacts] = {}

    def facts(self, headers: Headers) -> HeadFacts:
        known = self._known.get(headers)
        return self._learn(headers) if known is None else known

    def _learn(self, headers: Headers) -> HeadFacts:
        found = {name.lower(): value for name, value in reversed(headers)}
        length = found.get(b"content-length")
        host = found.get(b"host")
        size = sum(len(name) + len(value) for name, value in headers)
        facts = HeadFacts(
            size=size,
            length=None if length is None else int(length),
            is_chunked=b"transfer-encoding" in found,
            is_host_allowed=self._is_host_allowed(host),
            authorization=found.get(b"authorization"),
            expects=found.get(b"expect", b"").lower(),
            request_id=checked_request_id(found.get(b"x-request-id", b"")),
            deadline_s=_deadline_s(found.get(b"salver-deadline-ms")),
            has_host=host is not None,
            is_version_telling=host is None or b"keep-alive" in found.get(b"connection", b"").lower(),
            wants_upgrade=b"upgrade" in found,
            fault=_fault(headers),
        )
        if b"x-request-id" not in found and size <= MAX_KNOWN_BYTES:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[headers] = facts
        return facts


def oversize(facts: HeadFacts, target_bytes: int, max_header_bytes: int, max_body_bytes: int) -> Fault | None:
    if facts.length is not None and facts.length > max_body_bytes:
        return 413, f"The body is above the limit of {max_body_bytes} bytes (--max-body-mb)."
    if facts.size + target_bytes > max_header_bytes:
        return 431, TOO_LONG
    return None


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
