"""Predictions that come in one turn of the loop: each hears what it would hear by itself, and is counted once."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from salver.access.keys import KeyRights, new_key
from salver.types import BatchSettings, ModelVersion, Ranking, Signature, TensorSpec

WIRES = ["native", "tfserving", "openinference"]
TWO = WIRES[:2]


class Burst:
    """Clients whose requests arrive in one turn of the loop, with heads that the server has met before."""

    def __init__(self, server: Any, connect: Any) -> None:
        self.server = server
        self.connect = connect
        self._known: set[bytes] = set()

    def __call__(self, *raws: bytes) -> list[Any]:
        self.meet(*raws)
        clients = [self.connect(self.server) for _ in raws]
        names = {client.sock.getsockname() for client in clients}
        self.server.until(lambda: names <= connections(self.server).keys())
        return self.send(clients, raws)

    def meet(self, *raws: bytes) -> None:
        """Let the server get to know the heads."""
        for raw in raws:
            self._make_known(raw)

    def send(self, clients: list[Any], raws: Any) -> list[Any]:
        """While the loop looks on: it finds all of them when it looks for bytes again."""
        return self.server.on_loop(lambda: [client.send(raw) for client, raw in zip(clients, raws, strict=True)])

    def _make_known(self, raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        if head in self._known:
            return
        self._known.add(head)
        client = self.connect(self.server)
        for _ in range(3):
            client.send(b"%b\r\n\r\n%b" % (head, body)).answer()
        client.close()


@pytest.fixture
def burst(running, connect) -> Burst:
    return Burst(running, connect)


def connections(server: Any) -> dict[Any, Any]:
    """By the client's address."""
    return {each.transport.get_extra_info("peername"): each for each in server.edge.connections}


def queue_of(server: Any, model: str = "m") -> Any:
    (queue,) = [queue for id, queue in server.front_end.pipeline.queues.items() if id.model == model]
    return queue


def waiting(server: Any, model: str = "m") -> list[str]:
    """The kinds of tickets that wait."""
    return server.on_loop(lambda: [type(ticket).__name__ for ticket in queue_of(server, model)._waiting])


def codes(server: Any) -> Counter[str]:
    """What all predictions so far were counted as."""
    total: Counter[str] = server.on_loop(lambda: codes_now(server))
    return total


def after(server: Any, before: Counter[str], wanted: int) -> dict[str, int]:
    """What was counted since then, once it is so many."""
    server.until(lambda: sum(codes_now(server).values()) - sum(before.values()) >= wanted)
    return dict(codes(server) - before)


def codes_now(server: Any) -> Counter[str]:
    total: Counter[str] = Counter()
    for _, count in server.front_end.counters.requests():
        total.update(count.codes)
    return total


def busy(server: Any, connect: Any, say: Any, model: str = "m") -> Any:
    """A request that keeps the worker, so that what comes next waits together."""
    server.workers[model].holds = True
    client = connect(server).send(say.predict(0, "X-Blocker: 1", model=model))
    server.until(lambda: server.workers[model].held != [])
    return client


def let_go(server: Any, model: str = "m") -> None:
    worker = server.workers[model]
    worker.holds = False
    server.on_loop(worker.let_go)


