"""Which addresses the server opens, and which protocols answer at each."""

from __future__ import annotations

import contextlib
import os
import socket

from salver.errors import Code, StartupError
from salver.net.base import NetSettings
from salver.net.edge import is_loopback
from salver.net.ports import open_port
from salver.processes.base import Door

ALL_WIRES = ("tfserving", "mms", "openinference", "native")
COMPAT_PORTS: dict[str, tuple[tuple[int, tuple[str, ...]], ...]] = {
    "tfserving": ((8501, ("tfserving",)),),
    "mms": ((8080, ("mms",)), (8081, ("mms-management",))),
    "torchserve": (
        (8080, ("torchserve", "tfserving", "openinference")),
        (8081, ("torchserve-management",)),
        (8082, ("torchserve-metrics",)),
    ),
    "openinference": ((8000, ("openinference",)),),
}
"""The ports that a protocol's own clients expect, by what `--compat` calls it."""
LOUDER: dict[str, frozenset[str]] = {"torchserve": frozenset({"mms"})}
"""Protocols that claim addresses of others: at their ports they come first, and instead of those named here."""


def check_exposure(settings: NetSettings) -> None:
    """Plain HTTP on an address that other machines reach must be asked for. Raises StartupError(SETTINGS_INVALID)."""
    host = settings.host
    if host != "localhost" and not is_loopback(host) and not settings.insecure:
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"--host {host} can be reached from other machines, and the server has no TLS.",
            fix="Put a TLS proxy in front and listen on 127.0.0.1, or accept plain HTTP with --insecure.",
        )


def wanted_ports(settings: NetSettings) -> dict[int, tuple[str, ...]]:
    """The wires of each port, the port for all protocols first. A port that is wanted twice answers for both."""
    ports: dict[int, tuple[str, ...]] = {settings.port: ALL_WIRES}
    for name in settings.compat:
        for port, wires in COMPAT_PORTS[name]:
            known = ports.get(port, ())
            if name in LOUDER:
                known = tuple(wire for wire in known if wire not in wires and wire not in LOUDER[name])
                ports[port] = (*wires, *known)
            else:
                ports[port] = (*known, *(wire for wire in wires if wire not in known))
    return ports


def open_doors(settings: NetSettings, *, share: bool) -> dict[Door, socket.socket]:
    """Every address with its socket, in the order of `wanted_ports`. Raises StartupError(PORT_TAKEN); none stays open.

    With `share`, other processes of this server may open the same ports.
    """
    doors: dict[Door, socket.socket] = {}
    with contextlib.ExitStack() as opened:
        for port, wires in wanted_ports(settings).items():
            sock = opened.enter_context(open_port(settings.host, port, share=share))
            doors[Door(host=settings.host, port=sock.getsockname()[1], wires=wires)] = sock
        opened.pop_all()
    return doors


def open_local_door(path: str) -> socket.socket:
    """A Unix socket for this user alone, from its first moment on. Raises StartupError."""
    sock = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # of the whole process, so nothing may happen until it is put back
    try:
        remove_socket(path)
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"The socket {path} cannot be made: {error.strerror}.",
            fix="Choose another data directory with --data-dir.",
        ) from error
    finally:
        os.umask(before)
    return sock


def remove_socket(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def url_of(door: Door) -> str:
    host = f"[{door.host}]" if ":" in door.host else door.host
    return f"http://{host}:{door.port}"
