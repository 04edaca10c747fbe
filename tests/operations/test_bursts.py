"""What a burst does when a codec fails: nobody is left without an answer, and nothing is answered or counted twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from salver.access.permit import Principal
from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, Credentials
from salver.operations.burst import Burst, BurstExchange, burst_of
from salver.operations.inference import PREDICT
from salver.operations.standing import Owner, Standing
from salver.serving.batching.queue import VersionQueue
from salver.types import BatchSettings, InferRequest, InferResponse, ModelVersion, PayloadKind, VersionInfo

VERSION = VersionInfo(
    id=ModelVersion("m", 1),
    runtime="hand",
    payload=PayloadKind.TENSORS,
    signatures={},
    batching=BatchSettings(),
    has_batch_dimension=True,
    is_idempotent=True,
)
RESPONSE = InferResponse(VERSION, {})
NEAR = Credentials(None, "127.0.0.1", is_loopback=True)


class HandCodec:
    """One row for each body. Fails with what the test says."""

    def __init__(self) -> None:
        self.names_requests = True
        self.on_decode: Exception | None = None
        self.on_encode: Exception | None = None

    def decode(self, bodies: Sequence[Any]) -> tuple[InferRequest, Sequence[int]] | None:
        if self.on_decode is not None:
            raise self.on_decode
        if b"odd" in bodies:
            return None
        return InferRequest(VERSION, "", {}, None, len(bodies), "g"), [1] * len(bodies)

    def encode(
        self, response: InferResponse, request: InferRequest, rows: Sequence[int]
    ) -> tuple[Answer, Sequence[bytes]]:
        if self.on_encode is not None:
            raise self.on_encode
        return Answer(200, b"", headers=(("A", "b"),)), [b"%d" % index for index in range(len(rows))]


class HandExchange(BurstExchange):
    def __init__(self, body: bytes = b"", begin: bytes = b"HTTP/1.1 200 OK\r\n") -> None:
        self.body = body
        self.started_at = 5.0
        self.disconnected = False
        self.prediction: Any = None
        self.heard: list[Any] = []
        self._begin = begin

    def begin(self, answer: Answer) -> bytes:
        return self._begin

    def respond_with(self, begin: bytes, named: bytes, body: bytes) -> None:
        self.heard.append((begin, named, body))

    def respond(self, answer: Answer) -> None:
        self.heard.append(answer)


class HandOwner(Owner):
    """Whoever takes predictions one by one."""

    names_requests = False

    def __init__(self) -> None:
        self.refused: list[tuple[Any, Code]] = []
        self.recorded: list[Burst] = []
        self._ids = 0

    def next_request_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"

    def start_alone(self, exchange: Any, standing: Any) -> Any:
        return None

    def refuse(self, exchange: Any, standing: Any, error: SalverError, request_id: str) -> None:
        self.refused.append((exchange, error.code))

    def record(self, burst: Burst) -> None:
        self.recorded.append(burst)


class Bench:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.owner = HandOwner()
        self.codec = HandCodec()
        queue = VersionQueue(VERSION, loop, SimpleNamespace(), deadline_grace_s=1.0)  # type: ignore[arg-type]
        route = SimpleNamespace(model="m", wire="native")
        self.standing = Standing(self.owner, PREDICT, route, queue, Principal(id="a", role="user"), NEAR, 30.0)  # type: ignore[arg-type]
        self.standing.codec = self.codec
        self.standing.names_requests = self.codec.names_requests

    def burst(self, *exchanges: HandExchange, most: int = 8) -> Burst | None:
        return burst_of(self.owner, self.standing, list(exchanges), most)  # type: ignore[arg-type]


@pytest.fixture
def bench() -> Iterator[Bench]:
    loop = asyncio.new_event_loop()
    yield Bench(loop)
    loop.close()


def test_bodies_become_one_ticket_with_the_deadline_of_the_first(bench: Bench) -> None:
    exchanges = [HandExchange(), HandExchange()]
    burst = bench.burst(*exchanges)
    assert burst is not None
    assert (burst.request.rows, burst.deadline) == (2, 35.0)
    assert [exchange.prediction for exchange in exchanges] == [burst, burst]


@pytest.mark.parametrize(
    ("bodies", "failure", "most"),
    [
        ([b"", b"odd"], None, 8),
        ([b"", b""], None, 1),
        ([b"", b""], RequestError(Code.INVALID_INPUT, "No."), 8),
        ([b"", b""], ZeroDivisionError(), 8),
    ],
    ids=["a body that needs a closer look", "too many rows", "a refusal", "a fault"],
)
def test_sometimes_there_is_none(bench: Bench, caplog: Any, bodies: list[bytes], failure: Any, most: int) -> None:
    bench.codec.on_decode = failure
    exchanges = [HandExchange(body) for body in bodies]
    with caplog.at_level(logging.ERROR):
        assert bench.burst(*exchanges, most=most) is None
    assert [exchange.prediction for exchange in exchanges] == [None, None]
    assert [record.message for record in caplog.records] == ["burst_failed"] * isinstance(failure, ZeroDivisionError)


def test_one_with_too_many_rows_is_one_all_the_same(bench: Bench) -> None:
    """It runs in pieces."""
    assert bench.burst(HandExchange(), most=0) is not None


def test_each_hears_its_own_part_under_an_id_of_its_own(bench: Bench) -> None:
    exchanges = [HandExchange(), HandExchange()]
    burst = bench.burst(*exchanges)
    assert burst is not None
    burst.reply(RESPONSE, None)
    begin = b"HTTP/1.1 200 OK\r\n"
    assert [exchange.heard for exchange in exchanges] == [
        [(begin, b"X-Request-Id: id-1\r\n", b"0")],
        [(begin, b"X-Request-Id: id-2\r\n", b"1")],
    ]
    assert bench.owner.recorded == [burst]


def test_where_answers_end_connections_each_is_written_by_itself(bench: Bench) -> None:
    exchanges = [HandExchange(begin=b""), HandExchange(begin=b"")]
    burst = bench.burst(*exchanges)
    assert burst is not None
    burst.reply(RESPONSE, None)
    assert [exchange.heard for exchange in exchanges] == [
        [Answer(200, b"0", headers=(("X-Request-Id", "id-1"), ("A", "b")))],
        [Answer(200, b"1", headers=(("X-Request-Id", "id-2"), ("A", "b")))],
    ]


@pytest.mark.parametrize(
    ("failure", "code", "logged"),
    [
        (RequestError(Code.OUTPUT_INVALID, "No."), Code.OUTPUT_INVALID, []),
        (ZeroDivisionError(), Code.INTERNAL, ["encode_failed"]),
    ],
)
def test_an_answer_that_cannot_be_written_is_told_to_all(
    bench: Bench, caplog: Any, failure: Exception, code: Code, logged: list[str]
) -> None:
    bench.codec.on_encode = failure
    exchanges = [HandExchange(), HandExchange()]
    burst = bench.burst(*exchanges)
    assert burst is not None
    with caplog.at_level(logging.ERROR):
        burst.reply(RESPONSE, None)
    assert bench.owner.refused == [(exchange, code) for exchange in exchanges]
    assert bench.owner.recorded == []
    assert [exchange.heard for exchange in exchanges] == [[], []]
    assert [record.message for record in caplog.records] == logged


def test_a_lone_one_is_not_taken_apart(bench: Bench) -> None:
    burst = bench.burst(HandExchange())
    assert burst is not None
    assert (burst.apart(), burst.is_done, burst.request_id) == ((burst,), False, "id-1")


def test_it_ends_when_nobody_waits_any_more(bench: Bench) -> None:
    exchanges = [HandExchange(), HandExchange()]
    burst = bench.burst(*exchanges)
    assert burst is not None
    for exchange, is_done in zip(exchanges, (False, True), strict=True):
        exchange.disconnected = True
        burst.cancel()
        assert burst.is_done == is_done
    burst.cancel()
    assert bench.owner.recorded == [burst]
