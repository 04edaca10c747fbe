"""Requests for versions that sleep: each waits until its version serves, or it is told why not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from salver.errors import Code, RequestError, SalverError
from salver.types import ModelVersion

log = logging.getLogger("salver.frontend")
MAX_PARKED = 1000
"""More are refused: each holds its body."""

Resume: TypeAlias = Callable[[SalverError | None, float], None]
"""Called once on the loop: with None when the version serves, else with the reason; and the seconds that it took."""
Wake: TypeAlias = Callable[[str, int | None], Awaitable[None]]


class Parking:
    """Of one front end; owned by its loop. However many requests wait for a version, it is asked for once."""

    def __init__(self, wake: Wake, loop: asyncio.AbstractEventLoop, *, max_parked: int = MAX_PARKED) -> None:
        self._wake = wake
        self._loop = loop
        self._max_parked = max_parked
        self._waiting: dict[ModelVersion, dict[Resume, float]] = {}
        """Who waits for what, and since when."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        return sum(map(len, self._waiting.values()))

    def park(self, id: ModelVersion, resume: Resume) -> None:
        """Hold a request until the version serves. Raises RequestError(OVERLOADED) when too many are held."""
        if self.count >= self._max_parked:
            message = f"Too many requests wait for models that are being loaded; {id} is one."
            raise RequestError(Code.OVERLOADED, message, retry_after_s=5.0)
        is_first = id not in self._waiting
        self._waiting.setdefault(id, {})[resume] = self._loop.time()
        if is_first:
            task = self._loop.create_task(self._fetch(id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def leave(self, id: ModelVersion, resume: Resume) -> None:
        """The client is gone, or the request's time is up: it is not resumed any more."""
        self._waiting.get(id, {}).pop(resume, None)

    async def _fetch(self, id: ModelVersion) -> None:
        error: SalverError | None = None
        try:
            await self._wake(id.model, id.version)
        except SalverError as failure:
            error = failure
        except Exception as failure:
            log.exception("prediction_failed")
            error = RequestError(Code.INTERNAL, "The server failed on this request.", log_detail=repr(failure))
        now = self._loop.time()
        for resume, since in self._waiting.pop(id).items():
            resume(error, now - since)