def same(answer: Any) -> tuple[int, dict[str, str], bytes]:
    """An answer without what is its own: id and date."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status, headers, re.sub(rb'"request_id":"[0-9a-f-]{36}"', b"", answer.body)


def serve(server: Any, say: Any, name: str, width: int = 2, replicas: int = 1, **changes: Any) -> list[Any]:
    workers = server.serve(say.version(name, width, **changes), replicas=replicas)
    server.workers[name] = workers[0]
    return workers


def post_rows(say: Any, values: list[float], wire: str, model: str = "m") -> bytes:
    path, body = say.question([[value, value] for value in values], wire, model)
    return say.post(path, body, "Content-Type: application/json")


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


# What goes wrong


@pytest.mark.parametrize("wire", WIRES)
def test_a_body_that_cannot_be_read_is_only_the_guilty_ones(running, say, burst, wire) -> None:
    raws = [say.predict(value, wire=wire) for value in (1, 2, 3)]
    burst.meet(*raws)
    raws[1] = raws[1].replace(b"[2,2]", b"[2,{}")
    before = codes(running)
    answers = [client.answer() for client in burst(*raws)]
    assert [answer.status for answer in answers] == [200, 400, 200]
    assert after(running, before, 3) == {"OK": 2, "INVALID_INPUT": 1}


@pytest.mark.parametrize("wire", WIRES)
def test_an_error_of_the_model_is_only_the_guilty_ones(running, connect, say, burst, wire) -> None:
    def model(x: Any) -> Any:
        if 2 in x:
            raise say.fails
        return {"y": x}

    raws = [say.predict(value, wire=wire) for value in (1, 2, 3)]
    burst.meet(*raws)
    running.worker.model = model
    alone = [same(connect(running).send(raw).answer()) for raw in raws]
    before = codes(running)
    answers = [client.answer() for client in burst(*raws)]
    assert [same(answer) for answer in answers] == alone
    assert [answer.status for answer in answers] == [200, 500, 200]
    assert after(running, before, 3) == {"OK": 2, "MODEL_ERROR": 1}
    logged = [line for line in running.records.lines if "model_error" in line]
    running.records.lines.clear()
    assert len(logged) == 2  # the one that asked alone, and the one of the burst


def test_another_number_of_rows_out_reaches_nobody(running, say, burst) -> None:
    raws = [say.predict(value) for value in (1, 2, 3)]
    burst.meet(*raws)
    running.worker.model = lambda x: {"y": x[:1]}
    assert [client.answer().json["outputs"]["y"][0][0] for client in burst(*raws)] == [1, 2, 3]


@pytest.mark.parametrize("wire", WIRES)
def test_what_a_dead_worker_had_runs_elsewhere_and_what_kills_again_is_alone_with_it(running, say, burst, wire) -> None:
    workers = serve(running, say, "twice", replicas=3)
    raws = [say.predict(value, model="twice", wire=wire) for value in (1, 2, 3)]
    burst.meet(*raws)

    def model_of(worker: Any) -> Any:
        def model(x: Any) -> Any:
            if 2 in x:
                worker.transport.abort()
            return {"y": x}

        return model

    for worker in workers:
        worker.model = model_of(worker)
    before = codes(running)
    answers = [client.answer() for client in burst(*raws)]
    assert [answer.status for answer in answers] == [200, 503, 200]
    assert after(running, before, 3) == {"OK": 2, "WORKER_DIED": 1}
    running.until(lambda: running.front_end.pipeline.is_idle)


def test_what_must_not_run_twice_hears_of_the_death(running, say, burst) -> None:
    workers = serve(running, say, "once", replicas=2, is_idempotent=False)
    raws = [say.predict(value, model="once") for value in (1, 2, 3)]
    burst.meet(*raws)
    for worker in workers:
        worker.holds = True
    clients = burst(*raws)
    running.until(lambda: any(worker.held for worker in workers))
    (holder,) = [worker for worker in workers if worker.held]
    before = codes(running)
    running.on_loop(lambda: holder.transport.abort())
    assert [client.answer().json["error"]["code"] for client in clients] == ["WORKER_DIED"] * 3
    assert after(running, before, 3) == {"WORKER_DIED": 3}


def test_without_a_replica_each_is_refused(running, say, burst) -> None:
    (worker,) = serve(running, say, "gone")
    raws = [say.predict(value, model="gone") for value in (1, 2, 3)]
    burst.meet(*raws)
    running.on_loop(lambda: worker.transport.abort())
    running.until(lambda: not queue_of(running, "gone").links)
    before = codes(running)
    assert [client.answer().json["error"]["code"] for client in burst(*raws)] == ["MODEL_NOT_READY"] * 3
    assert after(running, before, 3) == {"MODEL_NOT_READY": 3}


@pytest.mark.parametrize("is_flying", [False, True])
def test_the_deadline_is_told_once_and_nothing_is_run_again(running, connect, say, burst, is_flying) -> None:
    (worker,) = serve(running, say, "slow", deadline_s=0.3)
    raws = [say.predict(value, model="slow") for value in (1, 2, 3)]
    burst.meet(*raws)
    blocker = None if is_flying else busy(running, connect, say, model="slow")
    worker.holds = True
    before, asked = codes(running), worker.asked
    clients = burst(*raws)
    answers = [client.answer() for client in clients]
    assert [answer.json["error"]["code"] for answer in answers] == ["DEADLINE_EXCEEDED"] * 3
    worker.model = fail_as_interrupted(say)
    let_go(running, "slow")
    running.until(lambda: running.front_end.pipeline.is_idle)
    assert after(running, before, 3) == {"DEADLINE_EXCEEDED": 3 if blocker is None else 4}
    assert worker.asked == asked + is_flying
    assert all(client.is_silent(0.01) for client in clients)


def fail_as_interrupted(say: Any) -> Any:
    def model(x: Any) -> Any:
        raise say.fails("CANCELLED", "It was interrupted.")

    return model


def test_too_many_are_refused_one_by_one(running, connect, say, burst) -> None:
    serve(running, say, "short", batching=BatchSettings(max_batch_rows=2, max_queue_rows=3))
    raws = [say.predict(value, model="short") for value in range(8)]
    burst.meet(*raws)
    busy(running, connect, say, model="short")
    before = codes(running)
    clients = burst(*raws)
    running.until(lambda: queue_of(running, "short").waiting_rows == 3)
    let_go(running, "short")
    answers = [client.answer() for client in clients]
    assert Counter(answer.status for answer in answers) == {200: 3, 503: 5}
    for value, answer in enumerate(answers):
        if answer.status == 200:
            assert answer.json["outputs"]["y"] == [[2.0 * value, float(value)]]
    assert after(running, before, 9) == {"OK": 4, "OVERLOADED": 5}


# Hang-ups


def reset(client: Any) -> None:
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("is_flying", [False, True])
@pytest.mark.parametrize("leave", [[1], [0, 1, 2]], ids=["one", "all"])
def test_who_hangs_up_is_counted_as_such_and_the_others_are_answered(
    running, connect, say, burst, is_flying, leave
) -> None:
    raws = [say.predict(value) for value in (1, 2, 3)]
    burst.meet(*raws)
    blocker = None if is_flying else busy(running, connect, say)
    running.worker.holds = True
    clients = burst(*raws)
    running.until((lambda: running.worker.held != []) if is_flying else (lambda: queue_of(running).waiting_rows == 3))
    before, asked, open_before = codes(running), running.worker.asked, len(running.edge.connections)
    for index in leave:
        reset(clients[index])
    running.until(lambda: len(running.edge.connections) == open_before - len(leave))
    let_go(running)
    stayed = [index for index in range(3) if index not in leave]
    assert [clients[index].answer().json["outputs"]["y"][0][1] for index in stayed] == [index + 1 for index in stayed]
    counted = after(running, before, 3 + (blocker is not None))
    wanted = {"OK": len(stayed) + (blocker is not None), "CANCELLED": len(leave)}
    assert counted == {code: number for code, number in wanted.items() if number}
    running.until(lambda: running.has_nothing_left)
    assert running.worker.asked - asked == (not is_flying and bool(stayed))
    assert len(running.control.cancelled) == (is_flying and not stayed)


@pytest.mark.parametrize("leave", [[1], [0, 1, 2]], ids=["one", "all"])
def test_a_hang_up_before_the_turn_is_over(running, say, burst, leave) -> None:
    raws = [say.predict(value) for value in (1, 2, 3)]
    clients = burst(*raws)
    assert [client.answer().status for client in clients] == [200] * 3
    known = running.on_loop(lambda: connections(running))
    mine = [known[client.sock.getsockname()] for client in clients]
    before, asked = codes(running), running.worker.asked

    def arrive_and_leave() -> None:
        for connection, raw in zip(mine, raws, strict=True):
            connection.data_received(raw)
        for index in leave:
            mine[index].connection_lost(None)

    running.on_loop(arrive_and_leave)
    stayed = [index for index in range(3) if index not in leave]
    assert [clients[index].answer().json["outputs"]["y"][0][1] for index in stayed] == [index + 1 for index in stayed]
    wanted = {"OK": len(stayed), "CANCELLED": len(leave)}
    assert after(running, before, 3) == {code: number for code, number in wanted.items() if number}
    assert running.worker.asked - asked == bool(stayed)


def test_one_of_a_failed_burst_may_be_gone_meanwhile(running, say, burst) -> None:
    raws = [say.predict(value) for value in (1, 2, 3)]
    burst.meet(*raws)
    running.worker.holds = True
    clients = burst(*raws)
    running.until(lambda: running.worker.held != [])
    before = codes(running)
    open_before = len(running.edge.connections)
    reset(clients[0])
    running.until(lambda: len(running.edge.connections) == open_before - 1)

    def model(x: Any) -> Any:
        if len(x) > 1:
            raise say.fails
        return {"y": x}

    running.worker.model = model
    running.worker.rows.clear()
    let_go(running)
    assert [client.answer().status for client in clients[1:]] == [200, 200]
    assert after(running, before, 3) == {"OK": 2, "CANCELLED": 1}
    assert running.worker.rows == [3, 1, 1]


# Models that change, servers that stop, lines, doors


@pytest.mark.parametrize("wire", WIRES)
def test_a_version_that_goes_live_before_the_turn_is_over_answers(running, say, burst, wire) -> None:
    one, two = (say.version("moves", 2, id=ModelVersion("moves", number)) for number in (1, 2))
    old, new = running.serve(one, two)
    running.workers["moves"] = old
    new.model = lambda x: {"y": x * 100}
    raws = [say.predict(value, model="moves", wire=wire) for value in (1, 2, 3)]
    clients = burst(*raws)
    assert [client.answer().status for client in clients] == [200] * 3
    known = running.on_loop(lambda: connections(running))
    before, asked = codes(running), old.asked

    async def arrive_and_switch() -> None:
        for client, raw in zip(clients, raws, strict=True):
            known[client.sock.getsockname()].data_received(raw)
        await running.serve_now(two)

    running.run(arrive_and_switch())
    answers = [client.answer() for client in clients]
    assert all(b"%d" % (100 * value) in answer.body for value, answer in zip((1, 2, 3), answers, strict=True))
    assert after(running, before, 3) == {"OK": 3}
    assert old.asked == asked


def test_a_stopping_server_answers_and_closes(running, connect, say, burst) -> None:
    raws = [say.predict(value, wire=wire) for value in (1, 2) for wire in WIRES]
    alone = []
    for raw in raws:
        alone.append(same(connect(running).send(raw.replace(b"Host", b"Connection: close\r\nHost", 1)).answer()))
    burst.meet(*raws)
    running.worker.holds = True
    clients = burst(*raws)
    running.until(lambda: running.worker.held != [])
    running.on_loop(running.edge.drain)
    let_go(running)
    assert [same(client.answer()) for client in clients] == alone
    assert all(client.has_ended() for client in clients)


def test_a_server_that_gives_up_tells_each(running, say, burst) -> None:
    raws = [say.predict(value) for value in (1, 2, 3)]
    burst.meet(*raws)
    running.worker.holds = True
    clients = burst(*raws)
    running.until(lambda: running.worker.held != [])
    before = codes(running)
    running.on_loop(running.front_end.pipeline.close)
    assert [client.answer().json["error"]["code"] for client in clients] == ["SHUTTING_DOWN"] * 3
    assert after(running, before, 3) == {"SHUTTING_DOWN": 3}
    assert [client.answer().status for client in burst.send(clients, raws)] == [503] * 3


def test_what_is_sent_behind_one_is_answered_after_it(running, say, burst) -> None:
    raws = [say.predict(value) for value in (1, 2, 3)]
    burst.meet(*raws)
    running.worker.holds = True
    clients = burst(*raws)
    running.until(lambda: running.worker.held != [])
    for client in clients:
        client.send(say.predict(9) + say.get("/livez") + say.predict(2)[:30])
    let_go(running)
    for value, client in zip((1, 2, 3), clients, strict=True):
        assert client.answer().json["outputs"]["y"] == [[2.0 * value, value]]
        assert client.answer().json["outputs"]["y"] == [[18.0, 9.0]]
        assert client.answer().status == 200
        assert client.send(say.predict(2)[30:]).answer().json["outputs"]["y"] == [[4.0, 2.0]]


def test_a_bad_request_behind_one_gets_the_last_word(running, say, burst) -> None:
    raws = [say.predict(value) for value in (1, 2)]
    burst.meet(*raws)
    running.worker.holds = True
    clients = burst(*raws)
    running.until(lambda: running.worker.held != [])
    clients[0].send(b"GARBAGE\r\n\r\n")
    running.until(lambda: any(connection.line.is_deaf for connection in running.edge.connections))
    let_go(running)
    assert [clients[0].answer().status, clients[0].answer().status] == [200, 400]
    assert clients[0].has_ended()
    assert clients[1].answer().status == 200
    assert clients[1].send(raws[1]).answer().status == 200


def test_exchanges_of_two_doors_do_not_mix(running, connect, say, burst) -> None:
    """One of them drains: only its clients are told to go."""
    make = running.on_loop(lambda: running.front_end._door_protocol(("native",)))
    other = running.front_end._edges[-1]
    listener = running.run(running.loop.create_server(make, "127.0.0.1", 0))
    address = listener.sockets[0].getsockname()

    elsewhere = SimpleNamespace(address=address)
    raw = say.predict(1)
    burst.meet(raw)
    warm = connect(elsewhere)
    for _ in range(3):
        assert warm.send(raw).answer().status == 200
    clients = [connect(running), connect(elsewhere), connect(running), connect(elsewhere)]
    running.until(lambda: len(other.connections) == 3)
    running.worker.holds = True
    burst.send(clients, [raw] * 4)
    running.until(lambda: running.worker.held != [])
    running.on_loop(other.drain)
    let_go(running)
    running.until(lambda: running.front_end.pipeline.is_idle)
    let_go(running)
    answers = [client.answer() for client in clients]
    assert ["connection" in answer.headers for answer in answers] == [False, True, False, True]
    assert [answer.json["outputs"]["y"] for answer in answers] == [[[2.0, 1.0]]] * 4
    running.run(closed(listener))


async def closed(listener: asyncio.Server) -> None:
    listener.close()


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
