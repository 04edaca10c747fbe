"""The server's end of a worker's control link: calls answered by number, the rest told and forgotten."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
import uvloop

from salver.replicas.base import WorkerLost
from salver.replicas.control import MAX_FRAME_BYTES, ControlLink
from salver_worker import frames


class Wired:
    """A control link with its far end."""

    async def __aenter__(self) -> Wired:
        ours, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.loop = asyncio.get_running_loop()
        self.link = ControlLink(ours, self.loop)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.link.close()
        self.far.close()
        await asyncio.sleep(0)

    async def receive(self) -> tuple[int, int, dict]:
        raw = await self._exactly(frames.PREFIX_SIZE)
        prefix = frames.unpack_prefix(raw)
        return prefix.verb, prefix.id, frames.decode_header(await self._exactly(prefix.header_length))

    async def _exactly(self, size: int) -> bytes:
        raw = b""
        while len(raw) < size:
            raw += await self.loop.sock_recv(self.far, size - len(raw))
        return raw

    async def send(self, raw: bytes) -> None:
        await self.loop.sock_sendall(self.far, raw)


def play(story) -> None:
    async def run() -> None:
        async with asyncio.timeout(10), Wired() as wired:
            await story(wired)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_calls_are_answered_by_number_in_any_order() -> None:
    async def story(wired: Wired) -> None:
        calls = [asyncio.create_task(wired.link.call(frames.PING, {"n": number})) for number in range(3)]
        asked = [await wired.receive() for _ in calls]
        raw = b"".join(frames.encode_frame(frames.PONG, id, {"n": header["n"]}) for _, id, header in reversed(asked))
        for at in range(0, len(raw), 7):
            await wired.send(raw[at : at + 7])
        assert [await call for call in calls] == [(frames.PONG, {"n": number}) for number in range(3)]

    play(story)


def test_what_nobody_waits_for_is_passed_over() -> None:
    async def story(wired: Wired) -> None:
        await wired.send(frames.encode_frame(frames.PONG, 77, {}))
        call = asyncio.create_task(wired.link.call(frames.PING))
        _, id, _ = await wired.receive()
        await wired.send(frames.encode_frame(frames.PONG, id, {}) * 2)
        assert await call == (frames.PONG, {})

    play(story)


def test_descriptors_go_with_their_frame() -> None:
    async def story(wired: Wired) -> None:
        read, write = os.pipe()
        await wired.link.tell(frames.ATTACH, {"link": 1}, descriptors=[write])
        os.close(write)
        raw, descriptors, _, _ = socket.recv_fds(wired.far, 65536, 4)
        assert frames.unpack_prefix(raw).verb == frames.ATTACH
        os.write(descriptors[0], b"x")
        assert os.read(read, 1) == b"x"
        os.close(read)
        os.close(descriptors[0])

    play(story)


def test_a_full_socket_is_waited_for_with_descriptors_in_hand() -> None:
    async def story(wired: Wired) -> None:
        filling = asyncio.create_task(wired.link.tell(frames.LOAD, {"text": "a" * 3_000_000}))
        read, write = os.pipe()
        attaching = asyncio.create_task(wired.link.tell(frames.ATTACH, {"link": 1}, descriptors=[write]))
        await asyncio.sleep(0.01)
        assert not filling.done()
        raw = bytearray()
        descriptors: list[int] = []
        while not (filling.done() and attaching.done() and descriptors):
            try:
                data, found, _, _ = socket.recv_fds(wired.far, 1 << 20, 4)
            except BlockingIOError:
                await asyncio.sleep(0.001)
                continue
            raw += data
            descriptors += found
        first = frames.unpack_prefix(raw)
        at = frames.PREFIX_SIZE + first.header_length
        assert frames.unpack_prefix(raw, at).verb == frames.ATTACH
        for descriptor in (read, write, *descriptors):
            os.close(descriptor)

    play(story)


def test_the_end_of_the_worker_ends_every_call() -> None:
    async def story(wired: Wired) -> None:
        calls = [asyncio.create_task(wired.link.call(frames.PING)) for _ in range(3)]
        await wired.receive()
        wired.far.close()
        for call in calls:
            with pytest.raises(WorkerLost):
                await call
        with pytest.raises(WorkerLost):
            await wired.link.call(frames.PING)
        with pytest.raises(WorkerLost):
            await wired.link.tell(frames.STOP)
        read, write = os.pipe()
        with pytest.raises(WorkerLost):
            await wired.link.tell(frames.ATTACH, descriptors=[write])
        os.close(read)
        os.close(write)

    play(story)


BROKEN = {
    "noise": b"noise" * 20,
    "a header that is no JSON": frames.pack_prefix(frames.PONG, 1, 0, 3, 0) + b"abc",
    "a header that is no object": frames.pack_prefix(frames.PONG, 1, 0, 2, 0) + b"[]",
    "a frame beyond measure": frames.pack_prefix(frames.PONG, 1, 0, 0, MAX_FRAME_BYTES),
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_a_worker_that_does_not_keep_to_the_protocol_is_lost(raw) -> None:
    async def story(wired: Wired) -> None:
        call = asyncio.create_task(wired.link.call(frames.PING))
        await wired.receive()
        await wired.send(raw)
        with pytest.raises(WorkerLost):
            await call

    play(story)


def test_a_call_that_is_given_up_leaves_nothing_behind() -> None:
    async def story(wired: Wired) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wired.link.call(frames.PING), 0.01)
        assert wired.link._answers == {}
        _, id, _ = await wired.receive()
        await wired.send(frames.encode_frame(frames.PONG, id, {}))
        call = asyncio.create_task(wired.link.call(frames.PING))
        await wired.receive()
        await wired.send(frames.encode_frame(frames.PONG, id + 1, {"late": False}))
        assert await call == (frames.PONG, {"late": False})

    play(story)


def test_after_its_close_a_link_is_lost() -> None:
    async def story(wired: Wired) -> None:
        call = asyncio.create_task(wired.link.call(frames.PING))
        await wired.receive()
        wired.link.close()
        with pytest.raises(WorkerLost):
            await call
        with pytest.raises(WorkerLost):
            await wired.link.call(frames.PING)
        with pytest.raises(WorkerLost):
            await wired.link.tell(frames.STOP)

    play(story)


def test_a_call_that_is_still_being_sent_hears_of_the_close() -> None:
    async def story(wired: Wired) -> None:
        call = asyncio.create_task(wired.link.call(frames.LOAD, {"text": "a" * 5_000_000}))
        await asyncio.sleep(0.01)
        wired.link.close()
        wired.link.close()
        with pytest.raises(WorkerLost):
            await call

    play(story)
