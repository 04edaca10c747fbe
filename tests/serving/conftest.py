"""A queue on a clock that only the test moves, with links whose worker is the test."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from salver.errors import SalverError
from salver.replicas.result import Result
from salver.serving.batching.queue import VersionQueue
from salver.serving.batching.ticket import Ticket
from salver.types import (
    BatchSettings,
    InferRequest,
    InferResponse,
    ModelVersion,
    PayloadKind,
    Signature,
    Tensor,
    TensorSpec,
    VersionInfo,
)
from salver_worker import frames


class Handle:
    def __init__(self, callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.callback = callback
        self.arguments = arguments
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class HandLoop:
    """The part of an event loop that a queue uses; time stands still until `advance`."""

    def __init__(self) -> None:
        self.now = 100.0
        self._numbers = itertools.count()
        self._timers: list[tuple[float, int, Handle]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., Any], *arguments: Any) -> Handle:
        return self.call_at(self.now, callback, *arguments)

    def call_later(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> Handle:
        return self.call_at(self.now + delay, callback, *arguments)

    def call_at(self, at: float, callback: Callable[..., Any], *arguments: Any) -> Handle:
        handle = Handle(callback, arguments)
        heapq.heappush(self._timers, (at, next(self._numbers), handle))
        return handle

    def advance(self, seconds: float = 0.0) -> None:
        """Move the clock and run what is due, in order."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            at, _, handle = heapq.heappop(self._timers)
            self.now = max(self.now, at)
            if not handle.is_cancelled:
                handle.callback(*handle.arguments)
        self.now = end


class HandLink:
    """A link whose worker is the test: `sent` holds what the queue asked, `answer` plays the model."""

    def __init__(self, replica_id: str = "r1") -> None:
        self.replica_id = replica_id
        self.link_number = 1
        self.batch_id = 0
        self.is_open = True
        self.sent: list[tuple[dict[str, Any], bytes, int]] = []
        self._reply: Callable[[Result | None], None] | None = None
        self.on_part: Callable[[Result], None] | None = None

    @property
    def is_idle(self) -> bool:
        return self.is_open and self._reply is None

    def send(
        self, header: bytes, pieces: Sequence[Any], size: int, deadline_ms: int, reply: Any, on_part: Any = None
    ) -> int:
        self.batch_id += 1
        self.on_part = on_part
        body = b"".join(piece.view if hasattr(piece, "view") else bytes(piece) for piece in pieces)
        assert len(body) == size
        self.sent.append((frames.decode_header(header), body, deadline_ms))
        self._reply = reply
        return self.batch_id

    @property
    def rows(self) -> np.ndarray[Any, Any]:
        """The `x` of the batch that was sent last."""
        header, body, _ = self.sent[-1]
        _, _, shape, size = header["tensors"][0]
        return np.frombuffer(body[:size], "<f4").reshape(shape)

    def answer(self, array: np.ndarray[Any, Any]) -> None:
        raw = np.ascontiguousarray(array, "<f4").tobytes()
        header = frames.encode_header({"tensors": [["y", "FP32", list(array.shape), len(raw)]]})
        self._give(Result(frames.RESULT, header, memoryview(raw + b"\0" * frames.padding(len(raw)))))

    def part(self, header: dict[str, Any], body: bytes = b"") -> None:
        """A part, for a batch that takes them."""
        assert self.on_part is not None
        self.on_part(Result(frames.PART, frames.encode_header(header), memoryview(body)))

    def double(self) -> None:
        self.answer(self.rows * 2)

    def fail(self, code: str = "MODEL_ERROR", message: str = "It failed.") -> None:
        header = frames.encode_header({"code": code, "message": message, "exception": "ValueError", "detail": "trace"})
        self._give(Result(frames.ERROR, header, memoryview(b"")))

    def die(self, queue: VersionQueue) -> None:
        """As a link does it: first the batch is told, then its owner."""
        self.is_open = False
        self._give(None)
        queue.link_lost(self)  # type: ignore[arg-type]

    def close(self) -> None:
        self.is_open = False

    def _give(self, result: Result | None) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply(result)


