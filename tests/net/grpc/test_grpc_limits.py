"""What the edge of gRPC does not take."""

from __future__ import annotations

import threading

import grpc
import pytest
from grpc import StatusCode

WAIT_S = 30.0
SUM = "/toy.Toy/Sum"
MIB = 1024 * 1024


def failure(call, *arguments, **options) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments, timeout=WAIT_S, **options)
    return raised.value


def padded(size: int) -> bytes:
    return b"m|1 2" + b" " * (size - 5)


def test_messages_have_a_size(make_toy, channel_to) -> None:
    server = make_toy(max_body_mb=1)
    sum_of = channel_to(server).unary_unary(SUM)
    assert sum_of(padded(MIB), timeout=WAIT_S) == b"3 1"
    error = failure(sum_of, padded(MIB + 1))
    assert error.code() is StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max (1048577 vs. 1048576)" in error.details()
    assert sum_of(b"m|1 2", timeout=WAIT_S) == b"3 1"


def test_a_compressed_message_is_measured_after_it_is_inflated(make_toy, channel_to) -> None:
    server = make_toy(max_body_mb=1)
    sum_of = channel_to(server).unary_unary(SUM)
    gzip = grpc.Compression.Gzip
    assert sum_of(padded(MIB), timeout=WAIT_S, compression=gzip) == b"3 1"
    assert failure(sum_of, padded(64 * MIB), compression=gzip).code() is StatusCode.RESOURCE_EXHAUSTED


def test_metadata_has_a_size(make_toy, channel_to) -> None:
    server = make_toy(max_header_kb=4)
    sum_of = channel_to(server).unary_unary(SUM)
    assert sum_of(b"m|1 2", timeout=WAIT_S, metadata=(("note", "a" * 2000),)) == b"3 1"
    assert failure(sum_of, b"m|1 2", metadata=(("note", "a" * 6000),)).code() is StatusCode.RESOURCE_EXHAUSTED


def test_a_message_that_does_not_come_has_an_end(make_toy, channel_to) -> None:
    server = make_toy(message_timeout_s=0.1)
    held = threading.Event()

    def messages():
        held.wait(WAIT_S)
        yield b"m|1 2"

    error = failure(channel_to(server).stream_unary(SUM), messages())
    held.set()
    assert error.code() is StatusCode.DEADLINE_EXCEEDED
    assert "(--message-timeout-s)" in error.details()


def test_one_connection_has_so_many_calls_at_once(make_toy, channel_to) -> None:
    server = make_toy(max_streams=2)
    sum_of = channel_to(server).unary_unary(SUM)
    sum_of(b"m|1 2", timeout=WAIT_S)  # from now on the client knows the limit
    server.worker.holds = True
    first = [sum_of.future(b"m|1 2", timeout=WAIT_S) for _ in range(2)]
    edge = server.front_end._grpc_edges[0]
    server.until(lambda: edge._calls.running == 2)
    waiting = sum_of.future(b"m|1 2", timeout=0.3)
    assert waiting.code() is StatusCode.DEADLINE_EXCEEDED
    assert server.worker.asked == 2
    server.worker.holds = False
    server.on_loop(server.worker.let_go)
    assert [call.result() for call in first] == [b"3 1"] * 2


def test_there_are_so_many_connections_and_no_more(make_toy, channel_to) -> None:
    server = make_toy(max_connections=2)
    taken = [channel_to(server).unary_unary(SUM) for _ in range(2)]
    assert [call(b"m|1 2", timeout=WAIT_S) for call in taken] == [b"3 1"] * 2
    assert failure(channel_to(server).unary_unary(SUM), b"m|1 2").code() is StatusCode.UNAVAILABLE
    assert [call(b"m|1 2", timeout=WAIT_S) for call in taken] == [b"3 1"] * 2


def test_what_is_no_http_2_is_cut_off(toy) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", toy.grpc_port), timeout=WAIT_S) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 4)
        while sock.recv(65536):
            pass
