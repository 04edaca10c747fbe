"""The prediction operation: the one way in for every door and every wire."""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import Any, Protocol

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Call, Exchange, Home, Operation, PredictRoute, Scope
from salver.operations.gate import Gate
from salver.serving.batching.queue import VersionQueue
from salver.serving.batching.ticket import Ticket
from salver.serving.pipeline import Pipeline
from salver.types import InferResponse, SlabSlice

log = logging.getLogger("salver.inference")

PREDICT = Operation(
    name="models.predict",
    summary="Ask a model for its answer.",
    permission="models.predict",
    scope=Scope.MODEL,
    home=Home.FRONT,
)
OPERATIONS = (PREDICT,)


class PredictExchange(Exchange, Protocol):
    """What a door must bring besides, so that a hang-up reaches the worker."""

    prediction: Prediction | None
    """The prediction to cancel when the client goes away; set and cleared here."""


class Prediction(Call, Ticket):
    """One prediction from its arrival to its answer: the gate's call and the queue's ticket in one object.

    One object instead of two is worth half a microsecond on every request.
    """

    owner: Predictions
    exchange: PredictExchange
    route: PredictRoute
    queue: VersionQueue

    def reply(self, response: InferResponse | None, error: SalverError | None) -> None:
        self.exchange.prediction = None
        self.owner.finish(self, response, error)

    def settle(self) -> None:
        body = self.exchange.body
        if type(body) is SlabSlice:
            body.release()

    def cancel(self) -> None:
        """The client is gone."""
        self.owner.cancelled(self)


class Predictions:
    """Takes an exchange through the gate, the wire's decoder, the pipeline and the wire's encoder."""

    def __init__(self, gate: Gate, pipeline: Pipeline, *, default_deadline_s: float) -> None:
        self._gate = gate
        self._pipeline = pipeline
        self._default_deadline_s = default_deadline_s

    @property
    def model_names(self) -> Container[str]:
        return self._pipeline.models.keys()

    def start(self, exchange: PredictExchange, route: PredictRoute) -> None:
        """Answer the exchange, now or later; never raises."""
        call: Prediction | None = None
        try:
            call = self._gate.admit(PREDICT, exchange, route.model, route.wire, Prediction)
            queue = self._pipeline.find(route.model, route.version, route.label)
            version = queue.version
            call.version = version.id.version
            call.deadline = call.started_at + (
                self._allowed_s(exchange) or version.deadline_s or self._default_deadline_s
            )
            call.request = route.decode(exchange, version)
            call.owner = self
            call.exchange = exchange
            call.route = route
            call.queue = queue
            queue.submit(call)
            exchange.prediction = call
        except SalverError as error:
            self._refuse(exchange, route, call, error)
        except Exception as error:
            log.exception("prediction_failed")
            fault = RequestError(Code.INTERNAL, "The server failed on this request.", log_detail=repr(error))
            self._refuse(exchange, route, call, fault)

    def _allowed_s(self, exchange: Exchange) -> float:
        asked = exchange.deadline_s
        if asked < 0.0:
            raise RequestError(
                Code.INVALID_INPUT,
                "The header Salver-Deadline-Ms must be a number of milliseconds, above 0 and at most 3600000.",
            )
        return asked

    def _refuse(self, exchange: Exchange, route: PredictRoute, call: Prediction | None, error: SalverError) -> None:
        refused: Call = self._gate.refused(PREDICT, exchange, route.model, route.wire, error) if call is None else call
        if call is not None:
            call.is_done = True
        exchange.respond(route.error(error, refused))
        self._gate.finish(refused, error)
        body: Any = exchange.body
        if type(body) is SlabSlice:
            body.release()

    def finish(self, call: Prediction, response: InferResponse | None, error: SalverError | None) -> None:
        """Write the answer and close the call."""
        if response is not None:
            try:
                answer = call.route.encode(response, call.request, call)
            except SalverError as failure:
                error = failure
            except Exception as failure:
                log.exception("encode_failed")
                error = RequestError(Code.INTERNAL, "The answer cannot be rendered.", log_detail=repr(failure))
            else:
                call.exchange.respond(answer)
                call.rows = call.request.rows
                call.queued_s = call.sent_at - call.queued_at
                self._gate.finish(call, None)
                return
        assert error is not None
        call.exchange.respond(call.route.error(error, call))
        self._gate.finish(call, error)

    def cancelled(self, call: Prediction) -> None:
        if not call.is_done:
            call.queue.cancel(call)
            self._gate.finish(call, RequestError(Code.CANCELLED, "The caller hung up."))
