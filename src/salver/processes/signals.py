"""How a user ends the server: the first signal asks for an orderly end, the second ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any


class StopSignals:
    """Listens for SIGTERM and SIGINT from its making on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reason: asyncio.Future[str] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        """Workers and front ends end with this process."""
        if self._reason.done():
            os._exit(128 + number)
        self._reason.set_result(f"{signal.Signals(number).name} was received")

    async def allow(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do the work unless a signal comes first; whether it was done. Raises what the work raises."""
        task = self._loop.create_task(work)
        ends: list[asyncio.Future[Any]] = [task, self._reason]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        task.cancel()
        await asyncio.wait([task])
        return False

    async def wait(self) -> str:
        """Until the first signal; which it was, as a clause."""
        return await self._reason
