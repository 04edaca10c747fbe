"""The prediction operation: the one way in for every door and every wire."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Container
from functools import partial
from typing import Any, Protocol, cast

import msgspec

from salver.access.permit import Principal
from salver.errors import Code, RequestError, SalverError
from salver.models.routing import HEADER as STICKY_HEADER
from salver.models.routing import share_of, sticky_key
from salver.operations.apart import Apart
from salver.operations.base import Answer, Exchange, Home, Operation, PartsRoute, PredictRoute, Scope, TakesLong
from salver.operations.burst import Burst, BurstExchange, burst_of
from salver.operations.coldstart import HEADER, ColdStart, Waker
from salver.operations.gate import Gate
from salver.operations.standing import Owner, Standing
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
MAX_STANDINGS = 4096


class OtherPredictions(Protocol):
    """Answers exchanges in another way (operations.flows.Flows)."""

    def start(self, exchange: BurstExchange, route: Any) -> None: ...


class Prediction(Ticket):
    """One prediction from its arrival to its answer."""

    rows = 0
    queued_s = 0.0
    cold_start_s = 0.0

    def __init__(self, owner: Predictions, exchange: BurstExchange, standing: Standing, request_id: str) -> None:
        self.owner = owner
        self.exchange = exchange
        self.standing = standing
        self.started_at = exchange.started_at
        self.deadline = self.started_at + standing.allowed_s
        self.request_id = request_id

    @property
    def model(self) -> str:
        return self.standing.model

    @property
    def version(self) -> int:
        return self.standing.version

    def reply(self, response: InferResponse | None, error: SalverError | None) -> None:
        self.exchange.prediction = None
        self.owner.finish(self, response, error)

    def part(self, response: InferResponse) -> None:
        self.owner.part(self, response)

    def settle(self) -> None:
        body = self.exchange.body
        if type(body) is SlabSlice:
            body.release()

    def cancel(self) -> None:
        """The client is gone."""
        self.owner.cancelled(self)


class Predictions(Owner):
    """Takes an exchange through the gate, the wire's decoder, the pipeline and the wire's encoder."""

    def __init__(
        self,
        gate: Gate,
        pipeline: Pipeline,
        loop: asyncio.AbstractEventLoop,
        *,
        default_deadline_s: float,
        waker: Waker | None = None,
    ) -> None:
        """Without a `waker`, versions that sleep are not there."""
        self._gate = gate
        self._loop = loop
        self._waker = waker
        self.others: OtherPredictions | None = None
        """Who answers the routes whose operation is not this one."""
        self._pipeline = pipeline
        self._default_deadline_s = default_deadline_s
        self._apart = Apart(loop)
        self._clock = gate.clock
        self._authenticator = gate.authenticator
        self._meter = gate.meter
        self._new_request_id = gate.new_request_id
        self.names_requests = gate.meter.names_requests
        self._generation = 0
        self._standings: dict[tuple[int, int, int, float], Standing] = {}
        """By the identity of codec, credentials and queue, which they hold."""
        pipeline.on_change(self._models_changed)

    def _models_changed(self) -> None:
        self._generation += 1
        self._standings.clear()

    @property
    def model_names(self) -> Container[str]:
        return self._pipeline.models.keys()

    def next_request_id(self) -> str:
        return self._new_request_id()

    def start(self, exchange: BurstExchange, route: PredictRoute) -> None:
        """Answer the exchange, now or later; never raises."""
        exchange.started_at = self._clock()
        memory = exchange.memory
        standing = None if memory is None else memory.standing
        if (
            standing is None
            or standing.epoch is not self._authenticator.keys
            or standing.generation != self._generation
            or standing.credentials is not exchange.credentials
        ):
            self._start_unknown(exchange, route)
            return
        if standing.codec is None:
            self._queue_alone(exchange, standing)
            return
        standing.arrivals.append(exchange)
        if len(standing.arrivals) == 1:
            standing.queue.expect(standing)

    def start_as(self, exchange: BurstExchange, route: PredictRoute, principal: Principal) -> None:
        """Answer an exchange of whoever was asked already what he may; never raises."""
        self._start_unknown(exchange, route, principal)

    def _start_unknown(
        self,
        exchange: BurstExchange,
        route: PredictRoute,
        principal: Principal | None = None,
        cold_start_s: float = 0.0,
    ) -> None:
        """The first of its kind, or one of a kind of its own; `principal` is who asks, when that is known."""
        if route.operation != PREDICT.name and self.others is not None:
            self.others.start(exchange, route)
            return
        try:
            if principal is None:
                principal = self._gate.admit(PREDICT, exchange, route.model, route.wire, exchange.started_at)
            sleeper = self._pipeline.sleeper(route.model, route.version, route.label)
            if sleeper is not None and self._waker is not None:
                allowed_s = self._allowed_s(exchange) or self._default_deadline_s
                wait = ColdStart(self._waker, sleeper, exchange, route, principal, self._cold_start_over)
                wait.begin(self._loop, exchange.started_at + allowed_s)
                return
            standing = self._stand(exchange, route, principal)
        except SalverError as error:
            self._refuse_unknown(exchange, route, error)
        except Exception as error:
            log.exception("prediction_failed")
            self._refuse_unknown(exchange, route, _fault(error))
        else:
            self._queue_alone(exchange, standing, cold_start_s)

    def _cold_start_over(self, wait: ColdStart, error: SalverError | None) -> None:
        if error is None:
            self._start_unknown(wait.exchange, wait.route, wait.principal, wait.waited_s)
        else:
            self._refuse_unknown(wait.exchange, wait.route, error)

    def submit_arrivals(self, standing: Standing) -> None:
        """Queue what has come in this turn of the loop, together where that goes."""
        arrived = [each for each in standing.take_arrivals() if not self._is_gone(each, standing)]
        most = standing.queue.best_rows
        if len(arrived) <= most:
            if arrived:
                self._submit_together(standing, arrived, most)
            return
        for first in range(0, len(arrived), most):
            self._submit_together(standing, arrived[first : first + most], most)

    def _submit_together(self, standing: Standing, exchanges: list[BurstExchange], most: int) -> None:
        burst = None if standing.queue.is_closed else burst_of(self, standing, exchanges, most)
        if burst is not None:
            try:
                standing.queue.submit(burst)
            except SalverError as error:
                if len(exchanges) == 1:
                    self.refuse(exchanges[0], standing, error, burst.request_id)
                    return
            else:
                return
        for exchange in exchanges:
            if standing.queue.is_closed:
                self._start_unknown(exchange, standing.route)
            else:
                self._queue_alone(exchange, standing)

    def _is_gone(self, exchange: BurstExchange, standing: Standing) -> bool:
        """Whether the client hung up before its prediction had begun; that is written down."""
        if exchange.disconnected:
            call = Prediction(self, exchange, standing, exchange.request_id or self._new_request_id())
            self._meter.record(standing.tally, call, _hung_up(), self._clock())
            _release(exchange)
        return exchange.disconnected

    def _queue_alone(self, exchange: BurstExchange, standing: Standing, cold_start_s: float = 0.0) -> None:
        call = self.start_alone(exchange, standing, cold_start_s)
        if call is not None:
            self._submit(call)

    def _submit(self, call: Prediction) -> None:
        try:
            call.standing.queue.submit(call)
        except SalverError as error:
            self._refuse(call, error)

    def start_alone(self, exchange: BurstExchange, standing: Standing, cold_start_s: float = 0.0) -> Prediction | None:
        """The exchange as a ticket of its own, not queued yet.

        None when it has been answered, nobody waits, or its body is read in a thread first.
        """
        if self._is_gone(exchange, standing):
            return None
        call = Prediction(self, exchange, standing, exchange.request_id or self._new_request_id())
        call.cold_start_s = cold_start_s
        try:
            call.ask(standing.route.decode(exchange, standing.queue.version))
        except SalverError as error:
            self._refuse(call, error)
            return None
        except TakesLong as long:
            self._read_apart(call, long)
            return None
        except Exception as error:
            log.exception("prediction_failed")
            self._refuse(call, _fault(error))
            return None
        self._decoded(call)
        return call

    def _decoded(self, call: Prediction) -> None:
        if call.request.allowed_s:
            call.deadline = call.started_at + call.request.allowed_s
        call.exchange.prediction = call

    def _read_apart(self, call: Prediction, long: TakesLong) -> None:
        try:
            self._apart.do(long.work, partial(self._was_read, call))
        except SalverError as error:
            self._refuse(call, error)

    def _was_read(self, call: Prediction, request: Any, error: Any) -> None:
        """The body of a call is read, or could not be; meanwhile its version may be gone, or its caller."""
        if call.exchange.disconnected:
            self._meter.record(call.standing.tally, call, _hung_up(), self._clock())
            _release(call.exchange)
        elif error is not None:
            self._refuse(call, error if isinstance(error, SalverError) else _logged_fault(error))
        elif call.standing.queue.is_closed:
            self._start_unknown(call.exchange, call.standing.route, None, call.cold_start_s)
        else:
            call.ask(request)
            self._decoded(call)
            self._submit(call)

    def _stand(self, exchange: BurstExchange, route: PredictRoute, principal: Principal) -> Standing:
        """Find the version, and keep what holds for all requests with this head. Raises RequestError."""
        credentials = exchange.credentials
        queue, is_lasting = self._queue_for(exchange, route, principal)
        allowed_s = self._allowed_s(exchange) or queue.version.deadline_s or self._default_deadline_s
        standing = Standing(self, PREDICT, route, queue, principal, credentials, allowed_s)
        standing.tally = self._gate.meter.tally(standing)
        memory = exchange.memory
        if is_lasting and memory is not None and principal.is_lasting and principal.requests_per_second is None:
            standing.epoch = self._authenticator.keys
            standing.generation = self._generation
            if memory.is_of_one_head:
                codec = standing.codec = route.burst_codec(exchange, queue.version)
                standing.names_requests = codec is not None and codec.names_requests
            memory.standing = standing = self._shared(standing)
        return standing

    def _queue_for(
        self, exchange: BurstExchange, route: PredictRoute, principal: Principal
    ) -> tuple[VersionQueue, bool]:
        """The queue that answers, and whether it answers every request with this head. Raises RequestError."""
        pipeline = self._pipeline
        traffic = pipeline.route(route.model) if route.version is None and route.label is None else None
        if traffic is None:
            return pipeline.find(route.model, route.version, route.label), True
        key = sticky_key(traffic, principal.id, lambda name: _text(exchange.header(name.encode())))
        place = random.random() if key is None else share_of(route.model, key)  # noqa: S311  a share, no secret
        return pipeline.find_routed(route.model, place), key is not None and exchange.memory is not None and (
            exchange.memory.is_of_one_head or not traffic.sticky.startswith(STICKY_HEADER)
        )

    def _shared(self, standing: Standing) -> Standing:
        """The one standing of all heads that mean the same, so that their requests come together."""
        if standing.codec is None:
            return standing
        key = (id(standing.codec), id(standing.credentials), id(standing.queue), standing.allowed_s)
        known = self._standings.get(key)
        if known is None or known.epoch is not standing.epoch:
            if len(self._standings) >= MAX_STANDINGS:
                self._standings.clear()
            self._standings[key] = known = standing
        return known

    def _allowed_s(self, exchange: Exchange) -> float:
        asked = exchange.deadline_s
        if asked < 0.0:
            raise RequestError(
                Code.INVALID_INPUT,
                "The header Salver-Deadline-Ms must be a number of milliseconds, above 0 and at most 3600000.",
            )
        return asked

    def _refuse_unknown(self, exchange: BurstExchange, route: PredictRoute, error: SalverError) -> None:
        refused = self._gate.refused(PREDICT, exchange, route.model, route.wire)
        exchange.respond(route.error(error, refused))
        self._gate.finish(refused, error)
        _release(exchange)

    def _refuse(self, call: Prediction, error: SalverError) -> None:
        call.is_done = True
        call.exchange.prediction = None
        call.exchange.respond(call.standing.route.error(error, call))
        self._meter.record(call.standing.tally, call, error, self._clock())
        _release(call.exchange)

    def refuse(self, exchange: BurstExchange, standing: Standing, error: SalverError, request_id: str) -> None:
        """Tell one exchange of a burst."""
        if exchange.disconnected:
            error = _hung_up()
        self._refuse(Prediction(self, exchange, standing, request_id or self._new_request_id()), error)

    def finish(self, call: Prediction, response: InferResponse | None, error: SalverError | None) -> None:
        """Write the answer and close the call."""
        if call.exchange.has_begun:
            self._end_parts(call, response, error)
            return
        standing = call.standing
        if response is not None:
            try:
                answer = standing.route.encode(response, call.request, call)
                if call.cold_start_s:
                    told = (HEADER, str(round(call.cold_start_s * 1000)))
                    answer = msgspec.structs.replace(answer, headers=(*answer.headers, told))
            except SalverError as failure:
                error = failure
            except TakesLong as long:
                self._write_apart(call, long)
                return
            except Exception as failure:
                log.exception("encode_failed")
                error = _unrenderable(failure)
            else:
                self._answer(call, answer)
                return
        assert error is not None
        self._fail(call, error)

    def _answer(self, call: Prediction, answer: Answer) -> None:
        call.exchange.respond(answer)
        call.rows = call.size
        call.queued_s = call.sent_at - call.queued_at
        self._meter.record(call.standing.tally, call, None, self._clock())

    def _fail(self, call: Prediction, error: SalverError) -> None:
        call.exchange.respond(call.standing.route.error(error, call))
        self._meter.record(call.standing.tally, call, error, self._clock())

    def _write_apart(self, call: Prediction, long: TakesLong) -> None:
        try:
            self._apart.do(long.work, partial(self._was_written, call))
        except SalverError as error:
            self._fail(call, error)

    def _was_written(self, call: Prediction, answer: Any, error: Any) -> None:
        if error is None:
            self._answer(call, answer)
        elif isinstance(error, SalverError):
            self._fail(call, error)
        else:
            log.error("encode_failed", exc_info=error)
            self._fail(call, _unrenderable(error))

    def part(self, call: Prediction, response: InferResponse) -> None:
        """Write a part of an answer. Raises RequestError(OUTPUT_INVALID | CANCELLED), or what the wire raises."""
        route = cast(PartsRoute, call.standing.route)
        answer = route.encode_part(response, call.request, call)
        if call.cold_start_s and not call.exchange.has_begun:
            told = (HEADER, str(round(call.cold_start_s * 1000)))
            answer = msgspec.structs.replace(answer, headers=(*answer.headers, told))
        if not call.exchange.part(answer):
            raise RequestError(Code.CANCELLED, "The caller reads the answer more slowly than it comes.")

    def _end_parts(self, call: Prediction, response: InferResponse | None, error: SalverError | None) -> None:
        """Write the end of an answer that has begun, and close the call."""
        route = cast(PartsRoute, call.standing.route)
        if response is not None:
            try:
                last = route.encode_last(response, call.request, call)
            except SalverError as failure:
                error = failure
            except Exception as failure:
                log.exception("encode_failed")
                error = RequestError(Code.INTERNAL, "The answer cannot be rendered.", log_detail=repr(failure))
            else:
                call.exchange.end(last)
                call.rows = call.size
                call.queued_s = call.sent_at - call.queued_at
        if error is not None:
            call.exchange.end(route.encode_failure(error, call))
        self._meter.record(call.standing.tally, call, error, self._clock())

    def record(self, burst: Burst) -> None:
        """Count and log a whole burst: those that were answered, and those whose clients are gone."""
        now = self._clock()
        tally = burst.standing.tally
        queued_s = burst.sent_at - burst.queued_at
        started_at = [exchange.started_at for exchange in burst.exchanges if not exchange.disconnected]
        if len(started_at) == len(burst.exchanges):
            self._meter.record_answered(tally, burst.ids, started_at, burst.rows, burst.queued_at, burst.sent_at, now)
            return
        ids = burst.ids or [self._new_request_id() for _ in burst.exchanges]
        for exchange, rows, id in zip(burst.exchanges, burst.rows, ids, strict=True):
            call = Prediction(self, exchange, burst.standing, id)
            if exchange.disconnected:
                self._meter.record(tally, call, _hung_up(), now)
            else:
                call.rows = rows
                call.queued_s = queued_s
                self._meter.record(tally, call, None, now)

    def cancelled(self, call: Prediction) -> None:
        if not call.is_done:
            call.standing.queue.cancel(call)
            self._meter.record(call.standing.tally, call, _hung_up(), self._clock())


def _fault(error: Exception) -> RequestError:
    return RequestError(Code.INTERNAL, "The server failed on this request.", log_detail=repr(error))


def _logged_fault(error: BaseException) -> RequestError:
    log.error("prediction_failed", exc_info=error)
    return RequestError(Code.INTERNAL, "The server failed on this request.", log_detail=repr(error))


def _unrenderable(error: BaseException) -> RequestError:
    return RequestError(Code.INTERNAL, "The answer cannot be rendered.", log_detail=repr(error))


def _hung_up() -> RequestError:
    return RequestError(Code.CANCELLED, "The caller hung up.")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _release(exchange: BurstExchange) -> None:
    """Give back the memory of a body that no worker has."""
    body = exchange.body
    if type(body) is SlabSlice:
        body.release()
