"""The standard health service says what the readiness addresses say."""

from __future__ import annotations

import grpc
import pytest
from grpc import StatusCode

WAIT_S = 30.0
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
SERVING = b"\x08\x01"
NOT_SERVING = b"\x08\x02"
SERVICE_UNKNOWN = b"\x08\x03"


def of(service: str) -> bytes:
    raw = service.encode()
    return b"\x0a" + (bytes((len(raw),)) if len(raw) < 128 else bytes((len(raw) & 127 | 128, len(raw) >> 7))) + raw


def ready_over_http(server, connect, say) -> int:
    return connect(server).send(say.get("/api/v1/ready")).answer().status


@pytest.mark.parametrize("message", [b"", of("toy.Toy"), of("grpc.health.v1.Health"), b"\x0a\x00"])
def test_the_server_and_its_services_serve(toy, channel_to, message) -> None:
    assert channel_to(toy).unary_unary(CHECK)(message, timeout=WAIT_S) == SERVING


@pytest.mark.parametrize("name", ["other", "o" * 300])
def test_an_unknown_service_is_not_found(toy, channel_to, name) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        channel_to(toy).unary_unary(CHECK)(of(name), timeout=WAIT_S)
    assert raised.value.code() is StatusCode.NOT_FOUND
    assert "It has grpc.health.v1.Health, toy.Toy." in raised.value.details()


@pytest.mark.parametrize("message", [b"\x0a", b"\x0a\x05ab", b"\x0a\x80\x80\x80", b"\x08\x01", b"\x0a\x01\xff", b"x"])
def test_bytes_that_are_no_question_are_refused(toy, channel_to, message) -> None:
    for path in (CHECK, WATCH):
        with pytest.raises(grpc.RpcError) as raised:
            list(channel_to(toy).unary_stream(path)(message, timeout=WAIT_S))
        assert raised.value.code() is StatusCode.INVALID_ARGUMENT


def test_anyone_may_ask(make_toy, channel_to) -> None:
    assert channel_to(make_toy(anonymous="none")).unary_unary(CHECK)(b"", timeout=WAIT_S) == SERVING


def test_a_model_without_a_worker_is_not_ready_here_as_over_http(toy, channel_to, connect, say) -> None:
    toy.on_loop(toy.worker.transport.close)
    queue = next(queue for id, queue in toy.front_end.pipeline.queues.items() if id.model == "m")
    toy.until(lambda: not queue.links)
    assert channel_to(toy).unary_unary(CHECK)(b"", timeout=WAIT_S) == NOT_SERVING
    assert connect(toy).send(say.get("/readyz")).answer().status == 503


def test_who_watches_is_told_of_every_change(toy, channel_to) -> None:
    states = channel_to(toy).unary_stream(WATCH)(of("toy.Toy"), timeout=WAIT_S)
    assert next(states) == SERVING
    toy.on_loop(toy.worker.transport.close)
    assert next(states) == NOT_SERVING
    states.cancel()


def test_who_watches_an_unknown_service_is_told_and_waits(toy, channel_to) -> None:
    states = channel_to(toy).unary_stream(WATCH)(of("other"), timeout=WAIT_S)
    assert next(states) == SERVICE_UNKNOWN
    states.cancel()


def test_a_server_that_drains_is_not_serving_but_answers(toy, channel_to) -> None:
    channel = channel_to(toy)
    states = channel.unary_stream(WATCH)(b"", timeout=WAIT_S)
    assert next(states) == SERVING
    toy.run(toy.front_end.drain())
    assert next(states) == NOT_SERVING
    assert channel.unary_unary(CHECK)(b"", timeout=WAIT_S) == NOT_SERVING
    assert channel.unary_unary("/toy.Toy/Sum")(b"m|1 2", timeout=WAIT_S) == b"3 1"
