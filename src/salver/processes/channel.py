"""Messages between the control half and a front end in another process: typed, answered, able to carry descriptors."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from salver.errors import Code, SalverError

log = logging.getLogger("salver.processes")
LENGTH = struct.Struct("<I")
MAX_DESCRIPTORS = 4
RECEIVE_BYTES = 65536
CLOSE_ON_EXEC = socket.MSG_CMSG_CLOEXEC
T = TypeVar("T")


class Message(msgspec.Struct, array_like=True, frozen=True):
    """One message. `answers` is the number of the message that this one answers; 0: it is a request."""

    number: int
    answers: int
    name: str
    body: msgspec.Raw
    error: tuple[str, str, str] | None = None
    """Code, message and fix, when the answer is an error."""
    has_descriptor: bool = False


class Letter:
    """A message on its way out, with a descriptor of its own."""

    __slots__ = ("descriptor", "frame", "sent")

    def __init__(self, frame: bytes, descriptor: int | None, sent: asyncio.Future[None]) -> None:
        self.frame = frame
        self.descriptor = descriptor
        self.sent = sent

    def drop(self) -> None:
        """It will not be sent."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
        if not self.sent.done():
            self.sent.set_exception(ChannelClosed())


class ChannelClosed(Exception):
    """The other half is gone."""


Handler = Callable[[str, msgspec.Raw, int | None], Awaitable[Any]]
"""Takes a message's name, its body and, where it carries one, a descriptor that the handler then owns."""


class Channel:
    """One end of a Unix stream socket. Requests are handled one after the other, in the order they were sent."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop, handler: Handler) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._loop = loop
        self._handler = handler
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._outgoing: asyncio.Queue[Letter] = asyncio.Queue()
        self._buffer = bytearray()
        self._descriptors: list[int] = []
        self._incoming: asyncio.Queue[tuple[Message, int | None] | None] = asyncio.Queue()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Message)
        self.closed: asyncio.Future[None] = loop.create_future()
        loop.add_reader(sock.fileno(), self._readable)
        self._worker = loop.create_task(self._work())
        self._writer = loop.create_task(self._write())

    # Out

    async def request(self, name: str, body: Any, result: type[T], *, descriptor: int | None = None) -> T:
        """Send a message and return its answer. Raises SalverError (the other half's) or ChannelClosed."""
        number = next(self._numbers)
        answer: asyncio.Future[msgspec.Raw] = self._loop.create_future()
        self._waiting[number] = answer
        try:
            await self._send(Message(number, 0, name, self._raw(body), None, descriptor is not None), descriptor)
            return msgspec.msgpack.decode(await answer, type=result)
        finally:
            self._waiting.pop(number, None)

    async def tell(self, name: str, body: Any) -> None:
        """Send a message without waiting for what becomes of it. Raises ChannelClosed."""
        await self._send(Message(0, 0, name, self._raw(body)))

    def _raw(self, body: Any) -> msgspec.Raw:
        return msgspec.Raw(self._encoder.encode(body))

    async def _send(self, message: Message, descriptor: int | None = None) -> None:
        """Return when the message has left. It is sent whole, also when whoever waits for that gives up."""
        if self.closed.done():
            raise ChannelClosed
        raw = self._encoder.encode(message)
        kept = None if descriptor is None else os.dup(descriptor)
        letter = Letter(LENGTH.pack(len(raw)) + raw, kept, self._loop.create_future())
        self._outgoing.put_nowait(letter)
        await letter.sent

    async def _write(self) -> None:
        while True:
            letter = await self._outgoing.get()
            try:
                await self._write_letter(letter)
            except OSError:
                self._outgoing.put_nowait(letter)
                self._lost()
                return
            except asyncio.CancelledError:
                self._outgoing.put_nowait(letter)
                raise
            if not letter.sent.done():
                letter.sent.set_result(None)

    async def _write_letter(self, letter: Letter) -> None:
        frame = letter.frame
        if letter.descriptor is not None:
            sent = await self._send_descriptor(frame, letter.descriptor)
            os.close(letter.descriptor)
            letter.descriptor = None
            frame = frame[sent:]
        if frame:
            await self._loop.sock_sendall(self._socket, frame)

    async def _send_descriptor(self, frame: bytes, descriptor: int) -> int:
        while True:
            try:
                return socket.send_fds(self._socket, [frame], [descriptor])
            except BlockingIOError:
                await asyncio.sleep(0.001)

    # In

    def _readable(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, RECEIVE_BYTES, MAX_DESCRIPTORS, CLOSE_ON_EXEC)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        self._descriptors.extend(descriptors)
        if not data:
            self._lost()
            return
        self._buffer += data
        while len(self._buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer)
            end = LENGTH.size + length
            if len(self._buffer) < end:
                return
            self._take(self._decoder.decode(bytes(self._buffer[LENGTH.size : end])))
            del self._buffer[:end]

    def _take(self, message: Message) -> None:
        descriptor = self._descriptors.pop(0) if message.has_descriptor else None
        if not message.answers:
            self._incoming.put_nowait((message, descriptor))
            return
        answer = self._waiting.get(message.answers)
        if answer is None or answer.done():
            return
        if message.error is None:
            answer.set_result(message.body)
        else:
            code, text, fix = message.error
            answer.set_exception(SalverError(Code(code), text, fix=fix))

    async def _work(self) -> None:
        while (item := await self._incoming.get()) is not None:
            message, descriptor = item
            error: tuple[str, str, str] | None = None
            result: Any = None
            try:
                result = await self._handler(message.name, message.body, descriptor)
            except SalverError as failure:
                error = (failure.code.value, failure.message, failure.fix)
            except Exception:
                log.exception("message_failed", extra={"message_name": message.name})
                error = (Code.INTERNAL.value, "The server failed on this request.", Code.INTERNAL.fix)
            if message.number:
                try:
                    await self._send(Message(0, message.number, message.name, self._raw(result), error))
                except ChannelClosed:
                    return

    def _lost(self) -> None:
        if self.closed.done():
            return
        self._loop.remove_reader(self._socket.fileno())
        self.closed.set_result(None)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ChannelClosed())
                answer.exception()  # whoever still waits to send hears it there, and never asks here
        self._incoming.put_nowait(None)
        self._writer.cancel()
        self._writer.add_done_callback(self._drop_letters)

    def _drop_letters(self, _: object) -> None:
        while not self._outgoing.empty():
            self._outgoing.get_nowait().drop()

    def close(self) -> None:
        """The socket itself is closed once nothing is being written to it."""
        self._lost()
        self._worker.cancel()
        while not self._incoming.empty():
            item = self._incoming.get_nowait()
            if item is not None and item[1] is not None:
                self._descriptors.append(item[1])
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        self._writer.add_done_callback(lambda _: self._socket.close())


def raw_value(raw: msgspec.Raw, type: type[T]) -> T:
    """The body of a message as a value of `type`."""
    return msgspec.msgpack.decode(raw, type=type)
