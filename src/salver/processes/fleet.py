"""The front ends of one server: one in this process, or several beside it that are replaced when they die."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence

from salver.errors import Code, SalverError, StartupError
from salver.processes.channel import ChannelClosed
from salver.processes.control import ControlHalf
from salver.processes.frontend import FrontEnd
from salver.processes.remote import RemoteFrontEnd, start_front_end
from salver.replicas.slab import Slab

log = logging.getLogger("salver.processes")
START_TIMEOUT_S = 60.0
PAUSE_S = 0.5
"""Between the death of a front end and the start of the next: one that cannot start must not spin."""


class Fleet:
    """Starts the front ends and keeps them. `start`, `stopping`, `stop`, once each."""

    def __init__(self, control: ControlHalf) -> None:
        self._control = control
        self._make: Callable[[], FrontEnd] | None = None
        self._arguments: Sequence[str] = ()
        self._make_slab: Callable[[], Slab] | None = None
        self._reserved: Sequence[socket.socket] = ()
        self._keepers: list[asyncio.Task[None]] = []
        self._is_stopping = False

    @classmethod
    def in_this_process(cls, control: ControlHalf, make: Callable[[], FrontEnd]) -> Fleet:
        """One front end on the control half's own loop: no message leaves the process."""
        fleet = cls(control)
        fleet._make = make
        return fleet

    @classmethod
    def of_processes(
        cls,
        control: ControlHalf,
        arguments: Sequence[str],
        make_slab: Callable[[], Slab],
        reserved: Sequence[socket.socket],
    ) -> Fleet:
        """One process for each argument, all on the same ports; `reserved` keeps the ports ours meanwhile."""
        fleet = cls(control)
        fleet._arguments = arguments
        fleet._make_slab = make_slab
        fleet._reserved = reserved
        return fleet

    async def start(self) -> None:
        """Returns when every front end listens. Raises StartupError."""
        if self._make is not None:
            front_end = self._make()
            await self._control.add_front_end(front_end)
            await front_end.listen()
            return
        loop = asyncio.get_running_loop()
        firsts = [loop.create_future() for _ in self._arguments]
        self._keepers = [
            loop.create_task(self._keep(argument, first))
            for argument, first in zip(self._arguments, firsts, strict=True)
        ]
        await asyncio.wait_for(asyncio.gather(*firsts), START_TIMEOUT_S)

    def stopping(self) -> None:
        """Front ends that end from now on are not replaced."""
        self._is_stopping = True

    async def stop(self) -> None:
        _, late = await asyncio.wait(self._keepers, timeout=5.0) if self._keepers else (set(), set())
        for keeper in late:
            keeper.cancel()
        for sock in self._reserved:
            sock.close()

    async def _keep(self, argument: str, first: asyncio.Future[None]) -> None:
        """One front end after the other, until the server stops."""
        while not self._is_stopping:
            assert self._make_slab is not None
            slab = self._make_slab()
            front_end, process = await start_front_end(argument, self._control, slab)
            try:
                await self._bring_up(front_end, first)
                await process.wait()
            except (SalverError, ChannelClosed) as error:
                if not first.done():
                    first.set_exception(_as_startup_error(error))
                    return
                log.error("front_end_failed", extra={"error": str(error)})
            finally:
                self._control.remove_front_end(front_end)
                front_end.channel.close()
                slab.close()
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            if not self._is_stopping:
                log.error("front_end_ended", extra={"pid": front_end.pid, "status": process.returncode})
                await asyncio.sleep(PAUSE_S)

    async def _bring_up(self, front_end: RemoteFrontEnd, first: asyncio.Future[None]) -> None:
        await self._control.add_front_end(front_end)
        await front_end.listen()
        if not first.done():
            first.set_result(None)


def _as_startup_error(error: Exception) -> StartupError:
    if isinstance(error, StartupError):
        return error
    return StartupError(Code.INTERNAL, "A front-end process ended while it started; its last words are above.")
