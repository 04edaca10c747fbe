"""Opening ports, and saying who has one that cannot be opened."""

from __future__ import annotations

import socket

from salver.errors import Code, StartupError
from salver.net.holders import holder_of


def open_port(host: str, port: int, *, share: bool, flag: str = "--port") -> socket.socket:
    """A bound socket, not listening yet. With `share`, other processes of this server may bind the same port.

    `flag` is what whoever reads the error may change.

    Raises StartupError(PORT_TAKEN), naming the holder where the system tells.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if share and port:
        _bind(family, host, port, flag, share=False).close()  # a port shared with a stranger would lose requests to him
    return _bind(family, host, port, flag, share=share)


def join_port(host: str, port: int) -> socket.socket:
    """A bound socket on a port that another process of this server has opened to share."""
    return _bind(socket.AF_INET6 if ":" in host else socket.AF_INET, host, port, "--port", share=True)


def _bind(family: socket.AddressFamily, host: str, port: int, flag: str, *, share: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        if not share:
            sock.listen(1024)  # a second bound socket is only refused once the first one listens
    except OSError as error:
        sock.close()
        raise _cannot_open(host, port, error, flag) from error
    sock.setblocking(False)
    return sock


def _cannot_open(host: str, port: int, error: OSError, flag: str) -> StartupError:
    holder = holder_of(port)
    who = f" by {holder}" if holder else ""
    if error.errno in (98, 48):
        return StartupError(
            Code.PORT_TAKEN,
            f"Port {port} on {host} is taken{who}.",
            fix=_fix(flag),
        )
    return StartupError(
        Code.PORT_TAKEN,
        f"Port {port} on {host} cannot be opened: {error.strerror}.",
        fix=f"Choose another address with --host or another port with {flag}; ports below 1024 need special rights.",
    )


def _fix(flag: str) -> str:
    if flag == "--compat":
        return "Stop that program; or leave --compat out and choose ports with --port and --grpc-port."
    return f"Stop that program, or choose another port with {flag} (0 takes a free one)."
