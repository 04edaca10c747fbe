"""Predictions that come in one turn of the loop and differ in their bodies alone: one ticket, decoded and answered at
once.

It is the same way that a lone prediction takes, with each step done for all. Whenever a step cannot be done for all of
them (a body that needs a closer look, a refusal, an error of the model) each goes on by itself, so that only the guilty
one hears of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, BurstCodec, Credentials
from salver.serving.batching.ticket import Ticket
from salver.types import InferRequest, InferResponse

if TYPE_CHECKING:
    from salver.operations.standing import Owner, Standing

log = logging.getLogger("salver.inference")
MAX_UNREAD_BYTES = 4 * 1024 * 1024
"""What a caller may leave unread of an answer that comes in parts. A worker is not kept waiting for its reader: who is
further behind hears no more of it."""


class BurstMemory:
    """A place for what was worked out for requests with the same head, or for the same address."""

    is_of_one_head = False
    standing: Standing | None = None


class BurstExchange:
    """What a door brings for this way: an `Exchange` (``base.py``) and more. Each door subclasses it.

    What most of them leave as it is stands on the class, so that making one costs little.
    """

    started_at = 0.0
    prediction: Ticket | None = None
    is_answered = False
    disconnected = False
    has_begun = False
    """Whether a part of the answer has been written, so that `end` must follow, and `respond` may not."""
    body: Any = b""
    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    credentials: Credentials
    request_id: str
    deadline_s: float
    memory: BurstMemory | None
    """What the door keeps with this very head of a request; None where it keeps nothing."""

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header of this lower-case name."""
        size = len(name)
        for key, value in self.headers:
            if len(key) == size and key.lower() == name:
                return value
        return None

    def respond(self, answer: Answer) -> None:
        """Write the answer; does nothing when the client is gone."""
        raise AssertionError("a door answers")

    def part(self, answer: Answer) -> bool:
        """Write a part of the answer, of the first one status and headers too; whether more may be written."""
        raise AssertionError("a door whose requests want parts takes them")

    def end(self, last: Answer | None) -> None:
        """Write the last part's body, if it has one, and end the answer; None: break it off, so that it can be seen."""
        raise AssertionError("a door whose requests want parts ends them")

    def begin(self, answer: Answer) -> bytes:
        """How the answers of a burst begin: all before the length. Empty when each must be written by `respond`."""
        return b""

    def respond_with(self, begin: bytes, named: bytes, body: bytes) -> None:
        """Write an answer of a burst, if the client is still there; `named` is a finished header line or empty."""
        raise AssertionError("a door that begins answers finishes them")


class Burst(Ticket):
    """One ticket for many exchanges, in order, with the rows of each."""

    def __init__(
        self,
        owner: Owner,
        standing: Standing,
        codec: BurstCodec,
        exchanges: list[BurstExchange],
        request: InferRequest,
        rows: list[int],
    ) -> None:
        self.owner = owner
        self.standing = standing
        self.codec = codec
        self.exchanges = exchanges
        self.rows = rows
        self.requests = len(exchanges)
        self.ask(request)
        self.deadline = exchanges[0].started_at + standing.allowed_s
        self.request_id = owner.next_request_id() if len(exchanges) == 1 else ""
        self.ids: list[str] = [self.request_id] if self.request_id else []
        """The ids of the exchanges, where somebody may be told of them."""

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
        answer, bodies = self.codec.encode(response, self.request, self.rows)
        begin = exchanges[0].begin(answer)
        names_each = self.standing.names_requests
        if not self.ids and (names_each or self.owner.names_requests):
            self.ids = [self.owner.next_request_id() for _ in exchanges]
        if not begin:
            self._answer_one_by_one(answer, bodies)
            return
        for index in range(len(exchanges)):
            named = b"X-Request-Id: %b\r\n" % self.ids[index].encode() if names_each else b""
            exchanges[index].respond_with(begin, named, bodies[index])

    def _answer_one_by_one(self, answer: Answer, bodies: list[bytes]) -> None:
        """Where an answer also ends its connection."""
        for index, (exchange, body) in enumerate(zip(self.exchanges, bodies, strict=True)):
            headers = answer.headers
            if self.standing.names_requests:
                headers = (("X-Request-Id", self.ids[index]), *headers)
            exchange.prediction = None
            exchange.respond(msgspec.structs.replace(answer, body=body, headers=headers))


def burst_of(owner: Owner, standing: Standing, exchanges: list[BurstExchange], max_rows: int) -> Burst | None:
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
    if len(exchanges) > 1 and request.rows > max_rows:
        return None
    burst = Burst(owner, standing, codec, exchanges, request, rows)
    for exchange in exchanges:
        exchange.prediction = burst
    return burst
