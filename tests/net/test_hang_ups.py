"""Clients that go away: whatever was begun for them ends, and its memory comes back."""

from __future__ import annotations

import gc
import socket
import struct
import weakref
from functools import partial

import pytest


def reset(client) -> None:
    """Hang up without a word, as a killed client does."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def gone(server) -> None:
    server.until(lambda: not server.edge.connections)


@pytest.mark.parametrize("leave", [reset, lambda client: client.close()], ids=["reset", "closed"])
def test_a_prediction_that_runs_is_interrupted(running, connect, say, leave) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict())
    running.until(lambda: running.worker.held != [])
    leave(client)
    gone(running)
    assert running.control.cancelled == [("m-r1", 1, 1)]
    running.on_loop(running.worker.let_go)
    running.until(lambda: running.has_nothing_left)


def test_a_prediction_that_waits_is_taken_out(running, connect, say) -> None:
    running.worker.holds = True
    first = connect(running).send(say.predict(1))
    running.until(lambda: running.worker.held != [])
    second = connect(running).send(say.predict(2))
    (queue,) = [queue for id, queue in running.front_end.pipeline.queues.items() if id.model == "m"]
    running.until(lambda: queue.waiting_rows == 1)
    second.close()
    running.until(lambda: queue.waiting_rows == 0)
    assert running.control.cancelled == []
    running.on_loop(running.worker.let_go)
    assert first.answer().json["outputs"] == {"y": [[2.0, 1.0]]}
    assert running.worker.asked == 1


def test_the_others_of_a_batch_get_their_answers(running, connect, say) -> None:
    running.worker.holds = True
    blocker = connect(running).send(say.predict(0))
    running.until(lambda: running.worker.held != [])
    clients = [connect(running).send(say.predict(value)) for value in (1, 2, 3)]
    (queue,) = [queue for id, queue in running.front_end.pipeline.queues.items() if id.model == "m"]
    running.until(lambda: queue.waiting_rows == 3)
    running.on_loop(running.worker.let_go)
    assert blocker.answer().status == 200
    running.until(lambda: running.worker.held != [])
    clients[1].close()
    running.until(lambda: len(running.edge.connections) == 3)
    running.on_loop(running.worker.let_go)
    assert clients[0].answer().json["outputs"] == {"y": [[2.0, 1.0]]}
    assert clients[2].answer().json["outputs"] == {"y": [[6.0, 3.0]]}
    assert running.control.cancelled == []


def test_a_hang_up_is_logged_as_cancelled(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict())
    running.until(lambda: running.worker.held != [])
    client.close()
    gone(running)
    running.on_loop(running.worker.let_go)
    running.until(lambda: running.has_nothing_left)
    ((_, count),) = running.on_loop(running.front_end.counters.requests)
    assert count.codes == {"CANCELLED": 1}


def test_two_hang_ups_count_once(running, connect, say) -> None:
    running.worker.holds = True
    connect(running).send(say.predict())
    running.until(lambda: running.worker.held != [])
    connection = running.connection
    lane = running.on_loop(lambda: connection.line.running)
    running.on_loop(lane.hang_up)
    running.on_loop(lane.hang_up)
    running.on_loop(connection.transport.abort)
    gone(running)
    assert len(running.control.cancelled) == 1
    running.on_loop(running.worker.let_go)
    running.until(lambda: running.has_nothing_left)
    ((_, count),) = running.on_loop(running.front_end.counters.requests)
    assert count.codes == {"CANCELLED": 1}


def test_requests_in_line_are_never_started(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict(1) + say.get("/livez") + say.predict(2))
    running.until(lambda: running.worker.held != [])
    connection = running.connection
    running.until(lambda: len(connection.line.waiting) == 2)
    reset(client)
    running.on_loop(connection.transport.abort)
    gone(running)
    running.on_loop(running.worker.let_go)
    running.until(lambda: running.has_nothing_left)
    assert running.worker.asked == 1


def test_a_hang_up_in_the_middle_of_an_ordinary_body_is_nobodys_fault(running, connect, say) -> None:
    """It once was an exception in the log."""
    client = connect(running).send(say.post("/api/v1/keys", b"a" * 1000)[:-500])
    connection = running.connection
    running.until(lambda: connection.body_bytes == 500)
    client.close()
    gone(running)
    running.until(lambda: not connection.tasks)


def test_an_ordinary_request_outlives_its_client(running, connect, say) -> None:
    client = connect(running).send(say.get("/livez"))
    reset(client)
    gone(running)
    assert connect(running).send(say.get("/livez")).answer().status == 200


@pytest.mark.parametrize("ending", ["answered", "hung up"])
@pytest.mark.parametrize("size", ["small", "large", "in pieces"])
def test_no_circle_of_references_keeps_a_request(make_server, connect, say, ending, size) -> None:
    """The collector runs rarely in a server; what only it can free would pile up."""
    server = make_server(slab_bytes=16 * 1024 * 1024)
    raw = {"small": say.predict(), "large": say.wide(1), "in pieces": say.wide(1, rows=130)}[size]
    worker = server.workers["m" if size == "small" else "wide"]
    worker.holds = True
    client = connect(server).send(raw[:100])
    client.send(raw[100:])
    connection = server.connection
    server.until(lambda: worker.held != [])
    references = server.on_loop(partial(references_to, connection))
    gc.disable()
    try:
        if ending == "hung up":
            client.close()
            gone(server)
        worker.holds = False
        server.on_loop(worker.let_go)
        if ending == "answered":
            assert client.answer().status == 200
        del connection
        server.until(lambda: server.has_nothing_left)
        server.until(lambda: [reference() for reference in references] == [None] * len(references))
    finally:
        gc.enable()


def references_to(connection) -> list[weakref.ref]:
    lane = connection.line.running
    prediction = lane.prediction
    inputs = list(prediction.request.inputs.values())
    data = [tensor.data for tensor in inputs]
    followed = [prediction, prediction.whole, *data]
    return [weakref.ref(one) for one in followed if one is not None and type(one).__weakrefoffset__]


def test_an_idle_connection_keeps_nothing_of_its_last_request(running, connect, say) -> None:
    client = connect(running)
    assert client.send(say.predict(extra=b" " * 50_000)).answer().status == 200
    connection = running.connection
    assert connection.line.running is None
    assert connection._receiving is None
