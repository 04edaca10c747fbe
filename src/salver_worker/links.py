"""One data link: whole frames in, whole frames out, over a blocking Unix stream socket.

The buffers are reused from frame to frame, so a frame's body is good until the next `receive` on the same link. A body
always starts at a multiple of frames.ALIGNMENT in memory: small frames are received behind the gap that was right for
the last header, which is nearly always right for the next one, and moved when it was not.
"""

from __future__ import annotations

import mmap
import os
import socket
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from salver_worker.frames import ALIGNMENT, MAGIC, MAX_HEADER_BYTES, PREFIX, PREFIX_SIZE, FrameError, unpack_prefix

SMALL_BYTES = 64 * 1024
KEPT_BYTES = 64 * 1024 * 1024
"""A buffer for a body above this many bytes is given back after use."""
JOIN_BYTES = 16 * 1024
"""Up to here one buffer is made of all: copying so little costs less than naming each piece to the kernel."""
MAX_BUFFERS = 512
"""Buffers in one sendmsg: below the least IOV_MAX that any system has (1024)."""


class Frame(NamedTuple):
    """A frame as received. `body` is read-only and belongs to the link."""

    verb: int
    id: int
    deadline_ms: int
    header: bytes
    body: memoryview


class DataLink:
    """The link to one front end, and that front end's slab when it has one."""

    def __init__(self, number: int, connection: socket.socket, slab: Optional[memoryview] = None) -> None:
        self.number = number
        self.slab = slab
        self._connection = connection
        self._small = aligned_buffer(SMALL_BYTES + ALIGNMENT)
        self._small_read_only = self._small.toreadonly()
        self._large = aligned_buffer(0)
        self._start = 0
        self._room = self._small[:SMALL_BYTES]
        """The small buffer from `_start` on: where the next frame goes."""

    def fileno(self) -> int:
        return self._connection.fileno()

    def close(self) -> None:
        self._connection.close()

    def receive(self) -> Optional[Frame]:
        """The next frame; None when the other end has closed the link. Raises FrameError when it is not one."""
        if self._large:
            self._give_back()
        start = self._start
        count = self._connection.recv_into(self._room)
        if count < PREFIX_SIZE:
            if count == 0:
                return None
            count = self._fill(self._small, start + count, start + PREFIX_SIZE) - start
        # What unpack_prefix does, which is called where it has something to say: this is done for every batch.
        magic, verb, _, _, id, deadline_ms, header_length, body_length = PREFIX.unpack_from(self._small, start)
        if magic != MAGIC or header_length > MAX_HEADER_BYTES:
            unpack_prefix(self._small, start)
        body_at = start + PREFIX_SIZE + header_length
        have, end = start + count, body_at + body_length
        if have != end:
            if have > end:
                raise FrameError("a frame came before the last one was answered")
            if end > SMALL_BYTES:
                header, body = self._large_parts(header_length, body_length, have)
                return Frame(verb, id, deadline_ms, header, body)
            self._fill(self._small, have, end)
        header = bytes(self._small[start + PREFIX_SIZE : body_at])
        if body_at % ALIGNMENT:
            self._learn(body_at - start)
            body_at, end = self._align(body_at, end)
        return Frame(verb, id, deadline_ms, header, self._small_read_only[body_at:end])

    def send(self, buffers: Sequence[Any], total: int) -> None:
        """All of the buffers, `total` bytes, in order. Raises OSError when the other end is gone."""
        if total <= JOIN_BYTES:
            self._connection.sendall(b"".join(buffers))
            return
        sent = self._connection.sendmsg(buffers if len(buffers) <= MAX_BUFFERS else buffers[:MAX_BUFFERS])
        if sent < total:
            self._send_rest(buffers, sent)

    def _send_rest(self, buffers: Sequence[Any], sent: int) -> None:
        views = [memoryview(buffer).cast("B") for buffer in buffers if memoryview(buffer).nbytes]
        first = 0
        while True:
            while first < len(views) and sent >= views[first].nbytes:
                sent -= views[first].nbytes
                first += 1
            if first == len(views):
                return
            views[first] = views[first][sent:]
            sent = self._connection.sendmsg(views[first : first + MAX_BUFFERS])

    def _learn(self, head_bytes: int) -> None:
        """Receive the next frame where its body would be aligned if prefix and header were as long as these."""
        self._start = -head_bytes % ALIGNMENT
        self._room = self._small[self._start : SMALL_BYTES]

    def _align(self, start: int, end: int) -> Tuple[int, int]:
        """Move a part of the small buffer up to the next multiple of ALIGNMENT; where it is then."""
        gap = -start % ALIGNMENT
        self._small[start + gap : end + gap] = self._small[start:end]
        return start + gap, end + gap

    def _large_parts(self, header_length: int, body_length: int, have: int) -> Tuple[bytes, memoryview]:
        """Header and body of a frame too big for the small buffer, whose bytes up to `have` are there already."""
        header_at = self._start + PREFIX_SIZE
        body_at = header_at + header_length
        self._learn(PREFIX_SIZE + header_length)
        header = memoryview(bytearray(header_length))
        there = min(have, body_at) - header_at
        header[:there] = self._small[header_at : header_at + there]
        self._fill(header, there, header_length)
        body = self._large_buffer(body_length)
        there = max(have - body_at, 0)
        body[:there] = self._small[body_at : body_at + there]
        self._fill(body, there, body_length)
        return bytes(header), body.toreadonly()

    def _large_buffer(self, size: int) -> memoryview:
        if len(self._large) < size:
            self._large = aligned_buffer(max(size, 2 * len(self._large)))
        return self._large[:size]

    def _give_back(self) -> None:
        if len(self._large) > KEPT_BYTES:
            self._large = aligned_buffer(0)

    def _fill(self, buffer: memoryview, have: int, want: int) -> int:
        """Receive into `buffer` until `want` bytes of it are there; returns `want`."""
        while have < want:
            count = self._connection.recv_into(buffer[have:want], want - have, socket.MSG_WAITALL)
            if count == 0:
                raise FrameError("the link was closed in the middle of a frame")
            have += count
        return have


def aligned_buffer(size: int) -> memoryview:
    """Writable memory that starts at a multiple of ALIGNMENT; pages are taken as they are first written."""
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw.data[start : start + size]


def attach(number: int, slab_bytes: int, descriptors: List[int]) -> DataLink:
    """The link made of descriptors that were sent: a socket, and a slab when `slab_bytes` is not 0. Takes them over."""
    wanted = 2 if slab_bytes else 1
    if len(descriptors) < wanted:
        raise FrameError("ATTACH came with %d descriptors, not %d" % (len(descriptors), wanted))
    connection = socket.socket(fileno=descriptors[0])
    connection.setblocking(True)
    return DataLink(number, connection, _map(descriptors[1], slab_bytes) if slab_bytes else None)


def _map(descriptor: int, size: int) -> memoryview:
    """The slab, to read. The mapping outlives its descriptor."""
    try:
        return memoryview(mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ))
    finally:
        os.close(descriptor)
