"""Rules of the edge that are seldom met."""

from __future__ import annotations

import socket

import pytest

from salver.net.turns import unread_bytes
from salver.operations.base import Answer


def test_a_large_body_behind_a_full_line_is_refused_and_given_back(running, connect, say) -> None:
    running.worker.holds = True
    raw = say.wide(1)
    client = connect(running).send(say.predict(1) + say.get("/livez") * 64 + raw[:100])
    running.until(lambda: running.worker.held != [])
    connection = running.connection
    running.on_loop(connection.flow.resume_reading)
    client.send(raw[100:])
    running.until(lambda: connection.line.is_deaf)
    running.worker.holds = False
    running.on_loop(running.worker.let_go)
    statuses = [client.answer().status for _ in range(66)]
    assert statuses == [200] * 65 + [429]
    running.until(lambda: running.has_nothing_left)


def test_an_ordinary_request_behind_a_full_line_is_refused(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict(1) + say.get("/livez") * 70)
    running.until(lambda: running.worker.held != [])
    running.on_loop(running.worker.let_go)
    statuses = [client.answer().status for _ in range(66)]
    assert statuses == [200] * 65 + [429]
    assert client.has_ended()


def test_a_body_that_stops_coming_after_its_answer_ends_the_connection(make_server, connect, say) -> None:
    """A refusal would be read as the answer to a request that was never sent."""
    server = make_server(body_timeout_s=10)
    client = connect(server).send(say.post("/nowhere", b"a" * 1000)[:-500])
    assert client.answer().status == 404
    server.advance(11)
    assert client.has_ended()


def test_too_long_a_body_after_its_answer_ends_the_connection(make_server, connect) -> None:
    server = make_server(max_body_mb=0.01)
    client = connect(server).send(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.send().answer().status == 403
    client.send(b"5000\r\n" + b"a" * 0x5000 + b"\r\n")
    assert client.has_ended()


def test_a_slow_body_behind_another_request_is_refused_in_its_turn(make_server, connect, say) -> None:
    server = make_server(body_timeout_s=10)
    server.worker.holds = True
    client = connect(server).send(say.predict(1) + say.post("/api/v1/keys", b"a" * 1000)[:-500])
    server.until(lambda: server.worker.held != [])
    connection = server.connection
    assert len(connection.line.waiting) == 1
    server.on_loop(connection.flow.resume_reading)
    server.advance(11)
    assert not connection.line.waiting
    server.on_loop(server.worker.let_go)
    assert client.answer().status == 200
    assert client.answer().status == 408
    assert client.has_ended()


def test_a_second_answer_to_one_request_is_not_written(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict(2))
    running.until(lambda: running.worker.held != [])
    connection = running.connection
    lane = running.on_loop(lambda: connection.line.running)
    running.on_loop(lambda: lane.respond(Answer(200, b"first", None)))
    running.on_loop(lambda: lane.respond(Answer(200, b"second", None)))
    assert client.answer().body == b"first"
    assert client.is_silent(0.01)
    running.on_loop(running.worker.let_go)
    running.until(lambda: running.has_nothing_left)


def test_an_answer_to_a_connection_that_closes_is_not_written(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict(2))
    running.until(lambda: running.worker.held != [])
    connection = running.connection

    def close_and_answer() -> None:
        connection.transport.close()
        connection.line.running.respond(Answer(200, b"late", None))

    running.on_loop(close_and_answer)
    assert client.has_ended()
    running.on_loop(running.worker.let_go)
    running.until(lambda: running.has_nothing_left)


def test_headers_of_an_exchange_are_found_in_any_case(running, connect, say) -> None:
    running.worker.holds = True
    connect(running).send(say.predict(2, "X-Some: a", "x-some: b"))
    running.until(lambda: running.worker.held != [])
    connection = running.connection
    lane = running.on_loop(lambda: connection.line.running)
    assert lane.header(b"x-some") == b"a"
    assert lane.header(b"x-none") is None
    running.on_loop(running.worker.let_go)


def test_routes_are_forgotten_when_models_change(running, connect, say) -> None:
    client = connect(running)
    for _ in range(2):
        assert client.send(say.predict()).answer().status == 200
    assert running.edge.lane.known_requests
    running.run(running.front_end.publish([]))
    assert not running.edge.lane.known_requests
    assert client.send(say.predict()).answer().status == 404
    assert not running.edge.lane.known_requests


@pytest.mark.parametrize("peer", [None, "", ("10.1.2.3", 5), ("::1", 5, 0, 0)])
def test_the_other_end_is_what_the_transport_says(running, peer) -> None:
    class Transport:
        def get_extra_info(self, name: str):
            return peer if name == "peername" else None

    credentials = running.on_loop(lambda: running.edge.credentials_of(Transport()))
    assert credentials.peer == (peer[0] if isinstance(peer, tuple) else "")
    assert credentials.is_loopback is (credentials.peer == "::1")


def test_peers_beyond_number_take_bounded_memory(running) -> None:
    class Transport:
        number = 0

        def get_extra_info(self, name: str):
            return (f"10.0.{self.number >> 8}.{self.number & 255}", 1) if name == "peername" else None

    def many() -> int:
        for number in range(20_000):
            Transport.number = number
            running.edge.credentials_of(Transport())
        return len(running.edge._peers)

    assert running.on_loop(many) <= 10_000


def test_without_a_slab_large_bodies_take_memory_of_their_own(running) -> None:
    running.edge._memory = None
    assert type(running.edge.buffer_for(100)) is bytearray


def test_what_lies_unread_is_counted_in_the_kernel_too() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"a" * 1000)

        class Transport:
            def get_extra_info(self, name: str):
                return ours

            def get_write_buffer_size(self) -> int:
                return 500

        assert unread_bytes(Transport()) >= 1500
        ours.close()
        assert unread_bytes(Transport()) == 500


@pytest.mark.parametrize("asked", ["0", "-5", "soon", "nan", "3600001"])
def test_a_deadline_that_is_none_is_refused(running, connect, say, asked) -> None:
    answer = connect(running).send(say.predict(1, f"Salver-Deadline-Ms: {asked}")).answer()
    assert (answer.status, answer.json["error"]["code"]) == (400, "INVALID_INPUT")
    assert "Salver-Deadline-Ms" in answer.json["error"]["message"]


def test_a_deadline_that_passes_is_told(running, connect, say) -> None:
    running.worker.holds = True
    answer = connect(running).send(say.predict(1, "Salver-Deadline-Ms: 20")).answer()
    assert (answer.status, answer.json["error"]["code"]) == (504, "DEADLINE_EXCEEDED")
    running.on_loop(running.worker.let_go)
    running.until(lambda: running.has_nothing_left)
