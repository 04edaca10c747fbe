"""The front end's side of a data link: one batch out, one answer in, whatever the worker sends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from salver.replicas import link as link_module
from salver.replicas.link import JOIN_BYTES, RECEIVE_BYTES, Link
from salver_worker import frames


class Owner:
    def __init__(self) -> None:
        self.lost: list[Link] = []
        self.told = asyncio.Event()

    def link_lost(self, link: Link) -> None:
        self.lost.append(link)
        self.told.set()


class Far:
    """The worker's end, in the hands of the test."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            await asyncio.get_running_loop().sock_sendall(self.sock, piece)
            await asyncio.sleep(0)

    async def receive(self) -> tuple[frames.Prefix, bytes, bytes]:
        raw = await self._exactly(frames.PREFIX_SIZE)
        prefix = frames.unpack_prefix(raw)
        return prefix, await self._exactly(prefix.header_length), await self._exactly(prefix.body_length)

    async def _exactly(self, size: int) -> bytes:
        raw = b""
        while len(raw) < size:
            piece = await asyncio.get_running_loop().sock_recv(self.sock, size - len(raw))
            assert piece, "the link was closed"
            raw += piece
        return raw


class Wired:
    """A link with its far end, and what its replies were."""

    def __init__(self) -> None:
        self.owner = Owner()
        self.link = Link("r1", 1, self.owner)
        self.replies: list[tuple[int, bytes, bytes] | None] = []
        self.answered = asyncio.Event()
        self.parts: list[Any] = []

    async def __aenter__(self) -> Wired:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self.link, sock=ours)
        self.far = Far(theirs)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.link.close()
        self.far.sock.close()
        await asyncio.sleep(0)

    def send(self, body: bytes = b"body", header: bytes = b"{}", deadline_ms: int = 5, on_part: Any = None) -> int:
        return self.link.send(header, [body], len(body), deadline_ms, self.reply, on_part)

    def ask_for_parts(self) -> None:
        self.send(on_part=lambda part: self.parts.append((part.verb, part.header, bytes(part.body))))

    def reply(self, result) -> None:
        assert self.link.is_idle or result is None
        self.replies.append(None if result is None else (result.verb, result.header, bytes(result.body)))
        self.answered.set()

    async def done(self) -> None:
        await asyncio.wait_for(self.answered.wait(), 5)
        self.answered.clear()

    async def gone(self) -> None:
        await asyncio.wait_for(self.owner.told.wait(), 5)


def play(story) -> None:
    async def run() -> None:
        async with Wired() as wired:
            await story(wired)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def answer(id: int, body: bytes = b"answer", header: bytes = b'{"a":1}', verb: int = frames.RESULT) -> bytes:
    return frames.pack_prefix(verb, id, 0, len(header), len(body)) + header + body


@pytest.mark.parametrize("size", [0, 10, JOIN_BYTES, JOIN_BYTES + 1, 3_000_000])
def test_a_batch_goes_out_whole_and_its_answer_comes_in_whole(size) -> None:
    async def story(wired: Wired) -> None:
        body = bytes(range(256)) * (size // 256) + bytes(size % 256)
        for id in (1, 2, 3):
            assert wired.link.is_idle
            assert wired.send(body) == id
            assert not wired.link.is_idle
            prefix, header, received = await wired.far.receive()
            assert (prefix.verb, prefix.id, prefix.deadline_ms, header) == (frames.PREDICT, id, 5, b"{}")
            assert received == body
            sending = asyncio.create_task(wired.far.send(answer(id, body)))
            await wired.done()
            await sending
            assert wired.replies.pop() == (frames.RESULT, b'{"a":1}', body)

    play(story)


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 60), max_size=6), size=st.integers(0, 100))
def test_an_answer_may_come_in_any_pieces(cuts, size) -> None:
    async def story(wired: Wired) -> None:
        wired.send()
        raw = answer(1, b"a" * size)
        for cut in cuts:
            await wired.far.send(raw[:cut])
            raw = raw[cut:]
        await wired.far.send(raw or b"")
        await wired.done()
        assert wired.replies == [(frames.RESULT, b'{"a":1}', b"a" * size)]

    play(story)


def test_the_buffer_does_not_stay_as_big_as_the_biggest_answer() -> None:
    async def story(wired: Wired) -> None:
        wired.send()
        sending = asyncio.create_task(wired.far.send(answer(1, bytes(2_000_000))))
        await wired.done()
        await sending
        assert len(wired.link._buffer) == RECEIVE_BYTES

    play(story)


