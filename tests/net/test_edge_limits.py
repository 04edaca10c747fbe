"""How much a request may bring: bytes, headers, requests sent ahead, connections."""

from __future__ import annotations

import socket

import pytest

KIB = 1024
HEAD = b"POST /api/v1/models/m/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED = HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
ORDINARY = b"POST /api/v1/keys HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
BODY = b'{"instances":[[1,1]]}'


def test_a_long_request_line_is_refused(running, connect, say) -> None:
    client = connect(running).send(say.get("/" + "a" * 16 * KIB))
    assert client.answer().status == 431
    assert client.has_ended()


def test_headers_up_to_the_limit_are_taken(running, connect, say) -> None:
    client = connect(running)
    assert client.send(say.predict(1, f"X-A: {'a' * 15 * KIB}")).answer().status == 200
    assert client.send(say.get("/livez", f"X-A: {'a' * 15 * KIB}")).answer().status == 200


@pytest.mark.parametrize("pieces", [1, 16])
def test_headers_above_the_limit_are_refused(running, connect, say, pieces) -> None:
    raw = say.predict(1, f"X-A: {'a' * 16 * KIB}")
    size = len(raw) // pieces + 1
    client = connect(running).send(*(raw[at : at + size] for at in range(0, len(raw), size)))
    assert client.answer().status == 431


def test_a_header_without_end_is_cut_close_to_the_limit(running, connect) -> None:
    client = connect(running).send(HEAD + b"X-A: ")
    connection = running.connection
    running.until(lambda: bool(connection.part))
    client.send(b"a" * (15 * KIB))
    assert client.is_silent()
    client.send(b"a" * KIB)
    assert client.answer().status == 431
    assert client.has_ended()


def test_a_head_that_shares_a_read_with_a_big_body_is_not_taken_for_long(running, connect, say) -> None:
    """The read is longer than any head may be, but the head in it is not."""
    first = say.predict(1, extra=b" " * 40 * KIB)
    second = say.predict(2)
    client = connect(running).send(first + second[:30])
    assert client.answer().status == 200
    assert client.send(second[30:]).answer().json["outputs"] == {"y": [[4.0, 2.0]]}


@pytest.mark.parametrize(("count", "status"), [(99, 200), (100, 431)])
def test_headers_are_counted(running, connect, say, count, status) -> None:
    headers = [f"X-{number}: a" for number in range(count - 2)]
    assert connect(running).send(say.predict(1, *headers)).answer().status == status


@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 431)])
def test_trailers_are_counted(running, connect, say, count, status) -> None:
    trailers = [b"X-%d: a" % number for number in range(count)]
    raw = say.chunked("/api/v1/models/m/predict", [BODY], *trailers)
    assert connect(running).send(raw).answer().status == status


@pytest.mark.parametrize("start", [b"1\r\n{\r\n0\r\nX-A: ", b"1;"], ids=["trailer", "chunk extension"])
def test_what_stands_in_a_body_but_is_none_is_bounded(running, connect, start) -> None:
    client = connect(running).send(CHUNKED + start)
    connection = running.connection
    running.until(lambda: bool(connection.part))
    for _ in range(17):
        client.send(b"a" * KIB)
    assert client.answer().status == 431


def test_a_length_above_the_limit_is_refused_before_a_byte_is_read(make_server, connect) -> None:
    server = make_server(max_body_mb=1)
    client = connect(server).send(HEAD + b"Content-Length: 1048577\r\n\r\n")
    answer = client.answer()
    assert answer.status == 413
    assert "--max-body-mb" in answer.json["error"]["message"]
    assert client.has_ended()


def test_a_client_that_sends_on_still_reads_why_it_was_refused(make_server, connect) -> None:
    """A connection closed with unread bytes in it would be reset, and its answer thrown away."""
    server = make_server(max_body_mb=1)
    client = connect(server).send(HEAD + b"Content-Length: 2000000\r\n\r\n", b"a" * 1_000_000, b"a" * 1_000_000)
    assert client.answer().status == 413
    assert client.has_ended()


def test_a_body_exactly_at_the_limit_is_taken(make_server, connect, say) -> None:
    server = make_server(max_body_mb=0.0625)
    for surplus, status in ((0, 200), (1, 413)):
        body = b" " * (64 * KIB - len(BODY) + surplus) + BODY
        raw = say.post("/api/v1/models/m/predict", body, "Content-Type: application/json")
        assert connect(server).send(raw).answer().status == status


