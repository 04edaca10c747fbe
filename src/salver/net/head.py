"""What the server must know of a request's headers, worked out once for headers that repeat."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from salver.operations.gate import checked_request_id

Headers = tuple[tuple[bytes, bytes], ...]
MAX_KNOWN = 2048
MAX_KNOWN_BYTES = 2048
"""Longer heads are worked out each time: they would fill the memory with what hardly repeats."""
MAX_DEADLINE_MS = 3_600_000.0
NO_DEADLINE = 0.0
BAD_DEADLINE = -1.0


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
        size = sum(len(name) + len(value) for name, value in headers)
        facts = HeadFacts(
            size=size,
            length=None if length is None else int(length),
            is_chunked=b"transfer-encoding" in found,
            is_host_allowed=self._is_host_allowed(found.get(b"host")),
            authorization=found.get(b"authorization"),
            expects=found.get(b"expect", b"").lower(),
            request_id=checked_request_id(found.get(b"x-request-id", b"")),
            deadline_s=_deadline_s(found.get(b"salver-deadline-ms")),
        )
        if b"x-request-id" not in found and size <= MAX_KNOWN_BYTES:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[headers] = facts
        return facts


def _deadline_s(raw: bytes | None) -> float:
    if raw is None:
        return NO_DEADLINE
    try:
        milliseconds = float(raw)
    except ValueError:
        return BAD_DEADLINE
    return milliseconds / 1000 if 0.0 < milliseconds <= MAX_DEADLINE_MS else BAD_DEADLINE
