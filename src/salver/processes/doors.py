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
    "openinference": ((8000, ("openinference",)),),
}
"""The ports that a protocol's own clients expect, by what `--compat` calls it."""
ALL_GRPC_WIRES = ("tfserving",)
COMPAT_GRPC_PORTS: dict[str, tuple[tuple[int, tuple[str, ...]], ...]] = {
    "tfserving": ((8500, ("tfserving",)),),
}
"""Those of gRPC."""
NO_PORT = -1


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
            ports[port] = (*known, *(wire for wire in wires if wire not in known))
    return ports


def wanted_grpc_ports(settings: NetSettings) -> dict[int, tuple[str, ...]]:
    """The same for gRPC, whose own port is opened only where one is named."""
    ports: dict[int, tuple[str, ...]] = {} if settings.grpc_port == NO_PORT else {settings.grpc_port: ALL_GRPC_WIRES}
    for name in settings.compat:
        for port, wires in COMPAT_GRPC_PORTS.get(name, ()):
            known = ports.get(port, ())
            ports[port] = (*known, *(wire for wire in wires if wire not in known))
    return ports


def flag_of(settings: NetSettings, port: int, *, is_grpc: bool = False) -> str:
    """The flag that made a port wanted."""
    if is_grpc:
        return "--grpc-port" if port == settings.grpc_port else "--compat"
    return "--port" if port == settings.port else "--compat"


def open_doors(settings: NetSettings, *, share: bool) -> dict[Door, socket.socket]:
    """Every address with its socket, those of HTTP first. Raises StartupError(PORT_TAKEN | SETTINGS_INVALID); none
    stays open.

    With `share`, other processes of this server may open the same ports. Those of gRPC are always shared: their socket
    only keeps the port for this server, because the library opens one of its own.
    """
    http_ports, grpc_ports = wanted_ports(settings), wanted_grpc_ports(settings)
    both = [port for port in grpc_ports if port and port in http_ports]
    if both:
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"Port {both[0]} is wanted for HTTP and for gRPC, which cannot share one.",
            fix="Choose another one with --port or --grpc-port.",
        )
    doors: dict[Door, socket.socket] = {}
    with contextlib.ExitStack() as opened:
        for is_grpc, ports in ((False, http_ports), (True, grpc_ports)):
            for port, wires in ports.items():
                flag = flag_of(settings, port, is_grpc=is_grpc)
                sock = opened.enter_context(open_port(settings.host, port, share=share or is_grpc, flag=flag))
                found: int = sock.getsockname()[1]
                doors[Door(host=settings.host, port=found, wires=wires, is_grpc=is_grpc)] = sock
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
    return f"{'grpc' if door.is_grpc else 'http'}://{host}:{door.port}"
