"""Clients by hand: bytes over a socket, as slow, broken or rude as a test wants."""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
from typing import Any
from urllib.parse import urlsplit


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=10)


def request_bytes(path: str, body: bytes, *headers: str, method: str = "POST") -> bytes:
    """A whole request; `headers` replace those that name the body's type and length when they name them."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    named = {header.partition(":")[0].lower() for header in headers}
    if "content-type" not in named:
        lines.append("Content-Type: application/json")
    if not named & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def send(url: str, path: str, document: Any) -> socket.socket:
    """A connection with one request on its way."""
    sock = connect(url)
    sock.sendall(request_bytes(path, json.dumps(document).encode()))
    return sock


def received(sock: socket.socket, within_s: float = 10.0) -> bytes:
    """Everything until the server closes the connection; a timeout is an error."""
    sock.settimeout(within_s)
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def has_ended(sock: socket.socket) -> bool:
    """Whether the server has closed or answered the connection."""
    poll = select.poll()  # `select.select` knows no descriptors above 1023
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at now, for programs that cannot choose one themselves.

    Below 32768: Multi Model Server takes no higher ones, and nobody is given these by the system.
    """
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = random.randrange(10_000, 32_000)
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    return found
