"""Whose turn it is on a connection: what the sweep looks at."""

from __future__ import annotations

import array
import asyncio
import enum
import fcntl
import termios
from typing import TYPE_CHECKING

from salver.net.pace import Turn

if TYPE_CHECKING:
    from salver.net.http import LaneProtocol


class Part(enum.IntEnum):
    """The part of a request that is arriving."""

    NOTHING = 0
    HEAD = 1
    BODY = 2


def turn_of(http: LaneProtocol) -> tuple[Turn, int]:
    """Whose turn it is, and a number that changes when the client moves."""
    if http.flow.write_paused or http.transport.is_closing():
        return Turn.READING, unread_bytes(http.transport)
    if http.line.is_leaving:
        return Turn.LEAVING, 0
    if http.line.is_deaf or http.flow.read_paused:
        return Turn.SERVER, 0
    if http.part:
        return (Turn.HEAD, 0) if http.part is Part.HEAD else (Turn.BODY, http.body_bytes)
    if not http.line.is_empty:
        return Turn.SERVER, 0
    return (Turn.NEXT_REQUEST if http.line.begun else Turn.FIRST_REQUEST), 0


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