@pytest.mark.parametrize("road", ["lane", "ordinary"])
def test_chunks_above_the_limit_are_cut_while_they_come(make_server, connect, road) -> None:
    server = make_server(max_body_mb=0.25)
    head = CHUNKED if road == "lane" else ORDINARY + b"Transfer-Encoding: chunked\r\n\r\n"
    client = connect(server).send(head)
    for _ in range(5):
        client.send(b"10000\r\n" + b"a" * 64 * KIB + b"\r\n")
    assert client.answer().status == 413
    assert client.has_ended()
    assert server.worker.asked == 0
    server.until(lambda: server.has_nothing_left)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_ordinary_address_takes_less(running, connect, is_chunked) -> None:
    size = 1024 * KIB + 1
    if is_chunked:
        raw = ORDINARY + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b"a" * size + b"\r\n0\r\n\r\n"
    else:
        raw = ORDINARY + b"Content-Length: %d\r\n\r\n" % size + b"a" * size
    client = connect(running).send(raw)
    answer = client.answer()
    assert answer.status == 413
    assert answer.json["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert client.send(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").answer().status == 200


def test_a_body_nobody_waits_for_does_not_confuse_what_follows(running, connect, say) -> None:
    """An unknown address is answered before its body is there; the rest of that body is thrown away."""
    body = b"a" * 300 * KIB
    client = connect(running).send(say.post("/nowhere", body)[:-1000])
    assert client.answer().status == 404
    client.send(body[-1000:] + say.predict(2))
    assert client.answer().json["outputs"] == {"y": [[4.0, 2.0]]}
    connection = running.connection
    running.until(lambda: not connection.is_busy)


class TestExpect:
    def test_a_prediction_is_waved_on(self, running, connect, say) -> None:
        raw = say.predict(2, "Expect: 100-continue")
        head, _, body = raw.partition(b"\r\n\r\n")
        client = connect(running).send(head + b"\r\n\r\n")
        assert client.answer().status == 100
        assert client.send(body).answer().json["outputs"] == {"y": [[4.0, 2.0]]}

    def test_so_is_an_ordinary_request(self, running, connect) -> None:
        client = connect(running).send(ORDINARY + b"Content-Length: 2\r\nExpect: 100-Continue\r\n\r\n")
        assert client.answer().status == 100
        assert client.send(b"{}").answer().status == 401

    def test_one_that_is_too_long_is_not(self, make_server, connect) -> None:
        client = connect(make_server(max_body_mb=1))
        client.send(HEAD + b"Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n")
        assert client.answer().status == 413

    def test_nor_is_one_that_is_too_long_for_an_ordinary_address(self, running, connect) -> None:
        client = connect(running).send(ORDINARY + b"Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n")
        assert client.answer().status == 413


def test_requests_sent_ahead_are_counted(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict(1) + say.get("/livez") * 63 + say.predict(2))
    running.until(lambda: running.worker.held != [])
    running.worker.holds = False
    running.on_loop(running.worker.let_go)
    assert [client.answer().status for _ in range(65)] == [200] * 65
    running.worker.holds = True
    client.send(say.predict(1) + say.predict(2) * 66)
    running.until(lambda: running.worker.held != [])
    running.worker.holds = False
    running.on_loop(running.worker.let_go)
    statuses = [client.answer().status for _ in range(66)]
    assert statuses == [200] * 65 + [429]
    assert client.has_ended()


def test_connections_are_counted(make_server, connect, say) -> None:
    server = make_server(max_connections=2)
    kept = [connect(server), connect(server)]
    for client in kept:
        assert client.send(say.predict()).answer().status == 200
    refused = connect(server)
    assert refused.answer().status == 503
    assert refused.has_ended()
    assert server.run(server.front_end.report()).refused_connections == 1
    kept[0].close()
    server.until(lambda: len(server.edge.connections) == 1)
    assert connect(server).send(say.predict()).answer().status == 200


def test_a_body_in_tiny_chunks_takes_no_more_memory_than_it_holds(running, connect, say) -> None:
    """One list entry for each byte would make fifty bytes of each."""
    body = b" " * 5000 + BODY
    raw = say.chunked("/api/v1/models/m/predict", [body[at : at + 1] for at in range(len(body))])
    last = len(raw) - 5
    client = connect(running).send(raw[:last])
    connection = running.connection
    running.until(lambda: connection.body_bytes == len(body))
    assert running.on_loop(lambda: len(connection._parts)) <= 65
    assert client.send(raw[last:]).answer().json["outputs"] == {"y": [[2.0, 1.0]]}


def test_a_half_closed_connection_is_given_up(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict())
    running.until(lambda: running.worker.held != [])
    client.sock.shutdown(socket.SHUT_WR)
    running.until(lambda: not running.edge.connections)
    running.on_loop(running.worker.let_go)
    running.until(lambda: running.has_nothing_left)
