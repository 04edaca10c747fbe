"""Predictions whose model is named inside of their message: it is read once the server knows who sends it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, Credentials, PredictRoute
from salver.operations.burst import BurstExchange
from salver.operations.gate import Gate
from salver.operations.inference import PREDICT, Predictions

log = logging.getLogger("salver.inference")
OpenRoute = Callable[[], PredictRoute]
Render = Callable[[SalverError], Answer]


class UnreadPredictions:
    """Hands predictions to their operation once their messages are read; what cannot be read is refused and counted."""

    def __init__(self, gate: Gate, predictions: Predictions, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._gate = gate
        self._predictions = predictions
        self._wall_clock = wall_clock

    def check(self, credentials: Credentials) -> None:
        """Raises RequestError(UNAUTHENTICATED) for those whom nothing may be read from."""
        self._gate.authenticator.identify(credentials, self._wall_clock())

    def start(self, exchange: BurstExchange, wire: str, open_route: OpenRoute, render: Render) -> None:
        """Answer the exchange, now or later. `render` is the wire's word on what stands in the way of a route."""
        try:
            self.check(exchange.credentials)
            route = open_route()
        except SalverError as error:
            self.refuse(exchange, wire, error, render)
        except Exception as error:
            log.exception("prediction_failed")
            fault = RequestError(Code.INTERNAL, "The server failed on this request.", log_detail=repr(error))
            self.refuse(exchange, wire, fault, render)
        else:
            self._predictions.start(exchange, route)

    def refuse(self, exchange: BurstExchange, wire: str, error: SalverError, render: Render) -> None:
        """Strangers hear that they are strangers, which the audit log keeps, and nothing of their message."""
        exchange.started_at = self._gate.clock()
        try:
            self.check(exchange.credentials)
        except SalverError as refusal:
            error = refusal
            with contextlib.suppress(SalverError):
                self._gate.admit(PREDICT, exchange, "", wire, exchange.started_at)
        refused = self._gate.refused(PREDICT, exchange, "", wire)
        exchange.respond(render(error))
        self._gate.finish(refused, error)