def test_a_link_takes_one_batch_at_a_time() -> None:
    async def story(wired: Wired) -> None:
        wired.send()
        with pytest.raises(RuntimeError):
            wired.send()

    play(story)


def part(body: bytes, id: int = 1) -> bytes:
    return answer(id, body, verb=frames.PART)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 100, RECEIVE_BYTES, RECEIVE_BYTES + 1]), min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 200), max_size=6),
)
def test_parts_come_in_any_pieces_before_the_answer(sizes, cuts) -> None:
    async def story(wired: Wired) -> None:
        for round in (1, 2):
            wired.ask_for_parts()
            raw = b"".join(part(bytes(size), round) for size in sizes) + answer(round)
            pieces = []
            for cut in cuts:
                pieces.append(raw[:cut])
                raw = raw[cut:]
            sending = asyncio.create_task(wired.far.send(*pieces, raw))
            await wired.done()
            await sending
            assert wired.parts == [(frames.PART, b'{"a":1}', bytes(size)) for size in sizes]
            assert wired.replies == [(frames.RESULT, b'{"a":1}', b"answer")]
            wired.parts.clear()
            wired.replies.clear()
            assert len(wired.link._buffer) == RECEIVE_BYTES

    play(story)


def test_many_parts_in_one_read() -> None:
    async def story(wired: Wired) -> None:
        wired.ask_for_parts()
        await wired.far.send(part(b"") * 5000 + answer(1))
        await wired.done()
        assert len(wired.parts) == 5000

    play(story)


def test_a_part_comes_at_once() -> None:
    async def story(wired: Wired) -> None:
        came = asyncio.Event()
        wired.send(on_part=lambda _: came.set())
        await wired.far.send(part(b"first"))
        await asyncio.wait_for(came.wait(), 5)
        assert not wired.link.is_idle
        await wired.far.send(answer(1))
        await wired.done()

    play(story)


UNWANTED = {
    "another batch's part": (True, part(b"a", 2)),
    "another batch's part behind a good one": (True, part(b"a") + part(b"a", 2)),
    "noise behind a part": (True, part(b"a") + b"noise" * 20),
    "a part behind the answer": (True, answer(1) + part(b"a")),
    "a part for who takes none": (False, part(b"a")),
}


@pytest.mark.parametrize(("takes_parts", "raw"), UNWANTED.values(), ids=UNWANTED.keys())
def test_parts_that_nobody_asked_for_cut_the_worker_off(takes_parts, raw) -> None:
    async def story(wired: Wired) -> None:
        if takes_parts:
            wired.ask_for_parts()
        else:
            wired.send()
        await wired.far.send(raw)
        await wired.done()
        await wired.gone()
        assert wired.replies == [None]

    play(story)


BROKEN = {
    "another batch's answer": answer(2),
    "an answer twice": answer(1) * 2,
    "noise": b"noise" * 20,
    "a header beyond measure": frames.PREFIX.pack(frames.MAGIC, frames.RESULT, 0, 0, 1, 0, 1 << 31, 0),
    "a body beyond measure": frames.PREFIX.pack(frames.MAGIC, frames.RESULT, 0, 0, 1, 0, 0, 1 << 62),
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_a_worker_that_does_not_keep_to_the_protocol_is_cut_off(raw) -> None:
    """At once: the same bytes were once looked at again and again, and the server stood still."""

    async def story(wired: Wired) -> None:
        wired.send()
        await wired.far.send(raw)
        await wired.done()
        await wired.gone()
        assert wired.replies == [None]
        assert not wired.link.is_open

    play(story)


def test_an_answer_nobody_asked_for_cuts_the_worker_off() -> None:
    async def story(wired: Wired) -> None:
        await wired.far.send(answer(1))
        await wired.gone()
        assert wired.replies == []

    play(story)


@pytest.mark.parametrize("sent", [0, 10, frames.PREFIX_SIZE, frames.PREFIX_SIZE + 10])
def test_a_worker_that_ends_is_told_to_the_batch_and_then_to_the_owner(sent) -> None:
    async def story(wired: Wired) -> None:
        wired.send()
        await wired.far.send(answer(1)[:sent])
        wired.far.sock.close()
        await wired.done()
        await wired.gone()
        assert wired.replies == [None]
        assert wired.owner.lost == [wired.link]
        assert not wired.link.is_idle
        with pytest.raises(RuntimeError):
            wired.send()
        wired.link.close()

    play(story)


def test_a_link_that_is_not_open_yet_is_not_idle() -> None:
    link = Link("r1", 1, Owner())
    assert not link.is_idle
    assert not link.is_open
    link.close()
    link._abort()
    assert link_module.MAX_RESULT_BYTES > RECEIVE_BYTES
