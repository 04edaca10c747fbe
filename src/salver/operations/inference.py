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
from salver.types import InferRequest, InferResponse, SlabSlice

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


class Prediction(Ticket):
    """One prediction from its arrival to its answer."""

    __slots__ = ("call", "exchange", "owner", "queue", "route")

    def __init__(
        self,
        owner: Predictions,
        call: Call,
        exchange: PredictExchange,
        route: PredictRoute,
        queue: VersionQueue,
        request: InferRequest,
    ) -> None:
        # written out instead of Ticket.__init__: one call less for every request
        self.request = request
        self.deadline = call.deadline
        self.request_id = call.request_id
        self.is_done = False
        self.attempts = 0
        self.queued_at = 0.0
        self.sent_at = 0.0
        self.whole = None
        self.owner = owner
        self.call = call
        self.exchange = exchange
        self.route = route
        self.queue = queue

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
        call: Call | None = None
        prediction: Prediction | None = None
        try:
            call = self._gate.admit(PREDICT, exchange, route.model, route.wire)
            queue = self._pipeline.find(route.model, route.version, route.label)
            call.version = queue.version.id.version
            call.deadline = call.started_at + self._allowed_s(exchange, queue)
            request = route.decode(exchange, queue.version)
            prediction = Prediction(self, call, exchange, route, queue, request)
            self._pipeline.submit(queue, prediction)
            exchange.prediction = prediction
        except SalverError as error:
            self._refuse(exchange, route, call, prediction, error)
        except Exception as error:
            log.exception("prediction_failed")
            fault = RequestError(Code.INTERNAL, "The server failed on this request.", log_detail=repr(error))
            self._refuse(exchange, route, call, prediction, fault)

    def _allowed_s(self, exchange: Exchange, queue: VersionQueue) -> float:
        asked = exchange.deadline_s
        if not asked:
            return queue.version.deadline_s or self._default_deadline_s
        if asked < 0.0:
            raise RequestError(
                Code.INVALID_INPUT,
                "The header Salver-Deadline-Ms must be a number of milliseconds, above 0 and at most 3600000.",
            )
        return asked

    def _refuse(
        self,
        exchange: Exchange,
        route: PredictRoute,
        call: Call | None,
        prediction: Prediction | None,
        error: SalverError,
    ) -> None:
        if call is None:
            call = self._gate.refused(PREDICT, exchange, route.model, route.wire, error)
        exchange.respond(route.error(error, call))
        self._gate.finish(call, error)
        body: Any = exchange.body
        if type(body) is SlabSlice:
            body.release()
        if prediction is not None:
            prediction.is_done = True

    def finish(self, prediction: Prediction, response: InferResponse | None, error: SalverError | None) -> None:
        """Write the answer and close the call."""
        call, route = prediction.call, prediction.route
        if response is not None:
            try:
                answer = route.encode(response, prediction.request, call)
            except SalverError as failure:
                error = failure
            except Exception as failure:
                log.exception("encode_failed")
                error = RequestError(Code.INTERNAL, "The answer cannot be rendered.", log_detail=repr(failure))
            else:
                prediction.exchange.respond(answer)
                call.rows = prediction.request.rows
                call.queued_s = prediction.sent_at - prediction.queued_at
                self._gate.finish(call, None)
                return
        assert error is not None
        prediction.exchange.respond(route.error(error, call))
        self._gate.finish(call, error)

    def cancelled(self, prediction: Prediction) -> None:
        if prediction.is_done:
            return
        prediction.queue.cancel(prediction)
        self._gate.finish(prediction.call, RequestError(Code.CANCELLED, "The caller hung up."))
