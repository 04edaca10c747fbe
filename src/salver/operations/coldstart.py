"""A prediction whose version sleeps: it waits until the version is loaded, as long as its deadline lets it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from salver.access.permit import Principal
from salver.errors import Code, RequestError, SalverError
from salver.operations.base import PredictRoute
from salver.operations.burst import BurstExchange
from salver.serving.batching.ticket import Ticket
from salver.types import ModelVersion

HEADER = "Salver-Cold-Start"
"""Milliseconds that a request waited for its version to be loaded; no other answer has it."""


class Waker(Protocol):
    """Holds requests while their version is loaded (serving.parking.Parking)."""

    def park(self, id: ModelVersion, resume: Callable[[SalverError | None, float], None]) -> None: ...

    def leave(self, id: ModelVersion, resume: Callable[[SalverError | None, float], None]) -> None: ...


class ColdStart(Ticket):
    """Given up like a ticket of a queue, and told once: when the version serves, or why nobody waits any more."""

    def __init__(
        self,
        waker: Waker,
        id: ModelVersion,
        exchange: BurstExchange,
        route: PredictRoute,
        principal: Principal,
        over: Callable[[ColdStart, SalverError | None], None],
    ) -> None:
        self._waker = waker
        self._id = id
        self.exchange = exchange
        self.route = route
        self.principal = principal
        self._over = over
        self._alarm: asyncio.TimerHandle | None = None
        self.waited_s = 0.0

    def begin(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        """Raises RequestError(OVERLOADED) when too many wait."""
        self._waker.park(self._id, self._resume)
        self.exchange.prediction = self
        self._alarm = loop.call_at(deadline, self._expire)

    def cancel(self) -> None:
        self._waker.leave(self._id, self._resume)
        self._end(RequestError(Code.CANCELLED, "The caller hung up."))

    def _expire(self) -> None:
        self._waker.leave(self._id, self._resume)
        message = f"The deadline passed while {self._id} was loaded."
        fix = "Allow more time: the first request loads the model."
        self._end(RequestError(Code.DEADLINE_EXCEEDED, message, fix=fix))

    def _resume(self, error: SalverError | None, waited_s: float) -> None:
        self.waited_s = waited_s
        self._end(error)

    def _end(self, error: SalverError | None) -> None:
        if self.is_done:
            return
        self.is_done = True
        if self._alarm is not None:
            self._alarm.cancel()
        self.exchange.prediction = None
        self._over(self, error)
