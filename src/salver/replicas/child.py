"""Starts a process, and hears of its end, without ever stopping the event loop.

Starting one takes milliseconds in which its parent stands still, unless a thread does it: uvloop does it in
the loop, where every request waits for it. The thread that starts all of them lives as long as this process: Linux
takes it for their parent, and sends those that ask for it (PR_SET_PDEATHSIG) their signal when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Start = Callable[[], "subprocess.Popen[bytes]"]


class Child:
    """A process that runs, or did."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self._process = process

    async def wait(self) -> int:
        """Its exit status, or a signal's number with a minus before it. Called once."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # no Linux, or no descriptor to be had
            return await self._wait_in_a_thread()
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        loop.add_reader(descriptor, _note, ended)
        try:
            await ended
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self._process.wait()

    async def _wait_in_a_thread(self) -> int:
        """Of its own: it may wait for as long as the server lives."""
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def wait() -> None:
            self._process.wait()
            with contextlib.suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(_note, ended)

        threading.Thread(target=wait, daemon=True).start()
        await ended
        return self._process.wait()


async def started(begin: Start) -> Child:
    """What `begin` starts, in another thread. Raises what it raises.

    Whatever `begin` uses is not used any more when this returns or raises, also when it is cancelled: the process has
    been ended then, with its group.
    """
    starting = asyncio.get_running_loop().run_in_executor(_starter(), begin)
    try:
        return Child(await asyncio.shield(starting))
    except asyncio.CancelledError:
        while not starting.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([starting])
        if starting.exception() is None:
            process = starting.result()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise


@functools.cache
def _starter() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="starter")


def _note(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
