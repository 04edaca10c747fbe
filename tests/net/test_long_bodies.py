"""Bodies that take long to read, and answers that take long to write: the loop goes on, and nobody is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from salver.types import ModelVersion
from salver.wire.native import answers, codec
from table_bodies import parquet

PARQUET = "application/vnd.apache.parquet"


def table(rows: int = 2) -> bytes:
    noise = np.random.default_rng(1).random((2, rows), np.float32)
    return parquet(pa.table({"a": noise[0], "b": noise[1]}), compression="none")


def post(body: bytes, accept: str = "application/json", content_type: str = PARQUET) -> bytes:
    head = f"POST /api/v1/models/m/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: {content_type}\r\nAccept: {accept}\r\n\r\n".encode() + body


@contextmanager
def busy(server: Any) -> Iterator[None]:
    """Both threads are taken for as long as this lasts."""
    over = threading.Event()
    apart = server.front_end._predictions._apart
    for _ in range(2):
        server.on_loop(lambda: apart.do(over.wait, lambda result, error: None))
    try:
        yield
    finally:
        over.set()


def waiting(server: Any, count: int) -> None:
    """Return once so many bodies wait behind the two that are being read."""
    server.until(lambda: server.front_end._predictions._apart._count == 2 + count)


@pytest.mark.parametrize("rows", [2, 20_000])
def test_a_packed_body_is_answered(running, connect, say, rows: int) -> None:
    running.on_loop(lambda: setattr(running.worker, "model", lambda x: {"y": np.tile(x.sum(axis=1), (2, 1)).T.copy()}))
    client = connect(running).send(post(table(rows), accept=PARQUET))
    answer = client.answer()
    assert answer.status == 200, answer.body
    sent = pq.read_table(BytesIO(table(rows))).to_pandas().sum(axis=1).to_numpy()
    found = np.array(pq.read_table(BytesIO(answer.body))["y"].to_pylist(), np.float32)
    np.testing.assert_allclose(found[:, 0], sent, rtol=1e-6)
    running.until(lambda: running.has_nothing_left)


def test_others_are_answered_while_a_body_waits_for_a_thread(running, connect, say) -> None:
    with busy(running):
        slow = connect(running).send(post(table()))
        waiting(running, 1)
        assert connect(running).send(say.predict(1)).answer().status == 200
        assert slow.is_silent()
    assert slow.answer().status == 200


def test_requests_behind_a_long_body_wait_for_it(running, connect, say) -> None:
    client = connect(running).send(post(table()) + say.predict(1))
    assert [client.answer().status, client.answer().status] == [200, 200]


@pytest.mark.parametrize("rows", [2, 20_000])
def test_who_hangs_up_meanwhile_is_counted_and_its_memory_comes_back(running, connect, say, rows: int) -> None:
    with busy(running):
        client = connect(running).send(post(table(rows)))
        waiting(running, 1)
        client.close()
        running.until(lambda: not running.edge.connections)
    running.until(lambda: running.front_end._predictions._apart._count == 0)
    running.until(lambda: running.has_nothing_left)
    ((_, count),) = running.on_loop(running.front_end.counters.requests)
    assert count.codes == {"CANCELLED": 1}
    assert running.worker.asked == 0


def test_a_version_that_goes_meanwhile_leaves_the_request_to_the_next(running, connect, say) -> None:
    with busy(running):
        client = connect(running).send(post(table()))
        waiting(running, 1)
        (worker,) = running.serve(say.version("m", 2, id=ModelVersion("m", 2)))
    assert client.answer().json["version"] == 2
    assert (running.worker.asked, worker.asked) == (0, 1)


def test_more_bodies_than_may_wait_are_refused(running, connect, say) -> None:
    running.on_loop(lambda: setattr(running.front_end._predictions._apart, "_most", 2))
    with busy(running):
        answer = connect(running).send(post(table())).answer()
    assert (answer.status, answer.json["error"]["code"]) == (503, "OVERLOADED")


def test_answers_that_may_not_wait_are_refused(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(post(b'{"inputs":[[1,2]]}', PARQUET, "application/json"))
    running.until(lambda: running.worker.held != [])
    running.on_loop(lambda: setattr(running.front_end._predictions._apart, "_most", 0))
    running.on_loop(running.worker.let_go)
    assert client.answer().status == 503


def test_a_body_that_cannot_be_read_is_refused_as_any_other(running, connect, say) -> None:
    answer = connect(running).send(post(b"no parquet")).answer()
    assert (answer.status, answer.json["error"]["code"]) == (400, "INVALID_INPUT")


def test_faults_of_the_server_are_told_and_logged(running, connect, say, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("a secret")

    for place, name, body, content_type in (
        (codec, "decode_body", table(), PARQUET),
        (answers, "write_form", b'{"inputs":[[1,2]]}', "application/json"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, fails)
            answer = connect(running).send(post(body, PARQUET, content_type)).answer()
        assert (answer.status, answer.json["error"]["code"]) == (500, "INTERNAL")
        assert b"secret" not in answer.body
        assert [line for line in running.records.lines if "a secret" in line]
        running.records.lines.clear()


def test_a_wrong_answer_in_a_packed_form_is_the_model_s_fault(running, connect, say) -> None:
    running.on_loop(lambda: setattr(running.worker, "model", lambda x: {"z": np.array([b"text"] * len(x), object)}))
    answer = connect(running).send(post(b'{"inputs":[[1,2]]}', "application/x-npz", "application/json")).answer()
    assert (answer.status, answer.json["error"]["code"]) == (500, "OUTPUT_INVALID")
