"""What only the twin can do: stand still, or be led through moments that a process passes in no time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from salver.replicas.base import Failure, LoadFailed, WorkerLost
from salver.replicas.memory import READY, MemoryEngine, MemoryWorker
from salver_worker import frames
from virtual_time import run, settle


def test_what_nobody_decides_waits(spec: Callable[..., Any]) -> None:
    async def story() -> None:
        worker = await MemoryEngine().start(spec(), "m-1-1")
        loading = asyncio.ensure_future(worker.load())
        await asyncio.sleep(3600)
        assert not loading.done()
        worker.become_ready()
        assert await loading is READY
        worker.become_ready()
        worker.fail(Failure(code="LOAD_FAILED", message="It is too late for that."))
        assert await worker.load() is READY
        assert not worker.is_alive

    run(story())


def test_a_failure_that_nobody_asked_for_is_no_trouble(spec: Callable[..., Any]) -> None:
    async def story() -> None:
        worker = await MemoryEngine(lambda worker: worker.fail(Failure(code="X", message="No."))).start(spec(), "m")
        assert not worker.is_alive

    run(story())


def test_a_hanging_worker_answers_nothing_until_it_ends(spec: Callable[..., Any]) -> None:
    async def story() -> None:
        worker = await MemoryEngine(MemoryWorker.become_ready).start(spec(), "m-1-1")
        worker.hang()
        asking = asyncio.ensure_future(worker.ping())
        await asyncio.sleep(3600)
        assert not asking.done()
        began = asyncio.get_running_loop().time()
        await worker.stop(5.0)
        assert asyncio.get_running_loop().time() - began == pytest.approx(5.0)
        with pytest.raises(WorkerLost):
            await asking

    run(story())


@pytest.mark.parametrize("turns", range(5))
def test_a_worker_that_dies_while_it_takes_a_link_closes_it(spec: Callable[..., Any], turns: int) -> None:
    async def story() -> None:
        worker = await MemoryEngine(MemoryWorker.become_ready).start(spec(), "m-1-1")
        attaching = asyncio.ensure_future(worker.attach(1, -1, 0))
        for _ in range(turns):
            await asyncio.sleep(0)
        worker.die()
        await settle()
        try:
            link = await attaching
        except WorkerLost:
            return
        with link:
            link.setblocking(False)
            assert link.recv(1) == b""

    run(story())


def test_a_question_may_come_in_pieces(spec: Callable[..., Any]) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        worker = await MemoryEngine(MemoryWorker.become_ready).start(spec(), "m-1-1")
        with await worker.attach(1, -1, 0) as link:
            link.setblocking(False)
            header = {"signature": "serving_default", "tensors": [["x", "FP32", [1, 1], 4]]}
            question = frames.encode_frame(frames.PREDICT, 7, header, b"\0" * 64)
            for start in range(0, len(question), 20):
                await loop.sock_sendall(link, question[start : start + 20])
                await settle()
            answer = await received(link)
            assert frames.unpack_prefix(answer).id == 7
        worker.kill()

    run(story())


async def received(link: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(link, 65536)


def test_how_a_load_ended_stays(spec: Callable[..., Any]) -> None:
    async def story() -> None:
        worker = await MemoryEngine().start(spec(), "m-1-1")
        worker.fail(Failure(code="LOAD_FAILED", message="No weights."))
        worker.become_ready()
        with pytest.raises(LoadFailed, match="No weights"):
            await worker.load()

    run(story())
