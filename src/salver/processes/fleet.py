"""The front ends of one server: one in this process, or several beside it that are replaced when they die."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from salver.processes.control import ControlHalf
from salver.processes.frontend import FrontEnd
from salver.processes.keeper import Keeper
from salver.replicas.slab import Slab


class Fleet(Protocol):
    """All front ends. `start`, `stopping`, `stop`, once each; `stop` even after a start that failed."""

    async def start(self) -> None:
        """Returns when every front end listens. Raises StartupError."""

    def stopping(self) -> None:
        """Front ends that end from now on are not replaced, and those that are still starting are given up."""

    async def stop(self) -> None:
        """Returns when none is left; the control half has had them finish before."""


class SingleFrontEnd:
    """One front end on the control half's own loop: no message leaves the process."""

    def __init__(self, control: ControlHalf, make: Callable[[], FrontEnd]) -> None:
        self._control = control
        self._make = make
        self._front_end: FrontEnd | None = None

    async def start(self) -> None:
        self._front_end = self._make()
        await self._control.front_ends.add(self._front_end)
        await self._front_end.listen()

    def stopping(self) -> None:
        """It is not replaced anyway."""

    async def stop(self) -> None:
        if self._front_end is not None:
            await self._control.front_ends.remove(self._front_end)
            self._front_end.close()


class FrontEndProcesses:
    """One process for each argument, all on the same ports, which somebody must keep open for this server."""

    def __init__(self, control: ControlHalf, arguments: Sequence[str], make_slab: Callable[[], Slab]) -> None:
        self._keepers = [Keeper(argument, control, make_slab) for argument in arguments]

    async def start(self) -> None:
        try:
            await asyncio.gather(*(keeper.start() for keeper in self._keepers))
        except BaseException:
            for keeper in self._keepers:
                keeper.give_up()
            raise

    def stopping(self) -> None:
        for keeper in self._keepers:
            keeper.stopping()

    async def stop(self) -> None:
        await asyncio.gather(*(keeper.stop() for keeper in self._keepers))
