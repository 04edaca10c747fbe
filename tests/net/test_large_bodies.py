"""Bodies that flow past the parser into shared memory."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salver.net.http import LARGE_BODY_BYTES, LaneProtocol
from salver.net.large import FIRST_BYTES, LargeReader

PATH = "/api/v1/models/wide/predict"
BODY = LARGE_BODY_BYTES  # of `say.wide`, a whole number of pages


def outputs(value: float, rows: int = 1):
    return {"y": [[16384.0 * value, value]] * rows}


def is_flowing(server, connection) -> bool:
    protocol = connection.transport.get_protocol()
    return type(protocol) is LargeReader and protocol.is_in_body


@pytest.mark.parametrize("rows", [1, 2, 10])
def test_a_large_body_reaches_the_model_whole(running, connect, say, rows) -> None:
    client = connect(running)
    for value in (1.0, 2.0, 3.0):
        assert client.send(say.wide(value, rows=rows)).answer().json["outputs"] == outputs(value, rows)
    running.until(lambda: running.has_nothing_left)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 60_000), max_size=8), rows=st.integers(1, 3))
def test_it_may_come_in_any_pieces(running, connect, say, sizes, rows) -> None:
    raw = say.wide(5, rows=rows)
    client = connect(running)
    at = 0
    for size in (*sizes, len(raw)):
        client.send(raw[at : at + size])
        at += size
    assert client.answer().json["outputs"] == outputs(5, rows)
    client.close()


def test_large_and_small_ones_take_turns_on_one_connection(running, connect, say) -> None:
    client = connect(running)
    for number in range(100):
        assert client.send(say.wide(number)).answer().json["outputs"] == outputs(number)
        assert client.send(say.predict(number)).answer().json["outputs"] == {"y": [[2.0 * number, float(number)]]}
        assert client.send(say.get("/livez")).answer().status == 200
    running.until(lambda: running.has_nothing_left)


def test_a_large_body_alone_in_its_packets_goes_into_the_slab(running, connect, say) -> None:
    raw = say.wide(5)
    client = connect(running).send(raw[:30_000])
    connection = running.connection
    running.until(lambda: is_flowing(running, connection))
    assert running.on_loop(lambda: running.slab.free_bytes) == running.full - BODY
    assert client.send(raw[30_000:]).answer().json["outputs"] == outputs(5)
    running.until(lambda: running.has_nothing_left)
    assert not is_flowing(running, connection)


@pytest.mark.parametrize("surplus", [-4, 0, 4])
def test_around_the_limit_between_small_and_large(running, connect, say, surplus) -> None:
    body = say.wide_body(5)[: LARGE_BODY_BYTES + min(surplus, 0)] + b"\0" * max(surplus, 0)
    raw = say.post(PATH, body, "Content-Type: application/octet-stream")
    client = connect(running).send(raw[:200])
    client.send(raw[200:])
    assert client.answer().status == (400 if surplus else 200)
    assert client.send(say.predict()).answer().status == 200


def test_a_request_right_behind_a_large_one_is_read_by_a_fresh_parser(running, connect, say) -> None:
    raw = say.wide(5)
    client = connect(running).send(raw[:30_000])
    connection = running.connection
    running.until(lambda: is_flowing(running, connection))
    client.send(raw[30_000:] + say.predict(2) + say.get("/livez"))
    assert client.answer().json["outputs"] == outputs(5)
    assert client.answer().json["outputs"] == {"y": [[4.0, 2.0]]}
    assert client.answer().status == 200


def test_a_large_body_behind_a_request_in_flight(running, connect, say) -> None:
    running.worker.holds = True
    raw = say.wide(5)
    client = connect(running).send(say.predict(2) + raw[:30_000])
    connection = running.connection
    running.until(lambda: is_flowing(running, connection) and running.worker.held != [])
    running.on_loop(running.worker.let_go)
    assert client.answer().json["outputs"] == {"y": [[4.0, 2.0]]}
    assert client.send(raw[30_000:]).answer().json["outputs"] == outputs(5)
    running.until(lambda: running.has_nothing_left)


def test_a_whole_large_body_that_waits_in_line_is_given_back_at_a_hang_up(running, connect, say) -> None:
    running.worker.holds = True
    raw = say.wide(5)
    client = connect(running).send(say.predict(2) + raw[:30_000])
    connection = running.connection
    running.until(lambda: is_flowing(running, connection))
    client.send(raw[30_000:])
    running.until(lambda: len(connection.line.waiting) == 1)
    assert running.on_loop(lambda: running.slab.free_bytes) == running.full - BODY
    running.on_loop(connection.transport.abort)  # reading is paused, so the client's own hang-up is seen later
    running.until(lambda: not running.edge.connections)
    running.on_loop(running.worker.let_go)
    running.until(lambda: running.has_nothing_left)
    assert running.workers["wide"].asked == 0


def test_a_client_that_hangs_up_midway_leaves_nothing(running, connect, say) -> None:
    clients = [connect(running).send(say.wide(5)[:50_000]) for _ in range(5)]
    running.until(lambda: running.slab.free_bytes == running.full - 5 * BODY)
    for client in clients:
        client.close()
    running.until(lambda: running.has_nothing_left and not running.edge.connections)


def test_a_full_slab_is_no_obstacle(make_server, connect, say) -> None:
    server = make_server(slab_bytes=BODY)
    first = connect(server).send(say.wide(5)[:50_000])
    server.until(lambda: server.slab.free_bytes == 0)
    second = connect(server)
    for value in (1, 2):
        assert second.send(say.wide(value)).answer().json["outputs"] == outputs(value)
    assert first.send(say.wide(5)[50_000:]).answer().json["outputs"] == outputs(5)
    server.until(lambda: server.has_nothing_left)


def test_a_large_body_in_chunks(running, connect, say) -> None:
    body = say.wide_body(5)
    raw = say.chunked(PATH, [body[:100], body[100:60_000], body[60_000:]])
    client = connect(running).send(raw.replace(b"application/json", b"application/octet-stream"))
    assert client.answer().json["outputs"] == outputs(5)
    assert client.send(say.predict()).answer().status == 200


def test_more_rows_than_a_batch_takes_are_answered_whole_and_given_back(make_server, connect, say) -> None:
    server = make_server(slab_bytes=16 * 1024 * 1024)
    client = connect(server)
    assert client.send(say.wide(5, rows=130)).answer().json["outputs"] == outputs(5, 130)
    server.until(lambda: server.has_nothing_left)


def test_a_refused_large_body_is_given_back(running, connect, say) -> None:
    client = connect(running)
    for path in ("/api/v1/models/none/predict", "/api/v1/models/m/predict?signature=none"):
        raw = say.post(path, say.wide_body(5), "Content-Type: application/octet-stream")
        client.send(raw[:30_000])
        client.send(raw[30_000:])
        assert client.answer().status == 404
    running.until(lambda: running.has_nothing_left)


def test_a_server_that_stops_lets_a_large_body_come_in(running, connect, say) -> None:
    raw = say.wide(5)
    client = connect(running).send(raw[:30_000])
    connection = running.connection
    running.until(lambda: is_flowing(running, connection))
    running.on_loop(running.edge.drain)
    running.on_loop(running.edge.close_idle)
    assert running.on_loop(lambda: running.edge.is_busy)
    answer = client.send(raw[30_000:]).answer()
    assert answer.json["outputs"] == outputs(5)
    assert answer.headers["connection"] == "close"
    assert client.has_ended()
    running.until(lambda: running.has_nothing_left)


def test_a_large_body_is_given_back_when_the_server_aborts(running, connect, say) -> None:
    connect(running).send(say.wide(5)[:30_000])
    connection = running.connection
    running.until(lambda: is_flowing(running, connection))
    running.on_loop(running.edge.close)
    running.until(lambda: running.has_nothing_left and not running.edge.connections)


class TestTheHeadBehindALargeBody:
    """Read in a small piece, as another large body probably follows; then the connection is itself again."""

    @pytest.fixture
    def behind(self, running, connect, say):
        """A client whose large body has been answered."""
        raw = say.wide(1)
        client = connect(running).send(raw[:30_000])
        connection = running.connection
        running.until(lambda: is_flowing(running, connection))
        assert client.send(raw[30_000:]).answer().json["outputs"] == outputs(1)
        return client

    def kind(self, server) -> type:
        connection = server.connection
        kind: type = server.on_loop(lambda: type(connection.transport.get_protocol()))
        return kind

    def test_it_waits_for_a_head(self, running, behind) -> None:
        assert self.kind(running) is LargeReader

    def test_another_large_one_goes_straight_into_the_slab_and_no_more_than_a_piece_is_copied(
        self, running, behind, say
    ) -> None:
        raw = say.wide(2)
        behind.send(raw[:30_000])
        connection = running.connection
        running.until(lambda: is_flowing(running, connection))
        assert behind.send(raw[30_000:]).answer().json["outputs"] == outputs(2)
        assert self.kind(running) is LargeReader

    @pytest.mark.parametrize("name", ["small", "ordinary", "half a small one"])
    def test_anything_else_makes_the_connection_itself_again(self, running, behind, say, name) -> None:
        raw = say.get("/livez") if name == "ordinary" else say.predict(2)
        if name == "half a small one":
            behind.send(raw[:-3])
            connection = running.connection
            running.until(lambda: bool(connection.part))
            assert issubclass(self.kind(running), LaneProtocol)
            behind.send(raw[-3:])
        else:
            behind.send(raw)
        assert behind.answer().status == 200
        assert issubclass(self.kind(running), LaneProtocol)

    @pytest.mark.parametrize("size", [1, 7, 60])
    def test_the_head_may_come_in_pieces(self, running, behind, say, size) -> None:
        raw = say.wide(3)
        for at in range(0, 180, size):
            behind.send(raw[at : at + size])
        behind.send(raw[180 + -180 % size :])
        assert behind.answer().json["outputs"] == outputs(3)

    def test_a_head_that_is_longer_than_the_piece(self, running, behind, say) -> None:
        assert behind.send(say.wide(4, "X-Long: " + "a" * (FIRST_BYTES + 1000))).answer().json["outputs"] == outputs(4)

    def test_connections_that_share_the_piece_do_not_mix(self, running, connect, say) -> None:
        clients = [connect(running) for _ in range(4)]
        for value in range(5):
            for number, client in enumerate(clients):
                client.send(say.wide(10 * value + number)[:150])
            for number, client in enumerate(clients):
                client.send(say.wide(10 * value + number)[150:])
            for number, client in enumerate(clients):
                assert client.answer().json["outputs"] == outputs(10 * value + number)

    def test_a_hang_up_there_leaves_nothing(self, running, behind, say) -> None:
        behind.send(say.wide(2)[:50])
        connection = running.connection
        running.until(lambda: bool(connection.part))
        behind.close()
        running.until(lambda: running.has_nothing_left and not running.edge.connections)

    def test_a_slow_head_there_is_ended(self, running, behind, say) -> None:
        behind.send(say.wide(2)[:50])
        connection = running.connection
        running.until(lambda: bool(connection.part))
        running.advance(1000.0)
        assert behind.answer().status == 408

    def test_rubbish_there_is_refused(self, running, behind) -> None:
        assert behind.send(b"GARBAGE\r\n\r\n").answer().status == 400
        assert behind.has_ended()


class TestAKnownHeadOfALargeBody:
    """From the third time on the parser does not see it."""

    @pytest.fixture
    def known(self, running, connect, say):
        """A client whose head of a large body is known, and what it has in flight."""
        client = connect(running)
        for value in (1, 2):
            self.flow(running, client, say.wide(value))
            assert client.answer().json["outputs"] == outputs(value)
        return client

    def flow(self, running, client, raw: bytes) -> None:
        """Send it so that its body flows."""
        client.send(raw[:30_000])
        connection = running.connection
        running.until(lambda: is_flowing(running, connection))
        client.send(raw[30_000:])

    def lengths(self, running) -> list[int]:
        known = running.edge.lane.known_requests
        lengths: list[int] = running.on_loop(lambda: [each.length for each in known.values()])
        return lengths

    def test_each_has_its_own_answer(self, running, known, say) -> None:
        assert self.lengths(running) == [BODY]
        parser = running.connection.parser
        for value in range(3, 8):
            self.flow(running, known, say.wide(value))
            assert known.answer().json["outputs"] == outputs(value)
        assert running.connection.parser is parser
        running.until(lambda: running.has_nothing_left)

    def test_whatever_follows_is_taken_as_it_is(self, running, known, say) -> None:
        self.flow(running, known, say.wide(3))
        known.send(say.predict(4) + say.get("/livez") + say.wide(5))
        assert known.answer().json["outputs"] == outputs(3)
        assert known.answer().json["outputs"] == {"y": [[8.0, 4.0]]}
        assert known.answer().status == 200
        assert known.answer().json["outputs"] == outputs(5)
        running.until(lambda: running.has_nothing_left)

    def test_another_length_is_another_head(self, running, known, say) -> None:
        assert known.send(say.wide(3, rows=2)).answer().json["outputs"] == outputs(3, 2)
        assert known.send(say.wide(4)).answer().json["outputs"] == outputs(4)

    def test_a_client_that_hangs_up_midway_leaves_nothing(self, running, known, say) -> None:
        known.send(say.wide(3)[:50_000])
        running.until(lambda: running.slab.free_bytes == running.full - BODY)
        known.close()
        running.until(lambda: running.has_nothing_left and not running.edge.connections)

    def test_one_that_is_too_slow_is_told(self, running, known, say) -> None:
        known.send(say.wide(3)[:50_000])
        connection = running.connection
        running.until(lambda: is_flowing(running, connection))
        running.on_loop(lambda: connection.refuse(408, "too slow"))
        assert known.answer().status == 408
        running.until(lambda: running.has_nothing_left)
