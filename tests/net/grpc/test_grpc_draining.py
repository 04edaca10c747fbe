"""A server that stops answers what it has taken, and takes nothing new."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc import StatusCode

WAIT_S = 30.0
SUM = "/toy.Toy/Sum"


def test_what_is_in_flight_is_answered(toy, channel_to) -> None:
    channel = channel_to(toy)
    toy.worker.holds = True
    call = channel.unary_unary(SUM).future(b"m|1 2", timeout=WAIT_S)
    toy.until(lambda: len(toy.worker.held) == 1)
    ending = asyncio.run_coroutine_threadsafe(toy.front_end.finish(WAIT_S), toy.loop)
    with pytest.raises(grpc.RpcError) as raised:
        channel_to(toy).unary_unary(SUM)(b"m|1 2", timeout=WAIT_S)
    assert raised.value.code() is StatusCode.UNAVAILABLE
    toy.on_loop(toy.worker.let_go)
    assert call.result() == b"3 1"
    ending.result(WAIT_S)


def test_what_takes_too_long_is_given_up(toy, channel_to) -> None:
    toy.worker.holds = True
    call = channel_to(toy).unary_unary(SUM).future(b"m|1 2", timeout=WAIT_S)
    toy.until(lambda: len(toy.worker.held) == 1)
    toy.run(toy.front_end.finish(0.05))
    with pytest.raises(grpc.RpcError) as raised:
        call.result()
    assert raised.value.code() is StatusCode.UNAVAILABLE
    assert "stopped before it had answered" in raised.value.details()


def test_streams_and_watchers_that_wait_are_told(toy, channel_to) -> None:
    channel = channel_to(toy)
    states = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=WAIT_S)
    next(states)
    sent: list[bytes] = [b"m|1 2"]

    def messages():
        yield sent[0]
        toy._stop_reading = asyncio.run_coroutine_threadsafe(asyncio.Event().wait(), toy.loop)
        with pytest.raises(BaseException):  # noqa: B017, PT011  the call ends, and with it this
            toy._stop_reading.result(WAIT_S)

    answers = channel.stream_stream("/toy.Toy/Sums")(messages(), timeout=WAIT_S)
    assert next(answers) == b"3 1"
    toy.run(toy.front_end.finish(WAIT_S))
    for stream in (states, answers):
        with pytest.raises(grpc.RpcError) as raised:
            list(stream)
        assert raised.value.code() is StatusCode.UNAVAILABLE
    toy._stop_reading.cancel()