class Watch:
    """Notes what the queue asks to be done to workers."""

    def __init__(self) -> None:
        self.cancelled: list[tuple[str, int, int]] = []
        self.replaced: list[str] = []
        self.errors: list[str] = []

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None:
        self.cancelled.append((replica_id, link_number, batch_id))

    def replace_worker(self, replica_id: str, reason: str) -> None:
        self.replaced.append(replica_id)

    def log_model_error(self, version: VersionInfo, request_id: str, header: dict[str, Any]) -> None:
        self.errors.append(request_id)


class Kept(Ticket):
    """A ticket that keeps what it was told."""

    __slots__ = ("error", "parts", "response", "settled")

    def __init__(self, request: InferRequest, deadline: float, request_id: str = "r") -> None:
        Ticket.__init__(self, request, deadline, request_id)
        self.response: InferResponse | None = None
        self.error: SalverError | None = None
        self.parts: list[Any] = []
        self.settled = 0

    def reply(self, response: InferResponse | None, error: SalverError | None) -> None:
        assert self.response is None
        assert self.error is None
        if response is not None:
            copied = {name: array.copy() for name, array in (response.outputs or {}).items()}
            self.response = InferResponse(response.version, copied, response.body)
        self.error = error

    def part(self, response: InferResponse) -> None:
        outputs, body = response.outputs, response.body
        self.parts.append(body.data if body is not None else (outputs or {})["y"].tolist())

    def settle(self) -> None:
        self.settled += 1

    @property
    def y(self) -> list[Any]:
        assert self.response is not None
        assert self.response.outputs is not None
        return self.response.outputs["y"].tolist()


def version_of(**changes: Any) -> VersionInfo:
    batching = BatchSettings(
        **{key: changes.pop(key) for key in list(changes) if key in BatchSettings.__struct_fields__}
    )
    values: dict[str, Any] = {
        "id": ModelVersion("m", 1),
        "runtime": "echo",
        "payload": PayloadKind.TENSORS,
        "signatures": {
            "serving_default": Signature(
                inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 2)),),
                outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1, 2)),),
            )
        },
        "batching": batching,
        "has_batch_dimension": True,
        "is_idempotent": True,
    }
    return VersionInfo(**{**values, **changes})


def request_of(version: VersionInfo, rows: list[list[float]], *, group: Any = "g") -> InferRequest:
    shape = (len(rows), len(rows[0]))
    return InferRequest(version, "serving_default", {"x": Tensor("FP32", shape, rows)}, None, len(rows), group, None)


class Bench:
    """A queue, its clock, its watcher, and tickets by the dozen."""

    def __init__(self, **changes: Any) -> None:
        self.loop = HandLoop()
        self.watch = Watch()
        self.version = version_of(**changes)
        self.queue = VersionQueue(self.version, self.loop, self.watch, deadline_grace_s=2.0, clock=self.loop.time)  # type: ignore[arg-type]
        self.link = HandLink()

    def add_link(self, link: HandLink | None = None) -> HandLink:
        link = link or self.link
        self.queue.add_link(link)  # type: ignore[arg-type]
        return link

    def add_replica(self, replica_id: str) -> HandLink:
        return self.add_link(HandLink(replica_id))

    def submit(self, *rows: list[float], group: Any = "g", within_s: float = 30.0, id: str = "r") -> Kept:
        ticket = self.ticket(list(rows), group=group, within_s=within_s, id=id)
        self.queue.submit(ticket)
        return ticket

    def ask_for_parts(self, *rows: list[float], within_s: float = 30.0) -> Kept:
        """A request whose caller takes parts."""
        ticket = self.ticket(list(rows), within_s=within_s)
        ticket.request.want_parts()
        ticket.ask(ticket.request)
        self.queue.submit(ticket)
        return ticket

    def ticket(self, rows: list[list[float]], *, group: Any = "g", within_s: float = 30.0, id: str = "r") -> Kept:
        return Kept(request_of(self.version, rows, group=group), self.loop.now + within_s, id)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.add_link()
    return bench


@pytest.fixture
def make_bench() -> type[Bench]:
    return Bench
