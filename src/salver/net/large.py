"""A large body on its way from the socket into shared memory, without a copy in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from salver.types import SlabSlice

if TYPE_CHECKING:
    from salver.net.exchange import LaneExchange
    from salver.net.http import LaneProtocol


FIRST_BYTES = 8 * 1024


class FirstBytes(asyncio.BufferedProtocol):
    """Reads the head behind a large body in a small piece: another such body probably follows, and as much of it as
    comes with the head is copied. For any other request the connection is itself again.

    `buffer` may be shared by all connections of a loop: it is empty again when `buffer_updated` returns.
    """

    def __init__(self, http: LaneProtocol, buffer: memoryview) -> None:
        self._http = http
        self._buffer = buffer
        http.transport.set_protocol(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        http = self._http
        data = bytes(self._buffer[:nbytes])
        if http.recall_large(data):
            return
        http.data_received(data)
        transport = http.transport
        if not http.is_reading_head and not transport.is_closing() and transport.get_protocol() is self:
            transport.set_protocol(http)

    def connection_lost(self, exc: Exception | None) -> None:
        self._http.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return None

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()


class LargeBody(asyncio.BufferedProtocol):
    """Takes the connection's protocol over for the rest of one body, then gives it back.

    The buffer offered to the transport ends where the body ends, so nothing of the next request is ever read here.
    """

    def __init__(
        self,
        http: LaneProtocol,
        lane: LaneExchange,
        length: int,
        parts: Sequence[bytes | bytearray],
        buffer: SlabSlice | bytearray,
    ) -> None:
        self._http = http
        self._lane = lane
        self._view = buffer.view if isinstance(buffer, SlabSlice) else memoryview(buffer)
        self._length = length
        self._filled = 0
        for part in parts:
            self._view[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
        lane.body = buffer
        http.transport.set_protocol(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        self._http.body_bytes = self._filled
        if self._filled == self._length:
            self._http.large_body_received(self._lane)

    def connection_lost(self, exc: Exception | None) -> None:
        self._http.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return None

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()
