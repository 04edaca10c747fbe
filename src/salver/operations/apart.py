"""Work that would hold up the loop, done in a few threads beside it.

Packed tables are read here, and big ones written: a thread shares the interpreter with the loop, which goes on between
any two of its steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

from salver.errors import Code, RequestError

Then: TypeAlias = Callable[[Any, BaseException | None], None]

THREADS = 2
MOST = 64
"""How much may be under way or waiting for a thread."""


class Apart:
    """Owned by one loop, on which every result is told."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, threads: int = THREADS, most: int = MOST) -> None:
        self._loop = loop
        self._threads = threads
        self._most = most
        self._pool: ThreadPoolExecutor | None = None
        self._count = 0

    def do(self, work: Callable[[], Any], then: Then) -> None:
        """Call `then` on the loop with what the work gave or raised. Raises RequestError(OVERLOADED)."""
        if self._count >= self._most:
            raise RequestError(Code.OVERLOADED, f"{self._count} bodies wait to be read already.")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="salver-formats")
        self._count += 1
        self._pool.submit(work).add_done_callback(partial(self._done, then))

    def _done(self, then: Then, future: Future[Any]) -> None:
        """In the thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, then, future)

    def _tell(self, then: Then, future: Future[Any]) -> None:
        self._count -= 1
        error = future.exception()
        then(None if error is not None else future.result(), error)
