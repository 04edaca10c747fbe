"""One front end's connection to one worker: frames out, frames in, one batch outstanding."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from salver.replicas.result import Result
from salver_worker.frames import (
    MAGIC,
    MAX_HEADER_BYTES,
    PART,
    PREDICT,
    PREFIX,
    PREFIX_SIZE,
    FrameError,
    unpack_prefix,
)

Buffer = bytes | bytearray | memoryview

RECEIVE_BYTES = 256 * 1024
JOIN_BYTES = 64 * 1024
"""Below this size the pieces of a frame are joined and written at once; above, they are handed over one by one."""
MAX_RESULT_BYTES = 1 << 31


Reply = Callable[[Result | None], None]
"""Told the answer, or None when the worker is gone."""
OnPart = Callable[[Result], None]
"""Told each part before the answer."""


class LinkOwner(Protocol):
    """Who gives a link its work."""

    def link_lost(self, link: Link) -> None:
        """The worker is gone; the outstanding batch, if any, has been told already."""


class Link(asyncio.BufferedProtocol):
    """The front end's side of a data link.

    One outstanding batch: `send` may be called only while `is_idle`. The link becomes idle again just before the reply
    is called, so that the next batch can be sent before the answers of this one are written.
    """

    def __init__(self, replica_id: str, link_number: int, owner: LinkOwner) -> None:
        self.replica_id = replica_id
        self.link_number = link_number
        self._owner = owner
        self._transport: asyncio.WriteTransport | None = None
        self._reply: Reply | None = None
        self._on_part: OnPart | None = None
        self.batch_id = 0
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0

    @property
    def is_idle(self) -> bool:
        return self._reply is None and self._transport is not None

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def send(
        self,
        header: bytes,
        pieces: Sequence[Buffer],
        size: int,
        deadline_ms: int,
        reply: Reply,
        on_part: OnPart | None = None,
    ) -> int:
        """Send one batch; returns its id. `size` is the sum of the pieces' sizes. Parts come only to an `on_part`."""
        transport = self._transport
        if transport is None or self._reply is not None:
            raise RuntimeError("a link takes one batch at a time")
        self._reply = reply
        self._on_part = on_part
        self.batch_id += 1
        prefix = PREFIX.pack(MAGIC, PREDICT, 0, 0, self.batch_id, deadline_ms, len(header), size)  # pack_prefix, inline
        if size <= JOIN_BYTES:
            transport.write(b"".join((prefix, header, *pieces)))
        else:
            transport.write(prefix + header)
            for piece in pieces:
                transport.write(piece)
        return self.batch_id

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's transports do not inherit from it

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        reply, self._reply = self._reply, None
        if reply is not None:
            reply(None)
        self._owner.link_lost(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._filled :] if self._filled else self._view

    def buffer_updated(self, nbytes: int) -> None:
        filled = self._filled = self._filled + nbytes
        size: int = PREFIX_SIZE
        if filled < size:
            return
        # What unpack_prefix does, which is called where it has something to say: this is done for every batch.
        magic, verb, _, _, id, _, header_length, body_length = PREFIX.unpack_from(self._buffer)
        if magic != MAGIC or header_length > MAX_HEADER_BYTES:
            try:
                unpack_prefix(self._view)
            except FrameError:
                self._abort()
            return
        start: int = size + header_length
        total: int = start + body_length
        if filled < total:
            self._make_room(total)
        else:
            self._deliver(verb, id, bytes(self._view[size:start]), start, total)

    def _make_room(self, total: int) -> None:
        if total > MAX_RESULT_BYTES:
            self._abort()
        elif total > len(self._buffer):
            self._replace_buffer(total)

    def _replace_buffer(self, size: int) -> None:
        grown = bytearray(size)
        grown[: self._filled] = self._view[: self._filled]
        self._buffer = grown
        self._view = memoryview(grown)

    def _deliver(self, verb: int, id: int, header: bytes, start: int, total: int) -> None:
        body = self._view[start:total]
        reply = self._reply
        rest = self._filled - total
        if reply is None or id != self.batch_id or rest or verb == PART:
            if verb == PART and id == self.batch_id and reply is not None and self._on_part is not None:
                self._deliver_parts(self._on_part)
            else:
                self._abort()  # one batch is outstanding, so anything but its one answer is a fault of the worker
            return
        self._reply = None
        self._filled = 0
        if total > RECEIVE_BYTES:
            self._buffer = bytearray(RECEIVE_BYTES)  # do not keep the size of the largest answer ever seen
            self._view = memoryview(self._buffer)
        reply(Result(verb, header, body))

    def _deliver_parts(self, on_part: OnPart) -> None:
        """Hand over the parts that are there, one at least; what follows them moves to the front of the buffer."""
        view = self._view
        filled = self._filled
        start: int = 0
        while filled - start >= PREFIX_SIZE:
            _, verb, _, _, id, _, header_length, body_length = PREFIX.unpack_from(view, start)
            body: int = start + PREFIX_SIZE + header_length
            end: int = body + body_length
            if verb != PART or id != self.batch_id or end > filled:
                break
            on_part(Result(verb, bytes(view[start + PREFIX_SIZE : body]), view[body:end]))
            start = end
        rest = bytes(view[start:filled])
        if len(view) > RECEIVE_BYTES:
            self._buffer = bytearray(max(RECEIVE_BYTES, len(rest)))
            self._view = memoryview(self._buffer)
        self._view[: len(rest)] = rest
        self._filled = 0
        if rest:
            self.buffer_updated(len(rest))

    def _abort(self) -> None:
        transport: Any = self._transport
        if transport is not None:
            transport.abort()
