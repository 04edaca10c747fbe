"""Predictions that come in one turn of the loop: each hears what it would hear by itself, and is counted once."""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from typing import Any

import numpy as np
import pytest
from burst_stage import TWO, WIRES, Burst, busy, codes, codes_now, let_go, post_rows, queue_of, same, serve, waiting

from salver.access.keys import KeyRights, new_key
from salver.types import BatchSettings, Ranking, Signature, TensorSpec

# What they hear


@pytest.mark.parametrize("wire", WIRES)
def test_each_gets_its_own_answer_as_if_alone_and_all_run_as_one(running, connect, say, burst, wire) -> None:
    raws = [say.predict(value, wire=wire) for value in (1, 22.5, 3, -4, 22.5, 6)]
    alone = [same(connect(running).send(raw).answer()) for raw in raws]
    burst.meet(*raws)
    blocker = busy(running, connect, say)
    before = running.worker.asked
    clients = burst(*raws)
    running.until(lambda: queue_of(running).waiting_rows == len(raws))
    assert waiting(running) == ["Burst"]
    let_go(running)
    assert blocker.answer().status == 200
    answers = [client.answer() for client in clients]
    assert [same(answer) for answer in answers] == alone
    assert running.worker.asked == before + 1
    if wire == "native":
        assert len({answer.headers["x-request-id"] for answer in answers}) == len(raws)


@pytest.mark.parametrize("wire", WIRES)
def test_requests_of_several_rows_get_theirs(running, connect, say, burst, wire) -> None:
    raws = [post_rows(say, values, wire) for values in ([1], [2, 3, 4], [5, 6], [7])]
    alone = [same(connect(running).send(raw).answer()) for raw in raws]
    burst.meet(*raws)
    running.worker.rows.clear()
    clients = burst(*raws)
    assert [same(client.answer()) for client in clients] == alone
    assert running.worker.rows == [7]


def test_raw_bytes_go_together_too(running, say, burst) -> None:
    raws = [
        say.post("/api/v1/models/m/predict", struct.pack("<2f", value, value), "Content-Type: application/octet-stream")
        for value in (1.0, 2.0, 3.0)
    ]
    burst.meet(*raws)
    running.worker.rows.clear()
    clients = burst(*raws)
    assert [client.answer().json["outputs"]["y"] for client in clients] == [[[2, 1]], [[4, 2]], [[6, 3]]]
    assert running.worker.rows == [3]


def test_protocols_and_forms_mix_in_one_turn(running, say, burst) -> None:
    raw = say.post("/api/v1/models/m/predict", struct.pack("<2f", 5, 5), "Content-Type: application/octet-stream")
    asked_for_bytes = say.predict(6, "Accept: application/octet-stream")
    raws = [say.predict(1), say.predict(2, wire="tfserving"), raw, say.predict(3), asked_for_bytes, say.get("/livez")]
    burst.meet(*raws[:-1])
    clients = burst(*raws)
    native, tfserving, binary, again, as_bytes, live = [client.answer() for client in clients]
    assert native.json["outputs"] == {"y": [[2, 1]]}
    assert tfserving.json == {"predictions": [[4, 2]]}
    assert binary.json["outputs"] == {"y": [[10, 5]]}
    assert again.json["outputs"] == {"y": [[6, 3]]}
    assert struct.unpack("<2f", as_bytes.body) == (12, 6)
    assert live.status == 200


