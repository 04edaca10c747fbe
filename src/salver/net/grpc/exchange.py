"""One prediction that came over gRPC: a message in, one answer or several out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from salver.operations.base import Answer, Credentials

if TYPE_CHECKING:
    from salver.net.grpc.head import Metadata
    from salver.serving.batching.ticket import Ticket


class GrpcExchange:
    """A prediction between its message and its answer. It is taken by itself: `memory` is None."""

    method = b"POST"
    memory = None
    started_at = 0.0
    prediction: Ticket | None = None
    disconnected = False

    def __init__(
        self,
        path: str,
        metadata: Metadata,
        body: bytes,
        credentials: Credentials,
        request_id: str,
        deadline_s: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._path = path
        self._metadata = metadata
        self.body = body
        self.credentials = credentials
        self.request_id = request_id
        self.deadline_s = deadline_s
        self.answer: asyncio.Future[Answer] = loop.create_future()

    @property
    def target(self) -> bytes:
        return self._path.encode()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(key.encode(), _raw(value)) for key, value in self._metadata]

    def header(self, name: bytes) -> bytes | None:
        wanted = name.decode()
        return next((_raw(value) for key, value in self._metadata if key == wanted), None)

    def respond(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def emit(self, message: bytes) -> None:
        """A message before the answer; there is none in a call of one message."""
        raise AssertionError("a method that answers in several messages is a StreamMethod")

    def begin(self, answer: Answer) -> bytes:
        """Each answer is written by itself."""
        return b""

    def respond_with(self, begin: bytes, named: bytes, body: bytes) -> None:
        raise AssertionError("the answers of this door have no common beginning")

    def hang_up(self) -> None:
        """The client is gone: what was begun for it is cancelled."""
        self.disconnected = True
        self.answer.cancel()
        prediction, self.prediction = self.prediction, None
        if prediction is not None:
            prediction.cancel()


class StreamExchange(GrpcExchange):
    """A prediction of a stream. What it answers is taken from `parts` in order; the `Answer` is the last."""

    def __init__(
        self,
        path: str,
        metadata: Metadata,
        body: bytes,
        credentials: Credentials,
        request_id: str,
        deadline_s: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(path, metadata, body, credentials, request_id, deadline_s, loop)
        self.parts: asyncio.Queue[bytes | Answer] = asyncio.Queue()

    def respond(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)
            self.parts.put_nowait(answer)

    def emit(self, message: bytes) -> None:
        if not self.answer.done():
            self.parts.put_nowait(message)


def _raw(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
