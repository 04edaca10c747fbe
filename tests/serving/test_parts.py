"""A queue hands each part to its caller at once, and no request is run again once its caller has had one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from salver.errors import Code, RequestError
from salver.types import Body, InferRequest, Part, PayloadKind
from salver_worker import frames


@pytest.fixture
def bench(make_bench: Any) -> Any:
    bench = make_bench(gives_parts=True)
    bench.add_link()
    return bench


def send_part(link: Any, values: list[list[float]]) -> None:
    array = np.array(values, "<f4")
    raw = array.tobytes()
    link.part({"tensors": [["y", "FP32", list(array.shape), len(raw)]]}, raw + bytes(frames.padding(len(raw))))


def end(link: Any) -> None:
    """The RESULT behind parts that were all."""
    link._give(link_result({"tensors": []}))


def link_result(header: dict[str, Any], body: bytes = b"") -> Any:
    from salver.replicas.result import Result

    return Result(frames.RESULT, frames.encode_header(header), memoryview(body))


def test_parts_come_before_the_answer(bench: Any) -> None:
    ticket = bench.ask_for_parts([1, 1])
    bench.loop.advance()
    assert bench.link.sent[0][0]["wants_parts"] is True
    send_part(bench.link, [[1, 2]])
    assert ticket.parts == [[[1, 2]]]
    send_part(bench.link, [[3, 4]])
    assert ticket.response is None
    end(bench.link)
    assert (ticket.parts, ticket.response.outputs, ticket.settled) == ([[[1, 2]], [[3, 4]]], {}, 1)


def test_who_takes_parts_travels_alone_and_the_others_are_asked_as_ever(bench: Any) -> None:
    tickets = [bench.submit([1, 1]), bench.ask_for_parts([2, 2]), bench.ask_for_parts([3, 3]), bench.submit([4, 4])]
    for _ in range(3):
        bench.loop.advance()
        bench.link.double()
    assert [(header["tensors"][0][2][0], header.get("wants_parts")) for header, _, _ in bench.link.sent] == [
        (2, None),
        (1, True),
        (1, True),
    ]
    assert [ticket.y for ticket in tickets] == [[[2, 2]], [[4, 4]], [[6, 6]], [[8, 8]]]


def test_a_model_that_gives_none_is_not_asked_for_them(make_bench: Any) -> None:
    bench = make_bench()
    bench.add_link()
    bench.ask_for_parts([1, 1])
    bench.submit([2, 2])
    bench.loop.advance()
    assert (bench.link.rows.tolist(), bench.link.on_part) == ([[1, 1], [2, 2]], None)


def test_a_dead_worker_ends_what_has_begun_and_only_that(bench: Any) -> None:
    begun = bench.ask_for_parts([1, 1])
    bench.loop.advance()
    send_part(bench.link, [[1, 1]])
    other = bench.add_replica("r2")
    fresh = bench.ask_for_parts([2, 2])
    bench.loop.advance()
    bench.link.die(bench.queue)
    third = bench.add_replica("r3")
    other.die(bench.queue)
    bench.loop.advance()
    assert begun.error.code is Code.WORKER_DIED
    assert fresh.error is None
    send_part(third, [[5, 5]])
    end(third)
    assert fresh.parts == [[[5, 5]]]


def test_an_error_of_the_model_ends_the_stream(bench: Any) -> None:
    ticket = bench.ask_for_parts([1, 1])
    bench.loop.advance()
    send_part(bench.link, [[1, 1]])
    bench.link.fail()
    bench.loop.advance()
    assert (ticket.error.code, ticket.settled, len(bench.link.sent)) == (Code.MODEL_ERROR, 1, 1)
    assert bench.watch.errors == ["r"]


def test_a_caller_that_is_gone_stops_the_worker_and_gets_nothing_more(bench: Any) -> None:
    ticket = bench.ask_for_parts([1, 1])
    bench.loop.advance()
    send_part(bench.link, [[1, 1]])
    bench.queue.cancel(ticket)
    assert bench.watch.cancelled == [("r1", 1, 1)]
    send_part(bench.link, [[2, 2]])
    assert ticket.parts == [[[1, 1]]]
    bench.link.fail("CANCELLED")
    assert ticket.settled == 1


def test_the_deadline_ends_a_stream(bench: Any) -> None:
    ticket = bench.ask_for_parts([1, 1], within_s=5.0)
    bench.loop.advance()
    bench.loop.advance(4.0)
    send_part(bench.link, [[1, 1]])
    bench.loop.advance(2.0)
    assert ticket.error.code is Code.DEADLINE_EXCEEDED
    assert bench.watch.cancelled == [("r1", 1, 1)]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"tensors": [["y", "FP32", [1, 2], 8]]}, Code.OUTPUT_INVALID),  # without the bytes
        ({"tensors": [["y", "FP32", [0, 2], 0]]}, Code.OUTPUT_INVALID),  # without the row
        ({}, Code.OUTPUT_INVALID),
    ],
)
def test_a_part_that_cannot_be_read_ends_the_stream(bench: Any, header: dict[str, Any], code: Code) -> None:
    ticket = bench.ask_for_parts([1, 1])
    bench.loop.advance()
    bench.link.part(header)
    assert ticket.error.code is code
    assert bench.watch.cancelled == [("r1", 1, 1)]


def test_a_caller_that_refuses_a_part_stops_the_worker(bench: Any) -> None:
    class Slow(type(bench.ticket([[1, 1]]))):  # type: ignore[misc]
        def part(self, response: Any) -> None:
            raise RequestError(Code.CANCELLED, "Too slow.")

    class Broken(Slow):
        def part(self, response: Any) -> None:
            raise ZeroDivisionError

    for kind, code in ((Slow, Code.CANCELLED), (Broken, Code.INTERNAL)):
        request = bench.ticket([[1, 1]]).request
        request.want_parts()
        ticket = kind(request, 1e9)
        bench.queue.submit(ticket)
        bench.loop.advance()
        send_part(bench.link, [[1, 1]])
        assert ticket.error.code is code
        bench.link.fail("CANCELLED")
    assert bench.watch.cancelled == [("r1", 1, 1), ("r1", 1, 2)]


# Bodies


@pytest.fixture
def bodies(make_bench: Any) -> Any:
    bench = make_bench(payload=PayloadKind.BODY, signatures={}, max_batch_rows=4)
    bench.add_link()
    return bench


def ask(bench: Any, data: bytes, *, takes_parts: bool) -> Any:
    ticket = bench.ticket([[1, 1]], id=data.decode())
    body = Body((Part("body", "", data),), {})
    request = InferRequest(bench.version, "serving_default", None, body, 1, ("body",))
    if takes_parts:
        request.want_parts()
    ticket.ask(request)
    bench.queue.submit(ticket)
    return ticket


def rows(*data: bytes) -> dict[str, Any]:
    return {"responses": [{"size": len(each)} for each in data]}


def test_of_a_batch_of_bodies_each_gets_its_own_parts(bodies: Any) -> None:
    one, two, three = (ask(bodies, name, takes_parts=name != b"b") for name in (b"a", b"b", b"c"))
    bodies.loop.advance()
    wanted = [row.get("wants_parts") for row in bodies.link.sent[0][0]["requests"]]
    assert wanted == [True, None, True]
    bodies.link.part({"request": 2, **rows(b"first")}, b"first")
    bodies.link.part({"request": 1, **rows(b"nobody asked")}, b"nobody asked")
    assert (one.parts, two.parts, three.parts) == ([], [], [b"first"])
    bodies.link._give(link_result(rows(b"1", b"2", b"3"), b"123"))
    assert [ticket.response.body.data for ticket in (one, two, three)] == [b"1", b"2", b"3"]


def test_when_a_batch_fails_only_those_without_parts_are_run_again(bodies: Any) -> None:
    one, two = ask(bodies, b"a", takes_parts=True), ask(bodies, b"b", takes_parts=True)
    bodies.loop.advance()
    bodies.link.part({"request": 0, **rows(b"x")}, b"x")
    bodies.link.fail()
    bodies.loop.advance()
    assert (one.error.code, one.settled, two.error) == (Code.MODEL_ERROR, 1, None)
    assert [row["id"] for row in bodies.link.sent[-1][0]["requests"]] == ["b"]


@pytest.mark.parametrize(
    "header", [{"request": 1, **rows(b"x")}, {"request": 0, **rows(b"x", b"")}, {"request": 0, **rows(b"xy")}, {}]
)
def test_a_part_must_say_whose_it_is(bodies: Any, header: dict[str, Any]) -> None:
    ticket = ask(bodies, b"a", takes_parts=True)
    bodies.loop.advance()
    bodies.link.part(header, b"x")
    assert ticket.error.code is Code.OUTPUT_INVALID
