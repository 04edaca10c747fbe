"""One prediction request on the fast lane of the HTTP edge: no task, no scope object, one answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from salver.operations.base import Answer, Credentials
from salver.types import SlabSlice

if TYPE_CHECKING:
    from salver.net.head import HeadFacts
    from salver.net.http import LaneProtocol
    from salver.operations.base import PredictRoute
    from salver.operations.inference import Prediction

PHRASES = {status.value: status.phrase for status in HTTPStatus}
MAX_HEADS = 256
_heads: dict[tuple[int, str | None, str | None], bytes] = {}


class _NoEvent:
    """Stands for the asyncio.Event of an ordinary cycle: nobody waits for a lane exchange."""

    def set(self) -> None: ...


NO_EVENT = _NoEvent()


class LaneExchange:
    """A prediction between its headers and its answer.

    To uvicorn's protocol class it looks like a request/response cycle (`response_complete`, `disconnected`, …), so that
    ordinary requests pipelined behind it wait for it, and it waits for them.
    """

    __slots__ = (
        "body",
        "credentials",
        "deadline_s",
        "disconnected",
        "headers",
        "is_complete",
        "keep_alive",
        "method",
        "prediction",
        "protocol",
        "request_id",
        "response_complete",
        "route",
        "target",
    )
    more_body = False

    def __init__(
        self,
        protocol: LaneProtocol,
        route: PredictRoute,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        credentials: Credentials,
        facts: HeadFacts,
        keep_alive: bool,
    ) -> None:
        self.protocol = protocol
        self.route = route
        self.method = method
        self.target = target
        self.headers = headers
        self.credentials = credentials
        self.request_id = facts.request_id
        self.deadline_s = facts.deadline_s
        self.keep_alive = keep_alive
        self.body: Any = b""
        self.prediction: Prediction | None = None
        self.is_complete = False
        """Whether the whole request has arrived."""
        self.response_complete = False
        self.disconnected = False

    @property
    def message_event(self) -> _NoEvent:
        return NO_EVENT

    def header(self, name: bytes) -> bytes | None:
        size = len(name)
        for key, value in self.headers:
            if len(key) == size and key.lower() == name:
                return value
        return None

    def start(self) -> None:
        self.protocol.edge.predictions.start(self, self.route)

    async def run_asgi(self, app: object) -> None:
        """Start after the requests before it on this connection: uvicorn's hook for pipelined requests."""
        self.protocol.resumed(self)

    def respond(self, answer: Answer) -> None:
        if self.response_complete:
            return
        self.response_complete = True
        if not self.disconnected:
            self.protocol.answered(self, answer)

    def hang_up(self) -> None:
        """The client is gone: whatever was begun for it is cancelled, and its memory goes back."""
        self.disconnected = True
        self.response_complete = True
        prediction, self.prediction = self.prediction, None
        if prediction is not None:
            prediction.cancel()
        elif not self.is_complete:
            self.release_body()

    def release_body(self) -> None:
        if type(self.body) is SlabSlice:
            self.body.release()


def render_head(answer: Answer, date: bytes, close: bool) -> bytes:
    """Status line and headers of an answer, up to and with the empty line."""
    key = (answer.status, answer.content_type, answer.phrase)
    head = _heads.get(key)
    if head is None:
        head = _status_and_type(*key)
        if len(_heads) < MAX_HEADS:
            _heads[key] = head
    if answer.headers or close:
        extra = "".join([f"{name}: {_one_line(value)}\r\n" for name, value in answer.headers])
        if close:
            extra += "connection: close\r\n"
        head += extra.encode("latin-1", "replace")
    return b"%b%bcontent-length: %d\r\n\r\n" % (head, date, len(answer.body))


def _status_and_type(status: int, content_type: str | None, phrase: str | None) -> bytes:
    text = PHRASES.get(status, "") if phrase is None else _one_line(phrase)
    head = f"HTTP/1.1 {status} {text}\r\n"
    if content_type is not None:
        head += f"content-type: {_one_line(content_type)}\r\n"
    return head.encode("latin-1", "replace")


def _one_line(value: str) -> str:
    """A header value or phrase that cannot begin another header, whatever a model's code put in it."""
    return value.replace("\r", " ").replace("\n", " ").replace("\0", " ")
