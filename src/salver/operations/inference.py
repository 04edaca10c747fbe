"""The prediction operation: the one way in for every door and every wire."""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import Any, Protocol

from salver.access.permit import Principal
from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Credentials, Exchange, Home, Operation, PredictRoute, Scope
from salver.operations.gate import Gate
from salver.serving.batching.queue import VersionQueue
from salver.serving.batching.ticket import Ticket
from salver.serving.pipeline import Pipeline
from salver.telemetry.meter import Tally
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
    """What a door must bring besides."""

    prediction: Prediction | None
    """The prediction to cancel when the client goes away; set and cleared here."""

    @property
    def memory(self) -> PredictMemory | None:
        """What the door keeps with this very head of a request; None where it keeps nothing."""


class PredictMemory(Protocol):
    """A place for what was worked out for requests with the same head."""

    standing: Standing | None


class Standing:
    """All that predictions with the same head from the same caller have in common, worked out once.

    It holds while the models, the keys and the caller's connection say the same; `Predictions` checks that.
    """

    __slots__ = (
        "allowed_s",
        "credentials",
        "epoch",
        "generation",
        "model",
        "operation",
        "peer",
        "principal",
        "queue",
        "route",
        "tally",
        "version",
        "wire",
    )

    def __init__(
        self, route: PredictRoute, queue: VersionQueue, principal: Principal, credentials: Credentials, allowed_s: float
    ) -> None:
        self.operation = PREDICT
        self.route = route
        self.queue = queue
        self.principal = principal
        self.credentials = credentials
        self.peer = credentials.peer
        self.allowed_s = allowed_s
        self.model = route.model
        self.wire = route.wire
        self.version = queue.version.id.version
        self.tally: Tally
        self.epoch: object = None
        self.generation = 0


class Prediction(Ticket):
    """One prediction from its arrival to its answer."""

    owner: Predictions
    exchange: PredictExchange
    standing: Standing
    started_at: float
    rows = 0
    queued_s = 0.0

    @property
    def model(self) -> str:
        return self.standing.model

    @property
    def version(self) -> int:
        return self.standing.version

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
        self._clock = gate.clock
        self._record = gate.meter.record
        self._new_request_id = gate.new_request_id
        self._generation = 0
        pipeline.on_change(self._models_changed)

    def _models_changed(self) -> None:
        self._generation += 1

    @property
    def model_names(self) -> Container[str]:
        return self._pipeline.models.keys()

    def start(self, exchange: PredictExchange, route: PredictRoute) -> None:
        """Answer the exchange, now or later; never raises."""
        standing: Standing | None = None
        call: Prediction | None = None
        try:
            now = self._clock()
            standing = self._known_standing(exchange) or self._stand(exchange, route, now)
            call = Prediction.__new__(Prediction)
            call.owner = self
            call.exchange = exchange
            call.standing = standing
            call.started_at = now
            call.deadline = now + standing.allowed_s
            call.request_id = exchange.request_id or self._new_request_id()
            queue = standing.queue
            call.request = route.decode(exchange, queue.version)
            queue.submit(call)
            exchange.prediction = call
        except SalverError as error:
            self._refuse(exchange, route, call, error)
        except Exception as error:
            log.exception("prediction_failed")
            fault = RequestError(Code.INTERNAL, "The server failed on this request.", log_detail=repr(error))
            self._refuse(exchange, route, call, fault)

    def _known_standing(self, exchange: PredictExchange) -> Standing | None:
        memory = exchange.memory
        if memory is None:
            return None
        known = memory.standing
        if (
            known is not None
            and known.generation == self._generation
            and known.epoch is self._gate.epoch
            and known.credentials is exchange.credentials
        ):
            return known
        return None

    def _stand(self, exchange: PredictExchange, route: PredictRoute, now: float) -> Standing:
        """Admit the caller and find the version. Raises RequestError."""
        credentials = exchange.credentials
        principal = self._gate.admit(PREDICT, exchange, route.model, route.wire, now)
        queue = self._pipeline.find(route.model, route.version, route.label)
        allowed_s = self._allowed_s(exchange) or queue.version.deadline_s or self._default_deadline_s
        standing = Standing(route, queue, principal, credentials, allowed_s)
        standing.tally = self._gate.meter.tally(standing)
        memory = exchange.memory
        if memory is not None and credentials.token is None and principal.requests_per_second is None:
            standing.epoch = self._gate.epoch
            standing.generation = self._generation
            memory.standing = standing
        return standing

    def _allowed_s(self, exchange: Exchange) -> float:
        asked = exchange.deadline_s
        if asked < 0.0:
            raise RequestError(
                Code.INVALID_INPUT,
                "The header Salver-Deadline-Ms must be a number of milliseconds, above 0 and at most 3600000.",
            )
        return asked

    def _refuse(
        self, exchange: PredictExchange, route: PredictRoute, call: Prediction | None, error: SalverError
    ) -> None:
        if call is None:
            refused = self._gate.refused(PREDICT, exchange, route.model, route.wire)
            exchange.respond(route.error(error, refused))
            self._gate.finish(refused, error)
        else:
            call.is_done = True
            exchange.respond(route.error(error, call))
            self._record(call.standing.tally, call, error, self._clock())
        body: Any = exchange.body
        if type(body) is SlabSlice:
            body.release()

    def finish(self, call: Prediction, response: InferResponse | None, error: SalverError | None) -> None:
        """Write the answer and close the call."""
        standing = call.standing
        if response is not None:
            request = call.request
            try:
                answer = standing.route.encode(response, request, call)
            except SalverError as failure:
                error = failure
            except Exception as failure:
                log.exception("encode_failed")
                error = RequestError(Code.INTERNAL, "The answer cannot be rendered.", log_detail=repr(failure))
            else:
                call.exchange.respond(answer)
                call.rows = request.rows
                call.queued_s = call.sent_at - call.queued_at
                self._record(standing.tally, call, None, self._clock())
                return
        assert error is not None
        call.exchange.respond(standing.route.error(error, call))
        self._record(standing.tally, call, error, self._clock())

    def cancelled(self, call: Prediction) -> None:
        if not call.is_done:
            call.standing.queue.cancel(call)
            error = RequestError(Code.CANCELLED, "The caller hung up.")
            self._record(call.standing.tally, call, error, self._clock())
