"""One prediction request on the fast lane of the HTTP edge: no task, no scope object, one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from salver.net.rendering import render_beginning
from salver.operations.base import Answer, Credentials
from salver.types import SlabSlice

if TYPE_CHECKING:
    from salver.net.edge import KnownRequest, KnownRoute
    from salver.net.head import HeadFacts
    from salver.net.line import Line
    from salver.operations.base import PredictRoute
    from salver.serving.batching.ticket import Ticket


class LaneExchange:
    """A prediction between its headers and its answer.

    What most of them leave as it is stands on the class, so that making one costs little.
    """

    started_at = 0.0
    prediction: Ticket | None = None
    is_started = False
    """Whether the body is in the hands of whoever answers."""
    is_answered = False
    disconnected = False
    body: Any = b""

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

    def header(self, name: bytes) -> bytes | None:
        size = len(name)
        for key, value in self.headers:
            if len(key) == size and key.lower() == name:
                return value
        return None

    def start(self) -> None:
        self.is_started = True
        self.line.edge.predictions.start(self, self.route)

    def respond(self, answer: Answer) -> None:
        if self.is_answered:
            return
        self.is_answered = True
        self.line.answered(self, answer)

    def begin(self, answer: Answer) -> bytes:
        """How the answers to exchanges of this door begin; empty when each of them ends its connection."""
        edge = self.line.edge
        return b"" if edge.is_draining or answer.close else render_beginning(answer, edge.date)

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
        self.deadline_s = known.facts.deadline_s
        self.keep_alive = True
        self.is_started = True
        self.body = body
