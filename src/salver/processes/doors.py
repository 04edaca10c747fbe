"""Which addresses the server opens, and which protocols answer at each."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Sequence

from msgspec.structs import replace

from salver.errors import Code, StartupError
from salver.net.base import NetSettings
from salver.net.edge import is_loopback
from salver.net.ports import open_port
from salver.processes.addresses import parse_doors
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
    "openinference": ((8000, ("openinference",)), (8002, ("openinference-metrics",))),
    "mlserver": ((8080, ("mlserver",)), (8082, ("mlserver-metrics",))),
}
"""The ports that a protocol's own clients expect, by what `--compat` calls it."""
LOUDER: dict[str, frozenset[str]] = {"torchserve": frozenset({"mms"}), "mlserver": frozenset({"openinference"})}
"""Protocols that claim addresses of others: at their ports they come first, and instead of those named here."""
ALL_GRPC_WIRES: tuple[str, ...] = ("tfserving", "openinference", "mms")
COMPAT_GRPC_PORTS: dict[str, tuple[tuple[int, tuple[str, ...]], ...]] = {
    "tfserving": ((8500, ("tfserving",)),),
    "openinference": ((8001, ("openinference",)),),
    "mlserver": ((8081, ("mlserver",)),),
    "torchserve": ((7070, ("torchserve",)), (7071, ("torchserve-management",))),
}
"""Those of gRPC."""
GRPC_NAMES = {f"{name}-grpc": name for name in ("tfserving", "openinference", "mlserver")} | {
    f"{name}-grpc{part}": f"{name}{part}" for name in ("mms", "torchserve") for part in ("", "-management")
}
"""What gRPC is called at an exact address, and the protocol that is meant."""
KNOWN_WIRES = frozenset({*ALL_WIRES, "mms-metrics"}).union(
    *(wires for ports in COMPAT_PORTS.values() for _, wires in ports)
)
KNOWN_NAMES = KNOWN_WIRES | GRPC_NAMES.keys()
"""All that may stand before the `@` of an exact address."""
NO_PORT = -1


def check_exposure(settings: NetSettings) -> None:
    """Plain HTTP on an address that other machines reach must be asked for. Raises StartupError(SETTINGS_INVALID)."""
    for door in wanted_doors(settings):
        if not (door.path or door.host == "localhost" or is_loopback(door.host) or settings.insecure):
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"--host {door.host} can be reached from other machines, and the server has no TLS.",
                fix="Put a TLS proxy in front and listen on 127.0.0.1, or accept plain HTTP with --insecure.",
            )


def wanted_doors(settings: NetSettings) -> tuple[Door, ...]:
    """Every address, not opened yet: those of `doors`, else those of the ports. Raises StartupError."""
    if settings.doors:
        return parse_doors(settings.doors, KNOWN_WIRES, GRPC_NAMES)
    return tuple(
        Door(host=settings.host, port=port, wires=wires, is_grpc=is_grpc)
        for is_grpc, ports in ((False, wanted_ports(settings)), (True, wanted_grpc_ports(settings)))
        for port, wires in ports.items()
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


def wanted_grpc_ports(settings: NetSettings) -> dict[int, tuple[str, ...]]:
    """The same for gRPC, whose own port is opened only where one is named."""
    ports: dict[int, tuple[str, ...]] = {} if settings.grpc_port == NO_PORT else {settings.grpc_port: ALL_GRPC_WIRES}
    for name in settings.compat:
        for port, wires in COMPAT_GRPC_PORTS.get(name, ()):
            known = ports.get(port, ())
            ports[port] = (*known, *(wire for wire in wires if wire not in known))
    return ports


def flag_of(settings: NetSettings, door: Door) -> str:
    """The flag that made a port wanted."""
    if settings.doors:
        return "--doors"
    if door.is_grpc:
        return "--grpc-port" if door.port == settings.grpc_port else "--compat"
    return "--port" if door.port == settings.port else "--compat"


def open_doors(settings: NetSettings, *, share: bool) -> dict[Door, socket.socket]:
    """Every address with its socket, those of HTTP first. Raises StartupError(PORT_TAKEN | SETTINGS_INVALID); none
    stays open.

    With `share`, other processes of this server may open the same ports. Those of gRPC are always shared: their socket
    only keeps the port for this server, because the library opens one of its own.
    """
    wanted = wanted_doors(settings)
    _check_ports(wanted)
    doors: dict[Door, socket.socket] = {}
    with contextlib.ExitStack() as opened:
        for door in wanted:
            if door.path:
                doors[door] = opened.enter_context(_open_path(door.path, share=share))
                continue
            shared = share or door.is_grpc
            sock = opened.enter_context(open_port(door.host, door.port, share=shared, flag=flag_of(settings, door)))
            doors[replace(door, port=sock.getsockname()[1])] = sock
        opened.pop_all()
    return doors


def _open_path(path: str, *, share: bool) -> socket.socket:
    """A Unix socket for whom the process's umask lets write to it. What a server left there that is gone is replaced.

    Whoever may open it is treated as any caller of this machine.
    """
    if share:
        message = f"The socket {path} cannot be shared by several front ends."
        raise StartupError(Code.SETTINGS_INVALID, message, fix="Use --processes 1, or a port.")
    sock = socket.socket(socket.AF_UNIX)
    try:
        _remove_unanswered(path)
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise StartupError(
            Code.PORT_TAKEN,
            f"The socket {path} cannot be made: {error.strerror}.",
            fix="Stop the program that listens there, or name another path.",
        ) from error
    return sock


def _remove_unanswered(path: str) -> None:
    """Only a socket goes, and only one behind which nobody listens."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(ConnectionRefusedError):
                probe.connect(path)
                return
            os.unlink(path)


def _check_ports(wanted: Sequence[Door]) -> None:
    taken = {(door.host, door.port) for door in wanted if not door.is_grpc}
    for door in wanted:
        if door.is_grpc and door.port and (door.host, door.port) in taken:
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"Port {door.port} is wanted for HTTP and for gRPC, which cannot share one.",
                fix="Choose another one with --port, --grpc-port or --doors.",
            )


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
    if door.path:
        return f"unix:{door.path}"
    host = f"[{door.host}]" if ":" in door.host else door.host
    return f"{'grpc' if door.is_grpc else 'http'}://{host}:{door.port}"
