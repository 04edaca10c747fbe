"""Answers in parts at the HTTP edge: chunks, the requests behind them, and clients that leave or do not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from salver.operations.burst import MAX_UNREAD_BYTES
from salver_worker import frames

EVENTS = "Accept: text/event-stream"
BIG = 1024 * 1024


class Streaming:
    """A server whose model `p` gives parts when the test says so."""

    def __init__(self, server: Any, version_of: Callable[..., Any]) -> None:
        self.server = server
        (self.worker,) = server.serve(version_of("p", 2, gives_parts=True))
        self.worker.holds = True

    def asked(self, count: int = 1) -> None:
        self.server.until(lambda: self.worker.asked == count)

    def part(self, *values: float) -> None:
        array = np.array([values], "<f4")
        raw = array.tobytes()
        self._send(frames.PART, {"tensors": [["y", "FP32", list(array.shape), len(raw)]]}, raw)

    def end(self) -> None:
        self._send(frames.RESULT, {"tensors": []}, b"")
        self.server.on_loop(self.worker.held.clear)

    def fail(self, code: str = "CANCELLED") -> None:
        self._send(frames.ERROR, {"code": code, "message": "It failed."}, b"")
        self.server.on_loop(self.worker.held.clear)

    def _send(self, verb: int, header: Any, raw: bytes) -> None:
        body = raw + bytes(frames.padding(len(raw)))

        def write() -> None:
            id = self.worker.held[0][0]
            self.worker.transport.write(frames.encode_frame(verb, id, header, body))

        self.server.on_loop(write)


@pytest.fixture
def streaming(running: Any, say: Any) -> Streaming:
    return Streaming(running, say.version)


def chunk_of(client: Any) -> bytes:
    """The next chunk; b"" for the last one."""
    while b"\r\n" not in client._rest:
        client._more()
    size, _, client._rest = client._rest.partition(b"\r\n")
    wanted = int(size, 16) + 2
    while len(client._rest) < wanted:
        client._more()
    data, client._rest = client._rest[: wanted - 2], client._rest[wanted:]
    return bytes(data)


def head_of(client: Any) -> bytes:
    while b"\r\n\r\n" not in client._rest:
        client._more()
    head, _, client._rest = client._rest.partition(b"\r\n\r\n")
    return bytes(head).lower()


def event(*values: float) -> bytes:
    listed = ",".join(map(str, values))
    return b'data: {"model":"p","version":1,"outputs":{"y":[[%b]]}}\n\n' % listed.encode()


def test_each_part_is_a_chunk_that_is_written_at_once(streaming: Streaming, connect: Any, say: Any) -> None:
    client = connect(streaming.server)
    for round in (1, 2):
        client.send(say.predict(1.0, EVENTS, model="p"))
        streaming.asked(round)
        streaming.part(1.5, 2.0)
        head = head_of(client)
        assert head.startswith(b"http/1.1 200 ok\r\ncontent-type: text/event-stream")
        assert b"transfer-encoding: chunked" in head
        assert b"content-length" not in head
        assert chunk_of(client) == event(1.5, 2.0)
        streaming.part(3.0, 4.0)
        assert chunk_of(client) == event(3.0, 4.0)
        streaming.end()
        assert chunk_of(client) == b""
    assert streaming.server.has_nothing_left


def test_what_comes_whole_is_one_event_with_its_length(streaming: Streaming, connect: Any, say: Any) -> None:
    streaming.worker.holds = False
    answer = connect(streaming.server).send(say.predict(1.0, EVENTS, model="p")).answer()
    assert answer.body == event(2.0, 1.0)


def test_a_model_that_gives_no_parts_is_asked_as_ever(running: Any, connect: Any, say: Any) -> None:
    answer = connect(running).send(say.predict(1.0, EVENTS)).answer()
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.body == b'data: {"model":"m","version":1,"outputs":{"y":[[2.0,1.0]]}}\n\n'


def test_an_answer_that_is_nothing_is_an_empty_stream(streaming: Streaming, connect: Any, say: Any) -> None:
    client = connect(streaming.server).send(say.predict(1.0, EVENTS, model="p"))
    streaming.asked()
    streaming.end()
    assert (client.answer().body, streaming.server.has_nothing_left) == (b"", True)


def test_requests_behind_a_stream_wait_for_its_end(streaming: Streaming, connect: Any, say: Any) -> None:
    client = connect(streaming.server).send(say.predict(1.0, EVENTS, model="p") + say.predict(3.0))
    streaming.asked()
    streaming.part(1.0, 1.0)
    head_of(client)
    chunk_of(client)
    assert client.is_silent()
    streaming.end()
    assert chunk_of(client) == b""
    assert client.answer().json["outputs"] == {"y": [[6.0, 3.0]]}


def test_an_error_behind_parts_is_an_event_and_the_connection_goes_on(
    streaming: Streaming, connect: Any, say: Any
) -> None:
    client = connect(streaming.server).send(say.predict(1.0, EVENTS, model="p"))
    streaming.asked()
    streaming.part(1.0, 1.0)
    streaming.fail("INVALID_INPUT")
    head_of(client)
    chunk_of(client)
    assert chunk_of(client).startswith(b'event: error\ndata: {"error":{"code":"INVALID_INPUT","message":"It failed."')
    assert chunk_of(client) == b""
    assert client.send(say.predict(1.0)).answer().status == 200


def test_who_asked_to_close_is_closed_behind_the_last_chunk(streaming: Streaming, connect: Any, say: Any) -> None:
    client = connect(streaming.server).send(say.predict(1.0, EVENTS, "Connection: close", model="p"))
    streaming.asked()
    streaming.part(1.0, 1.0)
    assert b"connection: close" in head_of(client)
    chunk_of(client)
    streaming.end()
    assert chunk_of(client) == b""
    assert client.has_ended()


def test_a_client_that_leaves_stops_the_worker(streaming: Streaming, connect: Any, say: Any) -> None:
    client = connect(streaming.server).send(say.predict(1.0, EVENTS, model="p"))
    streaming.asked()
    streaming.part(1.0, 1.0)
    head_of(client)
    client.close()
    streaming.server.until(lambda: streaming.server.control.cancelled == [("p-r1", 1, 1)])
    streaming.part(2.0, 2.0)  # on its way already
    streaming.fail()
    streaming.server.until(lambda: streaming.server.has_nothing_left)


def test_a_client_that_does_not_read_costs_little_memory(streaming: Streaming, connect: Any, say: Any) -> None:
    client = connect(streaming.server).send(say.predict(1.0, EVENTS, model="p"))
    streaming.asked()
    values = list(np.full(BIG // 4, 0.5))
    for _ in range(40):
        streaming.part(*values)
        if streaming.server.control.cancelled:
            break
    assert streaming.server.control.cancelled == [("p-r1", 1, 1)]
    connection = streaming.server.connection
    waiting = streaming.server.on_loop(lambda: connection.transport.get_write_buffer_size())
    assert MAX_UNREAD_BYTES < waiting < MAX_UNREAD_BYTES + 4 * BIG
    streaming.fail()
    head_of(client)
    events = [chunk_of(client)]
    while events[-1]:
        events.append(chunk_of(client))
    assert events[-2].startswith(b'event: error\ndata: {"error":{"code":"CANCELLED"')
    assert client.send(say.predict(1.0)).answer().status == 200


def test_a_client_that_falls_behind_and_then_leaves_is_noticed(streaming: Streaming, connect: Any, say: Any) -> None:
    client = connect(streaming.server).send(say.predict(1.0, EVENTS, model="p"))
    streaming.asked()
    connection = streaming.server.connection
    values = list(np.full(BIG // 4, 0.5))
    sent = 0
    while not streaming.server.on_loop(lambda: connection.flow.write_paused):
        streaming.part(*values)
        sent += 1
        streaming.server.until(lambda: streaming.worker.transport.get_write_buffer_size() == 0)
    head_of(client)
    for _ in range(sent):
        chunk_of(client)
    streaming.server.until(lambda: not connection.flow.write_paused)
    client.close()
    streaming.server.until(lambda: streaming.server.control.cancelled == [("p-r1", 1, 1)])
    streaming.fail()
    streaming.server.until(lambda: streaming.server.has_nothing_left)


def test_a_worker_that_dies_ends_the_stream(streaming: Streaming, connect: Any, say: Any) -> None:
    client = connect(streaming.server).send(say.predict(1.0, EVENTS, model="p"))
    streaming.asked()
    streaming.part(1.0, 1.0)
    streaming.server.on_loop(streaming.worker.transport.close)
    head_of(client)
    chunk_of(client)
    assert b'"code":"WORKER_DIED"' in chunk_of(client)
    assert chunk_of(client) == b""


def test_a_large_body_is_given_back_at_the_end(streaming: Streaming, connect: Any, say: Any) -> None:
    body = np.ones((20_000, 2), "<f4").tobytes()
    address = "/api/v1/models/p/predict"
    client = connect(streaming.server).send(say.post(address, body, "Content-Type: application/octet-stream", EVENTS))
    streaming.asked()
    assert not streaming.server.has_nothing_left
    client.close()
    streaming.server.until(lambda: bool(streaming.server.control.cancelled))
    streaming.fail()
    streaming.server.until(lambda: streaming.server.has_nothing_left)
