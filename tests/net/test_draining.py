"""A server that stops: what is under way is answered, what is idle is closed, and clients are told to go elsewhere."""

from __future__ import annotations

import asyncio


def drain(server) -> None:
    server.on_loop(server.edge.drain)


def test_answers_end_their_connections(running, connect, say) -> None:
    clients = [connect(running), connect(running)]
    for client in clients:
        assert client.send(say.predict()).answer().status == 200
    drain(running)
    for client, raw in zip(clients, (say.predict(), say.get("/livez")), strict=True):
        answer = client.send(raw).answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert client.has_ended()


def test_a_line_of_requests_is_answered_to_its_end(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict(1) + say.get("/livez") + say.predict(2) + say.get("/livez"))
    running.until(lambda: running.worker.held != [])
    drain(running)
    running.on_loop(running.edge.close_idle)
    running.worker.holds = False
    running.on_loop(running.worker.let_go)
    answers = [client.answer() for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert ["connection" in answer.headers for answer in answers] == [False, False, False, True]
    assert client.has_ended()


def test_idle_connections_are_closed_and_busy_ones_are_not(running, connect, say) -> None:
    running.worker.holds = True
    busy, idle, fresh = connect(running), connect(running), connect(running)
    assert idle.send(say.get("/livez")).answer().status == 200
    busy.send(say.predict())
    running.until(lambda: running.worker.held != [] and len(running.edge.connections) == 3)
    drain(running)
    running.on_loop(running.edge.close_idle)
    assert idle.has_ended()
    assert fresh.has_ended()
    assert running.on_loop(lambda: running.edge.is_busy)
    running.on_loop(running.worker.let_go)
    assert busy.answer().status == 200
    running.until(lambda: not running.edge.is_busy)


def test_half_a_request_is_waited_for(running, connect, say) -> None:
    raw = say.predict(2)
    client = connect(running).send(raw[:50])
    connection = running.connection
    running.until(lambda: bool(connection.part))
    drain(running)
    running.on_loop(running.edge.close_idle)
    assert client.send(raw[50:]).answer().json["outputs"] == {"y": [[4.0, 2.0]]}
    assert client.has_ended()


def test_an_ordinary_request_under_way_is_told_to_be_the_last(running, connect, say) -> None:
    go = asyncio.Event()

    async def wait(*_: object):
        await go.wait()
        return await original(*_)

    original = running.front_end.gate._bodies["server.live"]
    running.front_end.gate._bodies["server.live"] = wait
    client = connect(running).send(say.get("/livez"))
    connection = running.connection
    running.until(lambda: connection.line.running is not None)
    drain(running)
    running.on_loop(running.edge.close_idle)
    running.on_loop(go.set)
    answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert client.has_ended()


def test_a_refused_client_does_not_hold_the_server_up(running, connect) -> None:
    client = connect(running).send(b"GARBAGE\r\n\r\n")
    assert client.answer().status == 400
    assert not running.on_loop(lambda: running.edge.is_busy)
    running.on_loop(running.edge.close_idle)
    running.until(lambda: not running.edge.connections)


def test_a_closed_edge_sweeps_no_more(running) -> None:
    running.on_loop(running.edge.close)
    assert running.edge._sweeper is None
    running.on_loop(running.edge.close)
