"""What the metadata of a call says of its caller."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

import msgspec

from salver.net.edge import is_loopback
from salver.operations.base import Credentials
from salver.operations.gate import checked_request_id

MAX_PEERS = 4096
KEY = re.compile(r"(?!grpc-)[0-9a-z_.-]{1,256}(?<!-bin)")
VALUE = re.compile(r"[ -~]{0,4096}")
Metadata = Sequence[tuple[str, str | bytes]]


class Callers:
    """Knows the machines that call, so that the callers of one machine are one object."""

    def __init__(self) -> None:
        self._known: dict[str, Credentials] = {}

    def credentials(self, peer: str, metadata: Metadata) -> Credentials:
        """Who calls: the machine at the other end, and the key of the `authorization` metadata."""
        host = host_of(peer)
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= MAX_PEERS:
                self._known.clear()
            known = self._known[host] = Credentials(None, host, is_loopback=is_loopback(host))
        given = value_of(metadata, "authorization")
        if given is None:
            return known
        scheme, _, token = given.partition(" ")
        return msgspec.structs.replace(known, token=token.strip() if scheme.lower() == "bearer" else "")


def host_of(peer: str) -> str:
    """The address in gRPC's name of a peer: `ipv4:127.0.0.1:5000`, `ipv6:%5B::1%5D:5000`."""
    _, _, place = peer.partition(":")
    return unquote(place).rpartition(":")[0].strip("[]").removeprefix("::ffff:")


def value_of(metadata: Metadata, name: str) -> str | None:
    """The first value of this lower-case name."""
    for key, value in metadata:
        if key == name:
            return value if isinstance(value, str) else value.decode("latin-1")
    return None


def request_id_of(metadata: Metadata) -> str:
    """The client's own id for the call, when it is harmless; else an empty text."""
    given = value_of(metadata, "x-request-id")
    return "" if given is None else checked_request_id(given.encode("utf-8", "replace"))


def as_headers(metadata: Metadata) -> tuple[tuple[str, str], ...]:
    return tuple((key, value if isinstance(value, str) else value.decode("latin-1")) for key, value in metadata)


def as_metadata(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those headers that gRPC can carry, so that a model's code cannot break a call with one."""
    found = [(name.lower(), value) for name, value in headers]
    return [(name, value) for name, value in found if KEY.fullmatch(name) and VALUE.fullmatch(value)]
