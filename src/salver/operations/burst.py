"""Predictions that come in one turn of the loop and differ in their bodies alone: one ticket, decoded and answered at
once.

It is the same way that a lone prediction takes, with each step done for all. Whenever a step cannot be done for all of
them (a body that needs a closer look, a refusal, an error of the model) each goes on by itself, so that only the guilty
one hears of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import msgspec

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, BurstCodec, Exchange
from salver.operations.standing import Standing
from salver.serving.batching.ticket import Ticket
from salver.types import InferRequest, InferResponse

log = logging.getLogger("salver.inference")


class BurstExchange(Exchange, Protocol):
    """What a door must bring for this way."""

    started_at: float
    disconnected: bool
    prediction: Ticket | None

    @property
    def memory(self) -> BurstMemory | None:
        """What the door keeps with this very head of a request; None where it keeps nothing."""

    def begin(self, answer: Answer) -> bytes:
        """How the answers of a burst begin: all before the length. Empty when each must be written by `respond`."""

    def respond_with(self, begin: bytes, named: bytes, body: bytes) -> None:
        """Write an answer of a burst, if the client is still there; `named` is a finished header line or empty."""


class BurstMemory(Protocol):
    """A place for what was worked out for requests with the same head, or for the same address."""

    is_of_one_head: bool
    standing: Standing[BurstExchange] | None


class BurstOwner(Protocol):
    """Who takes predictions one by one, and keeps the records."""

    names_requests: bool
    """Whether the records name each request."""

    def start_alone(self, exchange: BurstExchange, standing: Standing[BurstExchange]) -> Ticket | None:
        """A ticket that is not queued yet; None when the exchange has been answered."""

    def refuse(
        self, exchange: BurstExchange, standing: Standing[BurstExchange], error: SalverError, request_id: str
    ) -> None: ...

    def record(self, burst: Burst) -> None:
        """Count and log all of it as answered or cancelled."""

    def new_request_id(self) -> str: ...


class Burst(Ticket):
    """One ticket for many exchanges, in order, with the rows of each."""

    def __init__(
        self,
        owner: BurstOwner,
        standing: Standing[BurstExchange],
        codec: BurstCodec,
        exchanges: Sequence[BurstExchange],
        request: InferRequest,
        rows: Sequence[int],
    ) -> None:
        self.owner = owner
        self.standing = standing
        self.codec = codec
        self.exchanges = exchanges
        self.rows = rows
        self.requests = len(exchanges)
        self.request = request
        self.deadline = exchanges[0].started_at + standing.allowed_s
        self.ids: Sequence[str] = (owner.new_request_id(),) if len(exchanges) == 1 else ()
        """The ids of the exchanges, where somebody may be told of them."""
        self.request_id = self.ids[0] if self.ids else ""

    def cancel(self) -> None:
        """A client is gone; the others still wait."""
        if not self.is_done and all(exchange.disconnected for exchange in self.exchanges):
            self.standing.queue.cancel(self)
            self.owner.record(self)

    def apart(self) -> Sequence[Ticket]:
        """Each prediction by itself."""
        if len(self.exchanges) == 1:
            return (self,)
        self.is_done = True
        alone = [self.owner.start_alone(exchange, self.standing) for exchange in self.exchanges]
        return [ticket for ticket in alone if ticket is not None]

    def reply(self, response: InferResponse | None, error: SalverError | None) -> None:
        if response is not None:
            try:
                self._answer(response)
            except SalverError as failure:
                error = failure
            except Exception as failure:
                log.exception("encode_failed")
                error = RequestError(Code.INTERNAL, "The answer cannot be rendered.", log_detail=repr(failure))
            else:
                self.owner.record(self)
                return
        assert error is not None
        for exchange in self.exchanges:
            exchange.prediction = None
            self.owner.refuse(exchange, self.standing, error, self.request_id)

    def _answer(self, response: InferResponse) -> None:
        """Nothing is written before all of it is encoded: what raises leaves everybody to be told."""
        exchanges = self.exchanges
        codec = self.codec
        answer, bodies = codec.encode(response, self.request, self.rows)
        begin = exchanges[0].begin(answer)
        if not self.ids and (codec.names_requests or self.owner.names_requests):
            self.ids = [self.owner.new_request_id() for _ in exchanges]
        if not begin:
            self._answer_one_by_one(answer, bodies)
        elif codec.names_requests:
            for exchange, id, body in zip(exchanges, self.ids, bodies, strict=True):
                exchange.respond_with(begin, b"X-Request-Id: %b\r\n" % id.encode(), body)
        else:
            for exchange, body in zip(exchanges, bodies, strict=True):
                exchange.respond_with(begin, b"", body)

    def _answer_one_by_one(self, answer: Answer, bodies: Sequence[bytes]) -> None:
        """Where an answer also ends its connection."""
        for index, (exchange, body) in enumerate(zip(self.exchanges, bodies, strict=True)):
            headers = answer.headers
            if self.codec.names_requests:
                headers = (("X-Request-Id", self.ids[index]), *headers)
            exchange.prediction = None
            exchange.respond(msgspec.structs.replace(answer, body=body, headers=headers))


def burst_of(
    owner: BurstOwner, standing: Standing[BurstExchange], exchanges: Sequence[BurstExchange], max_rows: int
) -> Burst | None:
    """The exchanges as one ticket; None when one of them needs a closer look, or all have too many rows together."""
    codec = standing.codec
    assert codec is not None
    try:
        decoded = codec.decode([exchange.body for exchange in exchanges])
    except SalverError:
        return None
    except Exception:
        log.exception("burst_failed")
        return None
    if decoded is None:
        return None
    request, rows = decoded
    if request.rows > max_rows and len(exchanges) > 1:
        return None
    burst = Burst(owner, standing, codec, exchanges, request, rows)
    for exchange in exchanges:
        exchange.prediction = burst
    return burst