def test_heads_with_a_key_an_id_or_a_deadline_of_their_own(running, say, burst) -> None:
    """Those with a key are asked for it each time; the id is the client's; a wrong deadline is refused."""
    key, record = new_key(KeyRights(label="k", role="user", requests_per_second=2.0), created_by="t", now=0.0)
    running.run(running.front_end.set_keys((record,)))
    raws = [
        say.predict(1),
        say.predict(2, "X-Request-Id: mine"),
        say.predict(3, "Salver-Deadline-Ms: 20000"),
        say.predict(4, "Salver-Deadline-Ms: soon"),
        say.predict(5),
    ]
    burst.meet(*raws)
    answers = [client.answer() for client in burst(*raws)]
    assert [answer.status for answer in answers] == [200, 200, 200, 400, 200]
    assert [answer.headers["x-request-id"] == "mine" for answer in answers] == [False, True, False, False, False]
    keyed = say.predict(6, f"Authorization: Bearer {key}")
    burst.meet(keyed)
    statuses = Counter(client.answer().status for client in burst(*[keyed] * 8))
    assert statuses[429] >= 4


OUTPUTS: dict[str, Any] = {
    "not finite": lambda x: {"y": np.where(x > 2, np.nan, np.where(x > 1, np.inf, x)).astype("<f4")},
    "a vector": lambda x: {"y": x[:, 0].astype("<i8")},
    "doubles": lambda x: {"y": x.astype("<f8") / 3},
    "booleans": lambda x: {"y": x > 1},
    "several": lambda x: {"y": x, "n": np.arange(len(x), dtype="<i4") * 0 + 7, "z": x[:, :1].astype("<f8")},
    "BYTES": lambda x: {"y": np.array([[b"a%d" % value, b"\xff"] for value in x[:, 0]], object)},
    "BYTES and numbers": lambda x: {"s": np.array([b'q"%d' % value for value in x[:, 0]], object), "y": x},
    "three dimensions": lambda x: {"y": np.stack([x, x * 2], axis=1)},
    "rows of nothing": lambda x: {"y": np.zeros((len(x), 0), "<f4")},
    "no outputs": lambda x: {},
}


@pytest.mark.parametrize("model", OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("wire", WIRES)
def test_all_kinds_of_outputs_are_written_as_for_one(running, connect, say, burst, wire, model) -> None:
    running.worker.model = model
    raws = [post_rows(say, values, wire) for values in ([1], [2, 3], [4])]
    alone = [same(connect(running).send(raw).answer()) for raw in raws]
    burst.meet(*raws)
    assert [same(client.answer()) for client in burst(*raws)] == alone
    running.records.lines[:] = [line for line in running.records.lines if "encode_failed" not in line]


def test_a_ranking_is_written_for_each(running, connect, say, burst) -> None:
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 2)),),
        outputs=(
            TensorSpec(name="c", datatype="BYTES", shape=(-1, 2)),
            TensorSpec(name="p", datatype="FP32", shape=(-1, 2)),
        ),
        ranking=Ranking(classes="c", probabilities="p"),
    )
    (worker,) = serve(running, say, "ranked", signatures={"serving_default": signature})
    worker.model = lambda x: {"c": np.array([[b"a", b"b"]] * len(x), object), "p": x}
    raws = [say.predict(value, model="ranked") for value in (1, 2)]
    burst.meet(*raws)
    told = [client.answer().json["ranking"] for client in burst(*raws)]
    assert [rows[0][0] for rows in told] == [{"class": "a", "probability": value} for value in (1.0, 2.0)]


def test_a_model_without_a_batch_dimension_is_asked_one_by_one(running, say, burst) -> None:
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(1, 2)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=(1, 2)),),
    )
    (worker,) = serve(running, say, "single", signatures={"serving_default": signature}, has_batch_dimension=False)
    raws = [say.predict(value, model="single", wire=wire) for value in (1, 2) for wire in TWO]
    burst.meet(*raws)
    worker.rows.clear()
    answers = [client.answer() for client in burst(*raws)]
    assert [answer.status for answer in answers] == [200] * 4
    assert worker.rows == [1] * 4


# How they are batched


def test_a_model_that_takes_one_row_gets_one_row(running, say, burst) -> None:
    (worker,) = serve(running, say, "narrow", batching=BatchSettings(max_batch_rows=1))
    raws = [say.predict(value, model="narrow") for value in (1, 2, 3)]
    burst.meet(*raws)
    worker.rows.clear()
    assert [client.answer().json["outputs"]["y"] for client in burst(*raws)] == [[[2, 1]], [[4, 2]], [[6, 3]]]
    assert worker.rows == [1, 1, 1]


