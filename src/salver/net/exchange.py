"""One prediction request on the fast lane of the HTTP edge: no task, no scope object, one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from salver.net.rendering import render_beginning
from salver.operations.base import Answer, Credentials
from salver.operations.burst import BurstExchange, BurstMemory
from salver.types import SlabSlice

if TYPE_CHECKING:
    from salver.net.head import HeadFacts
    from salver.net.line import Line
    from salver.operations.base import PredictRoute
    from salver.operations.inference import Predictions


class KnownRoute(BurstMemory):
    """The prediction behind an address, and what its operation keeps for callers without a key."""

    def __init__(self, route: PredictRoute) -> None:
        self.route = route


class KnownRequest(BurstMemory):
    """All that a head says of a prediction with a body of known length on a connection that stays open."""

    def __init__(
        self,
        route: PredictRoute,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        facts: HeadFacts,
        length: int,
        *,
        is_of_one_head: bool,
    ) -> None:
        self.route = route
        self.target = target
        self.headers = headers
        self.facts = facts
        self.deadline_s = facts.deadline_s
        self.has_key = facts.authorization is not None
        self.length = length
        self.is_of_one_head = is_of_one_head
        self._answer: Answer | None = None
        self._date = b""
        self._beginning = b""

    def beginning(self, answer: Answer, date: bytes) -> bytes:
        """An answer up to the length of its body; they repeat until the second is over."""
        if answer is not self._answer or date is not self._date:
            self._beginning = render_beginning(answer, date)
            self._answer = answer
            self._date = date
        return self._beginning


class LaneState:
    """What all connections of one listener read for each prediction."""

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions
        self.is_draining = False
        """Whether every answer from now on closes its connection."""
        self.date = b""
        """The finished line."""
        self.known_requests: dict[bytes, KnownRequest] = {}
        """Predictions by their whole head, byte for byte, as the parser has taken it before."""


class LaneExchange(BurstExchange):
    """A prediction between its headers and its answer."""

    takes_chunks = True
    """Whether the client's HTTP knows bodies in chunks."""
    ends_connection = False
    """Whether an answer in parts, once it has begun, is the connection's last."""
    is_started = False
    """Whether the body is in the hands of whoever answers."""

    def __init__(
        self,
        line: Line,
        route: PredictRoute,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        credentials: Credentials,
        facts: HeadFacts,
        request_id: str,
        keep_alive: bool,
        memory: KnownRequest | KnownRoute | None,
    ) -> None:
        self.line = line
        self.memory = memory
        self.route = route
        self.method = method
        self.target = target
        self.headers = headers
        self.credentials = credentials
        self.request_id = request_id
        self.deadline_s = facts.deadline_s
        self.keep_alive = keep_alive

    def start(self) -> None:
        self.is_started = True
        self.line.state.predictions.start(self, self.route)

    def respond(self, answer: Answer) -> None:
        if self.is_answered:
            return
        self.is_answered = True
        self.line.answered(self, answer)

    def part(self, answer: Answer) -> bool:
        return self.is_answered or self.line.write_part(self, answer)

    def end(self, last: Answer | None) -> None:
        if self.is_answered:
            return
        self.is_answered = True
        self.line.end_parts(self, last)

    def begin(self, answer: Answer) -> bytes:
        """How the answers to exchanges of this door begin; empty when each of them ends its connection."""
        state = self.line.state
        if state.is_draining or answer.close:
            return b""
        memory = self.memory
        if isinstance(memory, KnownRequest):
            return memory.beginning(answer, state.date)
        return render_beginning(answer, state.date)

    def respond_with(self, begin: bytes, named: bytes, body: bytes) -> None:
        if self.is_answered:
            return
        self.is_answered = True
        self.prediction = None
        self.line.answered_with(b"%b%bcontent-length: %d\r\n\r\n%b" % (begin, named, len(body), body))

    def hang_up(self) -> None:
        """The client is gone: whatever was begun for it is cancelled, and its memory goes back."""
        self.disconnected = True
        self.is_answered = True
        prediction, self.prediction = self.prediction, None
        if prediction is not None:
            prediction.cancel()
        elif not self.is_started and type(self.body) is SlabSlice:
            self.body.release()


class KnownExchange(LaneExchange):
    """A prediction whose whole head was seen before, on a connection that stays open."""

    def __init__(self, line: Line, known: KnownRequest, credentials: Credentials, body: bytes) -> None:
        self.line = line
        self.memory = known
        self.route = known.route
        self.method = b"POST"
        self.target = known.target
        self.headers = known.headers
        self.credentials = credentials
        self.request_id = ""
        self.deadline_s = known.deadline_s
        self.keep_alive = True
        self.is_started = True
        self.body = body
