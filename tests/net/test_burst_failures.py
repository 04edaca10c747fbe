"""What goes wrong in a burst, and who hangs up: the others of it are answered, and each is counted once."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from typing import Any

import pytest
from burst_stage import WIRES, after, busy, codes, connections, let_go, queue_of, same, serve

from salver.types import BatchSettings

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
