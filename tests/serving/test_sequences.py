"""Requests of one sequence go to one replica, in order, and hear when it is gone."""

from __future__ import annotations

from typing import Any

import pytest

from salver.errors import Code, RequestError
from salver.serving.batching import sequences
from salver.serving.batching.sequences import Sequences
from salver.types import SequenceStep

REPLICAS = ("r1", "r2", "r3")


def test_a_sequence_stays_where_it_began() -> None:
    places = Sequences()
    begun = {id: places.place(SequenceStep(id, is_start=True), REPLICAS) for id in range(1, 50)}
    assert set(begun.values()) == set(REPLICAS)
    more = ("r0", *REPLICAS, "r4")
    assert {id: places.place(SequenceStep(id), more) for id in begun} == begun


def test_front_ends_that_share_replicas_agree() -> None:
    one, other = Sequences(), Sequences()
    for id in ("a", "b", 7, "7"):
        assert one.place(SequenceStep(id), REPLICAS) == other.place(SequenceStep(id), tuple(reversed(REPLICAS)))


def test_a_sequence_whose_replica_is_gone_must_begin_anew() -> None:
    places = Sequences()
    began = places.place(SequenceStep(1, is_start=True), REPLICAS)
    left = [replica for replica in REPLICAS if replica != began]
    with pytest.raises(RequestError, match="The replica that had the sequence 1 is gone") as caught:
        places.place(SequenceStep(1), left)
    assert caught.value.code is Code.CONFLICT
    assert places.place(SequenceStep(1, is_start=True), left) in left


def test_an_end_is_forgotten() -> None:
    places = Sequences()
    began = places.place(SequenceStep(1), REPLICAS)
    places.place(SequenceStep(1, is_end=True), REPLICAS)
    assert places.place(SequenceStep(1), [replica for replica in REPLICAS if replica != began]) != began


def test_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "MAX_KNOWN", 2)
    places = Sequences()
    for id in (1, 2, 1, 3):
        places.place(SequenceStep(id), REPLICAS)
    assert list(places._places) == [1, 3]


# In the queue


def step(bench: Any, value: float, id: int = 1, *, within_s: float = 30.0, rows: int = 1) -> Any:
    """A request of the sequence, queued."""
    ticket = bench.ticket([[value, value]] * rows, within_s=within_s)
    ticket.request.sequence = SequenceStep(id)
    ticket.ask(ticket.request)
    bench.queue.submit(ticket)
    return ticket


def test_steps_run_one_by_one_in_order(bench: Any) -> None:
    tickets = [step(bench, value) for value in (1, 2, 3)]
    bench.loop.advance()
    for value, ticket in zip((1, 2, 3), tickets, strict=True):
        assert bench.link.rows.tolist() == [[value, value]]
        bench.link.double()
        assert ticket.y == [[2 * value, 2 * value]]
    assert (bench.queue.waiting_rows, bench.queue.is_idle) == (0, True)


