"""Processes are started beside the event loop, and their end is heard of in it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from salver.replicas.child import started

Play = Callable[[Awaitable[Any]], Any]


def program(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


@pytest.mark.parametrize(("command", "status"), [("exit 3", 3), ("kill -9 $$", -9)])
@pytest.mark.parametrize("has_pidfd", [True, False])
def test_the_end_is_heard_of(
    play: Play, monkeypatch: pytest.MonkeyPatch, command: str, status: int, has_pidfd: bool
) -> None:
    if not has_pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)

    async def story() -> int:
        child = await started(lambda: program("/bin/sh", "-c", command))
        return await child.wait()

    assert play(story()) == status


def test_the_loop_goes_on_while_a_process_is_started(play: Play) -> None:
    async def story() -> int:
        may_start = threading.Event()

        def begin() -> subprocess.Popen[bytes]:
            assert may_start.wait(10)
            return program("/bin/true")

        starting = asyncio.create_task(started(begin))
        await asyncio.sleep(0)
        may_start.set()  # nobody could say so, if starting it stopped the loop
        return await (await starting).wait()

    assert play(story()) == 0


def test_what_cannot_be_started_says_why(play: Play) -> None:
    async def story() -> None:
        await started(lambda: program("/no/such/program"))

    with pytest.raises(FileNotFoundError):
        play(story())


def test_whoever_gives_up_while_it_is_started_leaves_no_process_and_nobody_using_what_it_lent(play: Play) -> None:
    begun, may_start, pids = threading.Event(), threading.Event(), []

    def begin() -> subprocess.Popen[bytes]:
        begun.set()
        assert may_start.wait(10)
        process = program("/bin/sleep", "60")
        pids.append(process.pid)
        return process

    async def story() -> None:
        starting = asyncio.create_task(started(begin))
        await asyncio.to_thread(begun.wait, 10)
        starting.cancel()
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.sleep(0)
        assert not starting.done()
        may_start.set()
        with pytest.raises(asyncio.CancelledError):
            await starting

    play(story())
    (pid,) = pids
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_giving_up_what_cannot_be_started_is_giving_up(play: Play) -> None:
    begun, may_start = threading.Event(), threading.Event()

    def begin() -> subprocess.Popen[bytes]:
        begun.set()
        assert may_start.wait(10)
        return program("/no/such/program")

    async def story() -> None:
        starting = asyncio.create_task(started(begin))
        await asyncio.to_thread(begun.wait, 10)
        starting.cancel()
        await asyncio.sleep(0)
        may_start.set()
        with pytest.raises(asyncio.CancelledError):
            await starting

    play(story())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_process_that_ends_with_its_parent_lives_as_long_as_the_server(play: Play) -> None:
    """Its parent is the thread that started it."""
    code = "import ctypes, time; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); print(flush=True); time.sleep(60)"

    def begin() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None
        with process.stdout as told:
            told.readline()
        return process

    async def story() -> int:
        child = await started(begin)
        waiting = asyncio.create_task(child.wait())
        await (await started(lambda: program("/bin/true"))).wait()
        await asyncio.sleep(0.05)
        assert not waiting.done()
        os.kill(child.pid, signal.SIGTERM)
        return await waiting

    assert play(story()) == -signal.SIGTERM
