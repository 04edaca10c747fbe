"""Keeps one front-end process: when it dies another one is started and brought up to date, until the server stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from salver.errors import Code, SalverError, StartupError
from salver.processes.control import ControlHalf
from salver.processes.remote import RemoteFrontEnd, start_front_end
from salver.replicas.slab import Slab

log = logging.getLogger("salver.processes")
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 5.0
"""What a front end that has finished may need to end; then it is killed."""
PAUSE_S = 0.5
"""Between the death of a front end and the start of the next: one that cannot start must not spin."""


class Keeper:
    """`start`, then `stopping`, then `stop`; `stop` may be all. Its task is not cancelled: it ends with its process."""

    def __init__(self, argument: str, control: ControlHalf, make_slab: Callable[[], Slab]) -> None:
        self._argument = argument
        self._control = control
        self._make_slab = make_slab
        self._task: asyncio.Task[None] | None = None
        self._front_end: RemoteFrontEnd | None = None
        self._is_up = False
        self._is_given_up = False
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Returns when the first front end listens. Raises StartupError."""
        loop = asyncio.get_running_loop()
        first: asyncio.Future[None] = loop.create_future()
        self._task = loop.create_task(self._keep(first))
        await first

    def stopping(self) -> None:
        """From now on nothing is started; what is being started is given up."""
        self._stopping.set()
        if not self._is_up:
            self.give_up()

    def give_up(self) -> None:
        """Kill the process, in whatever state it is."""
        self._stopping.set()
        self._is_given_up = True
        if self._front_end is not None:
            self._front_end.kill()

    async def stop(self) -> None:
        """Returns when the process has ended."""
        if self._task is None:
            return
        _, late = await asyncio.wait([self._task], timeout=END_TIMEOUT_S)
        if late:
            self.give_up()
            await asyncio.wait([self._task])

    async def _keep(self, first: asyncio.Future[None]) -> None:
        while not self._stopping.is_set():
            try:
                await self._one_life(first)
            except Exception as error:  # the boundary: whatever is wrong, a front end is wanted
                if not first.done():
                    first.set_exception(_startup_error(error))
                    return
                if not self._is_given_up:
                    log.error("front_end_failed", exc_info=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await self._stopping.wait()

    async def _one_life(self, first: asyncio.Future[None]) -> None:
        slab = self._make_slab()
        try:
            self._front_end = front_end = await start_front_end(self._control, slab)
            if self._is_given_up:
                front_end.kill()
            try:
                await self._bring_up(front_end)
                if not first.done():
                    first.set_result(None)
                status = await front_end.process.wait()
                if not self._stopping.is_set():
                    log.error("front_end_ended", extra={"pid": front_end.process.pid, "status": status})
            finally:
                self._is_up = False
                self._front_end = None
                await self._clear_away(front_end)
        finally:
            slab.close()

    async def _bring_up(self, front_end: RemoteFrontEnd) -> None:
        """Raises TimeoutError, ChannelClosed or SalverError."""
        async with asyncio.timeout(START_TIMEOUT_S):
            await front_end.greet(self._argument)
            await self._control.front_ends.add(front_end)
            await front_end.listen()
        self._is_up = True

    async def _clear_away(self, front_end: RemoteFrontEnd) -> None:
        """Nobody knows of the front end, and it is gone, when this returns."""
        front_end.kill()
        front_end.close()  # first: whoever is telling it something stops waiting
        await self._control.front_ends.remove(front_end)
        await front_end.process.wait()


def _startup_error(error: Exception) -> StartupError:
    if isinstance(error, SalverError):
        return StartupError(error.code, error.message, fix=error.fix)
    if isinstance(error, TimeoutError):
        return StartupError(Code.INTERNAL, f"A front-end process did not start within {START_TIMEOUT_S:g} s.")
    if isinstance(error, OSError):
        return StartupError(Code.INTERNAL, f"A front-end process cannot be started: {error.strerror}.")
    return StartupError(Code.INTERNAL, "A front-end process ended while it started; its last words are above.")