def test_more_than_a_batch_holds_are_several(running, say, burst) -> None:
    (worker,) = serve(running, say, "few", batching=BatchSettings(max_batch_rows=4))
    raws = [say.predict(value, model="few") for value in range(10)]
    burst.meet(*raws)
    worker.rows.clear()
    answers = [client.answer().json["outputs"]["y"] for client in burst(*raws)]
    assert answers == [[[2.0 * value, float(value)]] for value in range(10)]
    assert worker.rows == [4, 4, 2]


@pytest.mark.parametrize("wire", WIRES)
def test_too_many_rows_together_are_taken_one_by_one_and_one_alone_in_pieces(
    running, connect, say, burst, wire
) -> None:
    (worker,) = serve(running, say, "few", batching=BatchSettings(max_batch_rows=4))
    raws = [post_rows(say, values, wire, model="few") for values in ([1, 2, 3], [4, 5, 6], [7], [*range(10)])]
    alone = [same(connect(running).send(raw).answer()) for raw in raws]
    burst.meet(*raws)
    assert [same(client.answer()) for client in burst(*raws)] == alone
    assert max(worker.rows) == 4
    (lone,) = burst(raws[-1])
    assert same(lone.answer()) == alone[-1]


def test_a_wanted_delay_ends_when_a_burst_fills_the_batch(running, connect, say, burst) -> None:
    settings = BatchSettings(max_batch_rows=4, max_batch_delay_s=20.0)
    (worker,) = serve(running, say, "patient", batching=settings)
    clients = [connect(running) for _ in range(4)]
    raws = [say.predict(1, model="patient")] * 4
    for _ in range(3):
        assert [client.answer().status for client in burst.send(clients, raws)] == [200] * 4
    worker.rows.clear()
    burst.send(clients[:2], raws[:2])
    running.until(lambda: queue_of(running, "patient").waiting_rows == 2)
    assert waiting(running, "patient") == ["Burst"]
    burst.send(clients[2:], raws[2:])
    assert [client.answer().status for client in clients] == [200] * 4
    assert worker.rows == [4]


# What is written down


def test_each_has_one_line_in_the_log_under_the_id_that_it_heard(make_server, connect, say, tmp_path) -> None:
    path = tmp_path / "access.log"
    server = make_server(log_path=str(path))
    burst = Burst(server, connect)
    server.worker.model = poisoned(say)
    raws = [say.predict(value, wire=wire) for value in (1, 2, 3) for wire in TWO]
    burst.meet(*raws[:2], *raws[4:])
    answers = [client.answer() for client in burst(raws[0], raws[4], raws[0])]
    mixed = [client.answer() for client in burst(*raws)]
    assert [answer.status for answer in mixed] == [200, 200, 500, 500, 200, 200]
    server.records.lines.clear()
    heard = [answer.headers["x-request-id"] for answer in (*answers, *mixed) if "x-request-id" in answer.headers]
    server.on_loop(server.front_end._access_log.flush)
    server.until(lambda: path.read_text().count("\n") >= sum(codes_now(server).values()))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    ids = [line["id"] for line in lines]
    assert len(set(ids)) == len(ids) == sum(codes(server).values())
    assert set(heard) <= set(ids)
    assert all(re.fullmatch(r"[0-9a-f-]{36}", id) for id in ids)
    assert Counter(line["code"] for line in lines) == codes(server)
    assert all(0 <= line["queue_us"] <= line["us"] < 30_000_000 for line in lines)
    assert {line["rows"] for line in lines if line["code"] == "OK"} == {1}


def poisoned(say: Any) -> Any:
    def model(x: Any) -> Any:
        if 2 in x:
            raise say.fails
        return {"y": x}

    return model
