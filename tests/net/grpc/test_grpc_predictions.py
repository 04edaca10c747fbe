"""Predictions over gRPC go the way of all predictions: one gate, one queue, one set of records."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from grpc import StatusCode

WAIT_S = 30.0
SUM = "/toy.Toy/Sum"


def failure(call, *arguments, **options) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments, timeout=options.pop("timeout", WAIT_S), **options)
    return raised.value


def test_a_prediction_is_answered(toy, channel_to) -> None:
    answer, call = channel_to(toy).unary_unary(SUM).with_call(b"m|1 2", timeout=WAIT_S)
    assert answer == b"3 1"
    assert call.code() is StatusCode.OK


def test_headers_of_an_answer_are_trailing_metadata_with_the_id_of_the_call(toy, channel_to) -> None:
    _, call = channel_to(toy).unary_unary(SUM).with_call(b"m|1 2", timeout=WAIT_S, metadata=(("x-request-id", "mine"),))
    assert dict(call.trailing_metadata()) == {"x-request-id": "mine", "model": "m"}


def test_calls_of_one_moment_share_a_batch(toy, channel_to) -> None:
    sum_of = channel_to(toy).unary_unary(SUM)
    toy.worker.holds = True
    first = sum_of.future(b"m|0 0", timeout=WAIT_S)
    toy.until(lambda: len(toy.worker.held) == 1)
    others = [sum_of.future(b"m|%d 1" % number, timeout=WAIT_S) for number in range(8)]
    toy.until(lambda: toy.front_end._grpc_edges[0]._calls.running == 9)
    toy.worker.holds = False
    toy.on_loop(toy.worker.let_go)
    assert first.result() == b"0 0"
    assert [each.result() for each in others] == [b"%d %d" % (number + 1, number) for number in range(8)]
    assert toy.worker.rows == [1, 8]


def test_every_caller_gets_its_own_answer(toy, channel_to) -> None:
    calls = [channel_to(toy).unary_unary(SUM) for _ in range(4)]

    def ask(number: int) -> bool:
        return calls[number % 4](b"m|%d 0" % number, timeout=WAIT_S) == b"%d %d" % (number, number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))


def test_an_error_has_code_cause_and_fix(toy, channel_to) -> None:
    error = failure(channel_to(toy).unary_unary(SUM), b"other|1 2")
    assert error.code() is StatusCode.NOT_FOUND
    assert "There is no model named 'other'." in error.details()
    assert "`salver models` lists what is served" in error.details()


def test_bytes_that_are_no_message_are_refused_and_counted(toy, channel_to) -> None:
    error = failure(channel_to(toy).unary_unary(SUM), b"nothing")
    assert (error.code(), error.details()) == (StatusCode.INVALID_ARGUMENT, "There is no bar. Send model|numbers.")
    assert counts(toy) == {"INVALID_INPUT": 1}


def test_a_fault_of_a_wire_is_an_internal_error_without_its_text(toy, channel_to) -> None:
    error = failure(channel_to(toy).unary_unary(SUM), b"m|one two")
    assert error.code() is StatusCode.INTERNAL
    assert "float" not in error.details()
    assert len(toy.records.lines) == 1
    toy.records.lines.clear()


def test_the_models_own_failure_is_the_callers_error(toy, channel_to, say) -> None:
    def fail(x: np.ndarray) -> dict[str, np.ndarray]:
        raise say.fails

    toy.worker.model = fail
    error = failure(channel_to(toy).unary_unary(SUM), b"m|1 2")
    assert error.code() is StatusCode.INTERNAL
    assert error.details().startswith("It failed.")
    toy.records.lines.clear()


def test_a_call_without_a_message_is_answered(toy, channel_to) -> None:
    error = failure(channel_to(toy).stream_unary(SUM), iter(()))
    assert error.code() is StatusCode.INVALID_ARGUMENT
    assert "without a message" in error.details()


def test_unknown_methods_and_services_are_told_what_there_is(toy, channel_to) -> None:
    for path in ("/toy.Toy/Other", "/other.Service/Sum"):
        error = failure(channel_to(toy).unary_unary(path), b"")
        assert error.code() is StatusCode.UNIMPLEMENTED
        assert error.details() == (
            f"This port has no method {path}. It has the services toy.Toy, grpc.health.v1.Health."
        )


def test_the_clients_deadline_is_the_calls(toy, channel_to, tmp_path) -> None:
    toy.worker.holds = True
    error = failure(channel_to(toy).unary_unary(SUM), b"m|1 2", timeout=0.2)
    assert error.code() is StatusCode.DEADLINE_EXCEEDED
    toy.until(lambda: counts(toy) == {"DEADLINE_EXCEEDED": 1})
    toy.on_loop(toy.worker.let_go)


def test_a_call_that_is_cancelled_leaves_the_queue(toy, channel_to) -> None:
    sum_of = channel_to(toy).unary_unary(SUM)
    toy.worker.holds = True
    first = sum_of.future(b"m|1 2", timeout=WAIT_S)
    toy.until(lambda: len(toy.worker.held) == 1)
    second = sum_of.future(b"m|3 4", timeout=WAIT_S)
    queue = next(queue for id, queue in toy.front_end.pipeline.queues.items() if id.model == "m")
    toy.until(lambda: queue.waiting_rows == 1)
    second.cancel()
    toy.until(lambda: counts(toy) == {"CANCELLED": 1})
    toy.worker.holds = False
    toy.on_loop(toy.worker.let_go)
    assert first.result() == b"3 1"
    assert toy.worker.rows == [1]


def test_keys_are_read_from_metadata(make_toy, channel_to) -> None:
    sum_of = channel_to(server := make_toy(anonymous="none")).unary_unary(SUM)
    for metadata in ((), (("authorization", "Bearer wrong"),), (("authorization", "Basic dTpw"),)):
        error = failure(sum_of, b"m|1 2", metadata=metadata)
        assert error.code() is StatusCode.UNAUTHENTICATED
        assert "`salver keys create` makes" in error.details()
    assert len(server.control.denials) == 3
    assert counts(server) == {"UNAUTHENTICATED": 3}


def test_nothing_is_read_from_strangers(make_toy, channel_to) -> None:
    server = make_toy(anonymous="none")
    held = threading.Event()

    def messages():
        held.wait(WAIT_S)
        yield b"m|1 2"

    error = failure(channel_to(server).stream_unary(SUM), messages())
    held.set()
    assert error.code() is StatusCode.UNAUTHENTICATED


def test_the_access_log_has_a_line_for_each_call(make_toy, channel_to, tmp_path) -> None:
    path = tmp_path / "access.log"
    server = make_toy(log_path=str(path))
    channel_to(server).unary_unary(SUM)(b"m|1 2", timeout=WAIT_S, metadata=(("x-request-id", "mine"),))
    server.until(lambda: path.read_text().endswith("\n"))
    (line,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (line["id"], line["wire"], line["model"], line["code"]) == ("mine", "toy", "m", "OK")
    assert line["peer"] == "127.0.0.1"


def test_an_ordinary_method_runs_its_operation(toy, channel_to) -> None:
    describe = channel_to(toy).unary_unary("/toy.Toy/Describe")
    assert describe(b"m", timeout=WAIT_S) == b"m 1"
    error = failure(describe, b"other")
    assert error.code() is StatusCode.NOT_FOUND


def test_an_ordinary_method_is_guarded(make_toy, channel_to) -> None:
    server = make_toy(anonymous="none")
    error = failure(channel_to(server).unary_unary("/toy.Toy/Describe"), b"m")
    assert error.code() is StatusCode.UNAUTHENTICATED
    assert len(server.control.denials) == 1


def counts(server) -> dict[str, int]:
    """Predictions over gRPC by their code."""
    found: Counter[str] = Counter()
    for key, count in server.front_end.counters.requests():
        if key.wire == "toy":
            found.update(count.codes)
    return dict(found)
