"""Bursts while something else happens: a version goes live, the server stops, more comes on a line."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from burst_stage import WIRES, after, codes, connections, let_go, same

from salver.types import ModelVersion


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
