"""How long a client may take: the test's clock moves, nobody waits."""

from __future__ import annotations

import socket

import pytest

from salver.net.large import LargeReader
from salver.net.turns import unread_bytes

HEAD = b"POST /api/v1/models/m/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LIMITS = {
    "header_timeout_s": 10,
    "body_timeout_s": 10,
    "min_body_rate": 1024,
    "keep_alive_s": 75,
    "write_timeout_s": 30,
}


@pytest.fixture
def server(make_server):
    return make_server(**LIMITS)


def test_a_silent_connection_is_cut(server, connect) -> None:
    client = connect(server)
    assert server.connection
    server.advance(10)
    assert client.is_silent()
    server.advance(1)
    assert client.has_ended()


def test_slow_headers_are_cut(server, connect) -> None:
    client = connect(server).send(HEAD)
    connection = server.connection
    server.until(lambda: bool(connection.part))
    server.advance(9)
    client.send(b"X-A: a\r\n")
    server.advance(2)
    answer = client.answer()
    assert (answer.status, answer.json["error"]["code"]) == (408, "DEADLINE_EXCEEDED")
    assert "--header-timeout-s" in answer.json["error"]["message"]
    assert client.has_ended()


def test_slow_headers_of_a_second_request_are_cut(server, connect, say) -> None:
    client = connect(server)
    assert client.send(say.predict()).answer().status == 200
    server.advance(60)
    client.send(HEAD)
    connection = server.connection
    server.until(lambda: bool(connection.part))
    server.advance(9)
    server.advance(2)
    assert client.answer().status == 408


def test_slow_headers_behind_a_long_prediction_are_cut(server, connect, say) -> None:
    server.worker.holds = True
    client = connect(server).send(say.predict() + HEAD)
    server.until(lambda: server.worker.held != [])
    server.advance(11)
    server.on_loop(server.worker.let_go)
    assert client.answer().status == 200
    assert client.answer().status == 408
    assert client.has_ended()


ROADS = {"lane": "/api/v1/models/m/predict", "large": "/api/v1/models/wide/predict", "ordinary": "/api/v1/keys"}


def start_body(server, connect, say, road: str, size: int):
    head = say.post(ROADS[road], b"", "Content-Type: application/octet-stream")
    length = {"lane": 60_000, "large": 65_536 * 20, "ordinary": 200_000}[road]
    client = connect(server).send(head.replace(b"Content-Length: 0", b"Content-Length: %d" % length) + b"a" * size)
    connection = server.connection
    server.until(lambda: connection.body_bytes == size)
    return client, connection


@pytest.mark.parametrize("road", ROADS)
def test_a_body_that_stops_coming_is_cut(server, connect, say, road) -> None:
    client, _ = start_body(server, connect, say, road, 50_000)
    server.advance(9)
    assert client.is_silent()
    server.advance(2)
    assert client.answer().status == 408
    assert client.has_ended()
    server.until(lambda: server.has_nothing_left)


@pytest.mark.parametrize("road", ROADS)
def test_a_body_that_drips_is_cut(server, connect, say, road) -> None:
    client, connection = start_body(server, connect, say, road, 5)
    for count in range(1, 4):
        server.advance(3)
        client.send(b"a")
        server.until(lambda count=count: connection.body_bytes == 5 + count)
    server.advance(3)
    assert client.answer().status == 408
    server.until(lambda: server.has_nothing_left)


@pytest.mark.parametrize("road", ROADS)
def test_a_body_that_comes_slowly_but_fast_enough_is_let_be(server, connect, say, road) -> None:
    client, connection = start_body(server, connect, say, road, 5000)
    for count in range(1, 8):
        server.advance(4)
        client.send(b"a" * 5000)
        server.until(lambda count=count: connection.body_bytes == 5000 * (count + 1))
    assert client.is_silent()


def test_the_time_of_a_body_starts_with_the_body(server, connect, say) -> None:
    raw = say.predict()
    client = connect(server).send(raw[:40])
    connection = server.connection
    server.until(lambda: bool(connection.part))
    server.advance(9)
    client.send(raw[40:-5])
    server.until(lambda: connection.body_bytes > 0)
    server.advance(9)
    assert client.send(raw[-5:]).answer().status == 200


def test_a_body_that_waits_behind_a_long_prediction_does_not_age(server, connect, say) -> None:
    """Nothing is read while a request waits in line, so its client is not to blame."""
    server.worker.holds = True
    raw = say.post("/api/v1/keys", b"a" * 300_000, "Content-Type: application/json")
    client = connect(server).send(say.predict(), say.predict(2), raw)
    server.until(lambda: server.worker.held != [])
    server.advance(1)
    server.advance(100)
    server.worker.holds = False
    server.on_loop(server.worker.let_go)
    assert [client.answer().status for _ in range(3)] == [200, 200, 401]


