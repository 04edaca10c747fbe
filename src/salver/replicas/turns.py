"""Who may begin to load: so many at one time, and nobody waits long for one that takes its time.

What loads takes a core for itself. More of them than there are cores to spare make each other, and all that answers,
slower, and none of them is there sooner.
"""

from __future__ import annotations

import asyncio
import os

HOLD_S = 1.0
"""How long a turn lasts at most: whoever loads for longer goes on while others begin."""


def half_of_the_processors() -> int:
    """Of those that this process may use; at least one."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // 2)


class Turns:
    """Come in the order in which they are asked for. Owned by one loop."""

    def __init__(self, count: int) -> None:
        """With a `count` of 0 there is no bound."""
        self._free = asyncio.Semaphore(count) if count else None

    async def take(self, unwanted: asyncio.Event) -> Turn | None:
        """Waits for a turn; None when `unwanted` is set before it comes."""
        if self._free is None:
            return Turn(None)
        acquiring = asyncio.ensure_future(self._free.acquire())
        giving_up = asyncio.ensure_future(unwanted.wait())
        turn = None
        try:
            await asyncio.wait([acquiring, giving_up], return_when=asyncio.FIRST_COMPLETED)
            if not unwanted.is_set():
                turn = Turn(self._free)
            return turn
        finally:
            giving_up.cancel()
            if turn is None and acquiring.done():
                self._free.release()
            elif turn is None:
                acquiring.cancel()


class Turn:
    """Ends once: when it is given back, or when it has lasted long enough."""

    def __init__(self, free: asyncio.Semaphore | None) -> None:
        self._free = free
        self._alarm = None if free is None else asyncio.get_running_loop().call_later(HOLD_S, self.end)

    def end(self) -> None:
        if self._free is not None and self._alarm is not None:
            self._alarm.cancel()
            self._free.release()
            self._free = None
