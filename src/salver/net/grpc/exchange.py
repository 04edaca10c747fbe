"""One prediction that came over gRPC: a message in, one answer or several out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from salver.operations.base import Answer, Credentials
from salver.operations.burst import MAX_UNREAD_BYTES, BurstExchange

if TYPE_CHECKING:
    from salver.net.grpc.head import Metadata


class GrpcExchange(BurstExchange):
    """A prediction between its message and its answer. It is taken by itself: `memory` is None."""

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
        self.method = b"POST"
        self.target = path.encode()
        self.headers = [(key.encode(), _raw(value)) for key, value in metadata]
        self.memory = None
        self.body = body
        self.credentials = credentials
        self.request_id = request_id
        self.deadline_s = deadline_s
        self.answer: asyncio.Future[Answer] = loop.create_future()

    def respond(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

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
        self.unread_bytes = 0
        """Of the parts that the client has not taken yet."""

    def respond(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)
            self.parts.put_nowait(answer)

    def part(self, answer: Answer) -> bool:
        """A message before the last one."""
        if self.answer.done():
            return True
        self.has_begun = True
        self.unread_bytes += len(answer.body)
        self.parts.put_nowait(answer.body)
        return self.unread_bytes <= MAX_UNREAD_BYTES

    def end(self, last: Answer | None) -> None:
        """A status ends what has begun, so there is nothing to break off without one."""
        assert last is not None
        self.respond(last)


def _raw(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
