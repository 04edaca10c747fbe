"""One prediction request on the fast lane of the HTTP edge: no task, no scope object, one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from salver.operations.base import Answer, Credentials
from salver.types import SlabSlice

if TYPE_CHECKING:
    from salver.net.edge import KnownRequest, KnownRoute
    from salver.net.head import HeadFacts
    from salver.net.line import Line
    from salver.operations.base import PredictRoute
    from salver.operations.inference import Prediction


class LaneExchange:
    """A prediction between its headers and its answer."""

    __slots__ = (
        "body",
        "credentials",
        "deadline_s",
        "disconnected",
        "headers",
        "is_answered",
        "is_started",
        "keep_alive",
        "line",
        "memory",
        "method",
        "prediction",
        "request_id",
        "route",
        "target",
    )

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
        self.body: Any = b""
        self.prediction: Prediction | None = None
        self.is_started = False
        """Whether the body is in the hands of whoever answers."""
        self.is_answered = False
        self.disconnected = False

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

    def hang_up(self) -> None:
        """The client is gone: whatever was begun for it is cancelled, and its memory goes back."""
        self.disconnected = True
        self.is_answered = True
        prediction, self.prediction = self.prediction, None
        if prediction is not None:
            prediction.cancel()
        elif not self.is_started and type(self.body) is SlabSlice:
            self.body.release()
