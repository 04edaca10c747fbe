"""Streams: each message is a prediction of its own, answered in the order they came."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import grpc
import pytest
from grpc import StatusCode

from salver.net.grpc.exchange import StreamExchange
from salver.operations.base import Answer
from salver.operations.burst import MAX_UNREAD_BYTES

WAIT_S = 30.0
SUMS = "/toy.Toy/Sums"
PARTS = "/toy.Toy/Parts"


class Sender:
    """A stream of messages that the test sends when it likes."""

    def __init__(self) -> None:
        self._messages: queue.Queue[bytes | None] = queue.Queue()

    def send(self, message: bytes | None) -> None:
        self._messages.put(message)

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._messages.get(timeout=WAIT_S)) is not None:
            yield message


def test_each_message_is_answered_before_the_next_is_sent(toy, channel_to) -> None:
    sender = Sender()
    answers = channel_to(toy).stream_stream(SUMS)(iter(sender), timeout=WAIT_S)
    for number in range(3):
        sender.send(b"m|%d 1" % number)
        assert next(answers) == b"%d %d" % (number + 1, number)
    sender.send(None)
    assert list(answers) == []
    assert answers.code() is StatusCode.OK


def test_answers_come_in_the_order_of_the_messages(toy, channel_to) -> None:
    messages = [b"m|%d 0" % number for number in range(300)]
    answers = channel_to(toy).stream_stream(SUMS)(iter(messages), timeout=WAIT_S)
    assert list(answers) == [b"%d %d" % (number, number) for number in range(300)]


def test_messages_of_a_stream_share_batches(toy, channel_to) -> None:
    toy.worker.holds = True
    sender = Sender()
    answers = channel_to(toy).stream_stream(SUMS)(iter(sender), timeout=WAIT_S)
    sender.send(b"m|0 0")
    toy.until(lambda: len(toy.worker.held) == 1)
    for _ in range(5):
        sender.send(b"m|1 1")
    waiting = next(queue for id, queue in toy.front_end.pipeline.queues.items() if id.model == "m")
    toy.until(lambda: waiting.waiting_rows == 5)
    toy.worker.holds = False
    toy.on_loop(toy.worker.let_go)
    sender.send(None)
    assert list(answers) == [b"0 0", *[b"2 1"] * 5]
    assert toy.worker.rows == [1, 5]


def test_a_wire_may_tell_an_error_in_a_message(toy, channel_to, say) -> None:
    def fail(x):
        raise say.fails

    toy.worker.model = fail
    answers = channel_to(toy).stream_stream(SUMS)(iter([b"m|1 2", b"m|3 4"]), timeout=WAIT_S)
    assert list(answers) == [b"error MODEL_ERROR", b"error MODEL_ERROR"]
    assert answers.code() is StatusCode.OK
    toy.records.lines.clear()


def test_another_status_ends_the_stream(toy, channel_to) -> None:
    answers = channel_to(toy).stream_stream(SUMS)(iter([b"m|1 2", b"other|1 2", b"m|1 2"]), timeout=WAIT_S)
    assert next(answers) == b"3 1"
    with pytest.raises(grpc.RpcError) as raised:
        next(answers)
    assert raised.value.code() is StatusCode.NOT_FOUND
    toy.until(lambda: toy.has_nothing_left)


def test_one_message_may_have_many_answers(toy, channel_to) -> None:
    answers = channel_to(toy).unary_stream(PARTS)(b"m|many 1 2", timeout=WAIT_S)
    assert list(answers) == [b"first", b"second", b"3 1"]


def test_a_stream_that_is_cancelled_leaves_nothing_behind(toy, channel_to) -> None:
    toy.worker.holds = True
    sender = Sender()
    answers = channel_to(toy).stream_stream(SUMS)(iter(sender), timeout=WAIT_S)
    sender.send(b"m|1 2")
    toy.until(lambda: len(toy.worker.held) == 1)
    sender.send(b"m|3 4")
    waiting = next(queue for id, queue in toy.front_end.pipeline.queues.items() if id.model == "m")
    toy.until(lambda: waiting.waiting_rows == 1)
    answers.cancel()
    toy.until(lambda: waiting.waiting_rows == 0)
    sender.send(None)
    toy.worker.holds = False
    toy.on_loop(toy.worker.let_go)
    toy.until(lambda: toy.has_nothing_left and not toy.front_end._grpc_edges[0]._streams._open)
    assert toy.worker.rows == [1]


def test_a_stream_reads_no_further_ahead_than_it_may(make_toy, channel_to) -> None:
    toy = make_toy()
    toy.worker.holds = True
    answers = channel_to(toy).stream_stream(SUMS)(iter([b"m|1 1"] * 200), timeout=WAIT_S)
    edge = toy.front_end._grpc_edges[0]
    toy.until(lambda: any(len(stream._begun) == 64 for stream in edge._streams._open))
    toy.worker.holds = False
    toy.on_loop(toy.worker.let_go)
    assert len(list(answers)) == 200


def test_strangers_have_no_stream(make_toy, channel_to) -> None:
    server = make_toy(anonymous="none")
    sender = Sender()
    answers = channel_to(server).stream_stream(SUMS)(iter(sender), timeout=WAIT_S)
    with pytest.raises(grpc.RpcError) as raised:
        next(answers)
    sender.send(None)
    assert raised.value.code() is StatusCode.UNAUTHENTICATED


def test_parts_that_a_client_does_not_read_are_bounded(toy, channel_to) -> None:
    exchanges = []
    loop = toy.loop

    async def fill() -> list[bool]:
        exchange = StreamExchange("/toy.Toy/Sums", (), b"", None, "id", 0.0, loop)
        exchanges.append(exchange)
        return [exchange.part(Answer(0, bytes(MAX_UNREAD_BYTES // 2))) for _ in range(3)]

    assert toy.run(fill()) == [True, True, False]
    (exchange,) = exchanges
    toy.on_loop(lambda: exchange.end(Answer(8, b"too slow")))
    assert toy.on_loop(lambda: exchange.part(Answer(0, b"late")))
    assert toy.on_loop(exchange.parts.qsize) == 4
