"""How much of what was written to a client it has not taken yet."""

from __future__ import annotations

import array
import asyncio
import fcntl
import termios


def unread_bytes(transport: asyncio.WriteTransport) -> int:
    """Bytes in the transport's buffer and in the kernel's.

    The kernel takes new bytes only once a third of its buffer, megabytes at times, is free: the transport's own buffer
    stands still for long while a slow client reads on.
    """
    sock = transport.get_extra_info("socket")
    waiting = array.array("i", [0])
    if sock is not None and sock.fileno() >= 0:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, waiting)
    return int(transport.get_write_buffer_size()) + waiting[0]
