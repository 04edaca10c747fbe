"""Threads for long work that nobody who asks a model should feel: copying, unpacking and hashing artefacts.

On Linux each thread has a priority of its own; elsewhere these have that of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

NICENESS = 10
"""Others get nine times as much of a core, where there is not enough for all."""
THREADS = 4


async def in_background(work: Callable[..., T], *arguments: object) -> T:
    """`asyncio.to_thread` at a low priority. Whoever stops waiting does not stop the work."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), functools.partial(work, *arguments))


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """The process's, begun when they are first needed."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="background", initializer=_step_back)


def _step_back() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a sandbox may forbid it; then it is as it was
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
