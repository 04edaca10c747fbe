"""The server's end of a worker's control link: load, signs of life, new data links, cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Sequence
from typing import Any

from salver.replicas.base import WorkerLost
from salver_worker import frames

RECEIVE_BYTES = 65536
MAX_FRAME_BYTES = 32 * 1024 * 1024
"""No worker has more to say here; one that announces more is broken, or worse."""


class ControlLink:
    """Frames over one end of a socket pair. Calls are answered by id; what has no answer is sent and forgotten."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._loop = loop
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[tuple[int, dict[str, Any]]]] = {}
        self._sending = asyncio.Lock()
        self._is_lost = False
        self._reader = loop.create_task(self._read())

    async def call(self, verb: int, header: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Send a frame and wait for the one that answers it. Raises WorkerLost."""
        id = next(self._ids)
        if self._is_lost:
            raise WorkerLost
        answer: asyncio.Future[tuple[int, dict[str, Any]]] = self._loop.create_future()
        self._answers[id] = answer
        try:
            await self._send(frames.encode_frame(verb, id, header))
            return await answer
        finally:
            self._answers.pop(id, None)

    async def tell(
        self, verb: int, header: dict[str, Any] | None = None, *, id: int = 0, descriptors: Sequence[int] = ()
    ) -> None:
        """Send a frame that has no answer, with descriptors for the worker to keep. Raises WorkerLost."""
        await self._send(frames.encode_frame(verb, id, header), descriptors)

    async def _send(self, frame: bytes, descriptors: Sequence[int] = ()) -> None:
        async with self._sending:
            try:
                if descriptors:
                    sent = await self._send_with_descriptors(frame, descriptors)
                    frame = frame[sent:]
                if frame:
                    await self._loop.sock_sendall(self._socket, frame)
            except OSError as error:
                raise WorkerLost from error

    async def _send_with_descriptors(self, frame: bytes, descriptors: Sequence[int]) -> int:
        while True:
            try:
                return socket.send_fds(self._socket, [frame], list(descriptors))
            except BlockingIOError:
                await asyncio.sleep(0.001)

    async def _read(self) -> None:
        buffer = bytearray()
        try:
            while chunk := await self._loop.sock_recv(self._socket, RECEIVE_BYTES):
                buffer += chunk
                while (taken := self._take_frame(buffer)) is not None:
                    del buffer[:taken]
        except (OSError, frames.FrameError):
            return
        finally:
            self._lose()

    def _take_frame(self, buffer: bytearray) -> int | None:
        if len(buffer) < frames.PREFIX_SIZE:
            return None
        prefix = frames.unpack_prefix(buffer)
        total = frames.PREFIX_SIZE + prefix.header_length + prefix.body_length
        if total > MAX_FRAME_BYTES:
            raise frames.FrameError(f"a frame of {total} bytes is above the limit of {MAX_FRAME_BYTES}")
        if len(buffer) < total:
            return None
        header = frames.decode_header(buffer[frames.PREFIX_SIZE : frames.PREFIX_SIZE + prefix.header_length])
        answer = self._answers.get(prefix.id)
        if answer is not None and not answer.done():
            answer.set_result((prefix.verb, header))
        return total

    def _lose(self) -> None:
        self._is_lost = True
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(WorkerLost())
                answer.exception()  # whoever still waits to send hears it there, and never asks here

    def close(self) -> None:
        """Whatever is being sent fails; the socket itself is closed once the loop no longer looks at it."""
        self._lose()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.cancel()
        self._reader.add_done_callback(lambda _: self._loop.call_soon(self._socket.close))
