"""An event loop whose clock stands still while anything happens, and jumps when nothing does.

Everything of asyncio works on it unchanged (sockets, tasks, timeouts, threads), but a pause of an hour takes no time
and a test never waits for a clock. Not for child processes: they take real time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
REAL_S = 0.05
TURNS = 200


class _JumpingSelector(selectors.DefaultSelector):
    """What would be waited for is added to the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.threads = 0
        """Calls in other threads: real time passes in them."""

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None or self.threads:
            return super().select(REAL_S if timeout is not None else None)
        self.now += timeout
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: Any) -> None:
        self._jumping.threads -= 1


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine to its end in virtual time; tasks that it leaves behind are a failure."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_and_nothing_left(work))


async def _and_nothing_left(work: Coroutine[Any, Any, T]) -> T:
    result = await work
    await settle()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks were left behind: {left}"
    return result


async def settle() -> None:
    """Let everything happen that needs no time."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def until(condition: Callable[[], T], within_s: float = 600.0) -> T:
    """Pass virtual time until the condition holds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while not (value := condition()):
        assert loop.time() < end, "it never came to that"
        await asyncio.sleep(0.01)
    return value
