"""Large bodies on their way from the socket into shared memory, without a copy in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from salver.types import SlabSlice

if TYPE_CHECKING:
    from salver.net.exchange import LaneExchange
    from salver.net.http import LaneProtocol


FIRST_BYTES = 8 * 1024


class LargeReader(asyncio.BufferedProtocol):
    """Reads a connection in the place of its own protocol, from a large body on: body by body, each straight into its
    place, and the head behind it in a small piece, since another such body probably follows and as much of it as comes
    with the head is copied. At any other request the connection is itself again.

    One of these lasts as long as its connection. `scratch`, for the heads, may be shared by all connections of a loop:
    it is empty again when `buffer_updated` returns.
    """

    def __init__(self, http: LaneProtocol, scratch: memoryview) -> None:
        self._http = http
        self._scratch = scratch
        self._lane: LaneExchange | None = None
        """Whose body is arriving; None while a head is."""
        self._room = scratch
        """Where the next bytes go."""
        self._view = scratch
        self._length = 0
        self._filled = 0

    @property
    def is_in_body(self) -> bool:
        return self._lane is not None

    def take_body(
        self, lane: LaneExchange, length: int, parts: Sequence[bytes | bytearray], buffer: SlabSlice | bytearray
    ) -> None:
        """Receive the rest of a body of which `parts` are there.

        The buffer offered to the transport ends where the body ends, so nothing of the next request is read with it.
        """
        view = buffer.view if isinstance(buffer, SlabSlice) else memoryview(buffer)
        filled = 0
        for part in parts:
            end = filled + len(part)
            view[filled:end] = part
            filled = end
        lane.body = buffer
        self._lane = lane
        self._length = length
        self._filled = filled
        self._view = view
        self._room = view[filled:]
        transport = self._http.transport
        if transport.get_protocol() is not self:
            transport.set_protocol(self)

    def forget_body(self) -> None:
        """The body is there, or its request was refused."""
        self._lane = None
        self._room = self._view = self._scratch

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        lane = self._lane
        if lane is None:
            self._head_read(nbytes)
            return
        filled = self._filled = self._filled + nbytes
        self._http.body_bytes = filled
        if filled == self._length:
            self.forget_body()
            self._http.large_body_received(lane)
        else:
            self._room = self._view[filled:]

    def _head_read(self, nbytes: int) -> None:
        http = self._http
        data = bytes(self._scratch[:nbytes])
        if http.recall_large(data):
            return
        http.data_received(data)
        transport = http.transport
        if self._lane is not None or http.is_reading_head or transport.is_closing():
            return
        if transport.get_protocol() is self:
            transport.set_protocol(http)

    def connection_lost(self, exc: Exception | None) -> None:
        self._http.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return None

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()