def test_steps_wait_for_their_replica_while_others_are_free(make_bench: Any) -> None:
    bench = make_bench()
    links = [bench.add_replica(name) for name in REPLICAS]
    seen: dict[str, list[float]] = {name: [] for name in REPLICAS}
    tickets = {(id, value): step(bench, 10 * id + value, id) for value in (1, 2, 3) for id in range(1, 9)}
    bench.loop.advance()
    for link in links * 30:
        if not link.is_idle:
            seen[link.replica_id].append(float(link.rows[0, 0]))
            link.double()
        bench.loop.advance()
    assert all(ticket.y == [[2.0 * (10 * id + value)] * 2] for (id, value), ticket in tickets.items())
    for id in range(1, 9):
        (values,) = [values for values in seen.values() if 10.0 * id + 1 in values]
        assert [value for value in values if value // 10 == id] == [10 * id + 1, 10 * id + 2, 10 * id + 3]
    assert all(seen.values())


def test_others_take_their_turn_among_steps(bench: Any) -> None:
    step(bench, 1)
    bench.loop.advance()
    bench.loop.now += 0.1
    plain = bench.submit([7, 7])
    bench.loop.now += 0.1
    later = step(bench, 2)
    bench.loop.advance()
    bench.link.double()
    assert bench.link.rows.tolist() == [[7, 7]]
    bench.link.double()
    assert (plain.y, bench.link.rows.tolist()) == ([[14, 14]], [[2, 2]])
    bench.link.double()
    assert later.y == [[4, 4]]


def test_steps_are_not_held_up_by_a_pause_for_more_rows(make_bench: Any) -> None:
    bench = make_bench(max_batch_delay_s=1.0)
    bench.add_link()
    bench.submit([7, 7])
    bench.loop.now += 0.01
    ticket = step(bench, 1)
    bench.loop.advance()
    bench.link.double()
    assert ticket.y == [[2, 2]]


def test_a_step_is_not_cut_into_pieces(make_bench: Any) -> None:
    bench = make_bench(max_batch_rows=2)
    bench.add_link()
    ticket = step(bench, 1, rows=5)
    bench.loop.advance()
    assert bench.link.rows.shape == (5, 2)
    bench.link.double()
    assert len(ticket.y) == 5


def test_steps_of_a_replica_that_is_gone_hear_so(make_bench: Any) -> None:
    bench = make_bench()
    links = {name: bench.add_replica(name) for name in REPLICAS}
    first = step(bench, 1)
    bench.loop.advance()
    (busy,) = [link for link in links.values() if not link.is_idle]
    second = step(bench, 2)
    busy.die(bench.queue)
    bench.loop.advance()
    assert (first.error.code, second.error.code) == (Code.WORKER_DIED, Code.CONFLICT)
    assert (first.settled, second.settled, bench.queue.waiting_rows) == (1, 1, 0)
    with pytest.raises(RequestError, match="is gone"):
        step(bench, 3)


def test_a_step_that_waits_has_a_deadline_and_may_be_given_up(bench: Any) -> None:
    running = step(bench, 1)
    bench.loop.advance()
    late, unwanted, last = step(bench, 2, within_s=1.0), step(bench, 3), step(bench, 4)
    bench.queue.cancel(unwanted)
    bench.loop.advance(1.5)
    assert late.error.code is Code.DEADLINE_EXCEEDED
    bench.link.double()
    assert bench.link.rows.tolist() == [[4, 4]]
    bench.link.double()
    assert (running.y, last.y, bench.queue.waiting_rows) == ([[2, 2]], [[8, 8]], 0)
    assert (late.settled, unwanted.settled) == (1, 1)


def test_nothing_is_left_of_steps_that_were_given_up(bench: Any) -> None:
    step(bench, 1)
    bench.loop.advance()
    for ticket in [step(bench, 2), step(bench, 3)]:
        bench.queue.cancel(ticket)
    assert bench.queue.waiting_rows == 0
    bench.link.double()
    assert len(bench.link.sent) == 1


def test_a_queue_that_is_closed_answers_its_steps(bench: Any) -> None:
    step(bench, 1)
    bench.loop.advance()
    waiting = step(bench, 2)
    bench.queue.close()
    assert waiting.error.code is Code.MODEL_NOT_READY


# What batches take


def test_batches_are_counted_by_their_rows_with_what_they_took(bench: Any) -> None:
    for rows, seconds in ((1, 0.5), (2, 0.25), (2, 0.75)):
        for _ in range(rows):
            bench.submit([1, 1])
        bench.loop.advance()
        bench.loop.now += seconds
        bench.link.double()
    times = bench.queue.times
    found = {rows: (size.batches, size.seconds) for rows, size in times.by_rows.items()}
    assert found == {1: (1, 0.5), 2: (2, 1.0)}
    assert (times.batches, times.rows, times.request_seconds, times.last_at) == (3, 5, 2.5, bench.loop.now)