def test_a_prediction_may_take_as_long_as_it_takes(server, connect, say) -> None:
    server.worker.holds = True
    client = connect(server).send(say.predict())
    server.until(lambda: server.worker.held != [])
    server.advance(1000)
    server.on_loop(server.worker.let_go)
    assert client.answer().status == 200


def test_an_idle_connection_is_kept_for_its_time(server, connect, say) -> None:
    client = connect(server)
    for _ in range(3):
        assert client.send(say.predict()).answer().status == 200
        server.advance(74)
    assert client.send(say.get("/livez")).answer().status == 200
    server.advance(76)
    assert client.has_ended()


def unread(server, connect, say, request: bytes, *, answers: int = 1):
    """A client that asks for more than fits between the two, and reads none of it."""
    client = connect(server)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.send(request * answers)
    connection = server.connection
    server.until(lambda: connection.flow.write_paused)
    return client, connection


BIG = b"a" * 12_000_000


def big(say, *headers: str) -> bytes:
    return say.post("/api/v1/models/bodies/predict", BIG, *headers)


@pytest.mark.parametrize("headers", [(), ("Connection: close",)])
def test_an_answer_left_unread_is_cut(server, connect, say, headers) -> None:
    unread(server, connect, say, big(say, *headers))
    server.advance(29)
    assert len(server.edge.connections) == 1
    server.advance(2)
    server.until(lambda: not server.edge.connections and server.has_nothing_left)


def test_an_answer_that_is_read_slowly_arrives_whole(server, connect, say) -> None:
    client, connection = unread(server, connect, say, big(say))
    unread_at_first = server.on_loop(lambda: unread_bytes(connection.transport))
    for count in range(5):
        server.advance(25)
        client.read(400_000)
        server.until(lambda count=count: unread_bytes(connection.transport) < unread_at_first - count * 300_000)
    assert client.answer().body == BIG


def test_a_client_that_reads_nothing_is_asked_nothing_more(server, connect, say) -> None:
    """Its answers would pile up in the server's memory."""
    client, connection = unread(server, connect, say, big(say))
    client.send(say.get("/livez") * 3)
    assert connection.flow.read_paused
    assert client.answer().body == BIG
    assert [client.answer().status for _ in range(3)] == [200] * 3


def test_answers_in_line_wait_for_a_client_that_does_not_read(server, connect, say) -> None:
    body = b"a" * 60_000
    request = say.post("/api/v1/models/bodies/predict", body)
    client, connection = unread(server, connect, say, big(say) + request * 3)
    assert server.on_loop(lambda: connection.line.running is None)
    asked = server.workers["bodies"].asked
    assert client.answer().body == BIG
    assert [client.answer().body for _ in range(3)] == [body] * 3
    assert server.workers["bodies"].asked > asked


def test_a_refused_client_that_does_not_close_is_closed(server, connect) -> None:
    client = connect(server).send(b"GARBAGE\r\n\r\n")
    assert client.answer().status == 400
    assert client.has_ended()
    assert len(server.edge.connections) == 1
    server.advance(1)
    assert len(server.edge.connections) == 1
    server.advance(2)
    server.until(lambda: not server.edge.connections)


def test_a_refused_client_that_closes_is_forgotten(server, connect) -> None:
    client = connect(server).send(b"GARBAGE\r\n\r\n")
    assert client.answer().status == 400
    client.close()
    server.until(lambda: not server.edge.connections)


def test_many_slow_connections_are_all_cut_by_one_sweep(server, connect) -> None:
    clients = [connect(server).send(HEAD) for _ in range(100)]
    server.until(lambda: sum(bool(connection.part) for connection in server.edge.connections) == 100)
    server.advance(11)
    assert {client.answer().status for client in clients} == {408}


def test_a_large_body_waits_for_a_client_that_does_not_read_the_answer_before_it(server, connect, say) -> None:
    server.workers["bodies"].holds = True
    raw = say.wide(5)
    client = connect(server)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.send(big(say) + raw[:30_000])
    connection = server.connection
    server.until(lambda: server.workers["bodies"].held != [])
    server.until(lambda: type(connection.transport.get_protocol()) is LargeReader)
    server.on_loop(server.workers["bodies"].let_go)
    server.until(lambda: connection.flow.write_paused)
    assert connection.flow.read_paused
    assert client.answer().body == BIG
    assert client.send(raw[30_000:]).answer().json["outputs"] == {"y": [[5.0 * 16384, 5.0]]}
