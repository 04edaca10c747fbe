"""Who collects what one turn of the loop brings hands it over just before the next batch; several may be one ticket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from salver.errors import Code, SalverError
from salver.serving.batching.ticket import Expected, Ticket
from salver.types import InferResponse


class Then(Expected):
    """Tickets to come: whatever the test wants done."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def submit(self) -> None:
        self._act()


class Several(Ticket):
    """A ticket of many requests, as a burst of predictions is one; `parts` are those that are run one by one."""

    def __init__(self, bench: Any, *rows: list[float]) -> None:
        self.parts = [bench.ticket([row]) for row in rows]
        Ticket.__init__(self, bench.ticket(list(rows)).request, bench.loop.now + 30.0, "")
        self.told: list[InferResponse | SalverError | None] = []
        self.settled = 0

    def reply(self, response: InferResponse | None, error: SalverError | None) -> None:
        self.told.append(response or error)

    def apart(self) -> Sequence[Ticket]:
        self.is_done = True
        return self.parts

    def settle(self) -> None:
        self.settled += 1


@pytest.fixture
def busy(bench: Any) -> Any:
    """Its only replica has a batch."""
    bench.submit([0, 0])
    bench.loop.advance()
    return bench


def test_what_is_expected_is_submitted_before_the_next_batch(bench: Any) -> None:
    bench.queue.expect(Then(lambda: bench.submit([1, 1])))
    bench.submit([2, 2])
    bench.queue.expect(Then(lambda: bench.submit([3, 3])))
    assert not bench.queue.is_idle
    bench.loop.advance()
    assert bench.link.rows.tolist() == [[2, 2], [1, 1], [3, 3]]
    bench.link.double()
    assert bench.queue.is_idle


def test_it_is_submitted_while_all_replicas_are_busy(busy: Any) -> None:
    tickets: list[Any] = []
    busy.queue.expect(Then(lambda: tickets.append(busy.submit([1, 1]))))
    busy.loop.advance()
    assert (busy.queue.waiting_rows, len(busy.link.sent)) == (1, 1)
    busy.link.double()
    busy.link.double()
    assert tickets[0].y == [[2, 2]]


def test_a_pause_for_more_rows_is_judged_anew(make_bench: Any) -> None:
    bench = make_bench(max_batch_rows=2, max_batch_delay_s=0.01)
    bench.add_link()
    bench.submit([1, 1])
    bench.loop.advance(0.004)
    assert bench.link.sent == []
    bench.queue.expect(Then(lambda: bench.submit([2, 2])))
    bench.loop.advance()
    assert bench.link.rows.tolist() == [[1, 1], [2, 2]]


def test_a_pause_goes_on_when_there_are_still_too_few(make_bench: Any) -> None:
    bench = make_bench(max_batch_rows=3, max_batch_delay_s=0.01)
    bench.add_link()
    bench.submit([1, 1])
    bench.loop.advance(0.004)
    bench.queue.expect(Then(lambda: bench.submit([2, 2])))
    bench.loop.advance(0.005)
    assert bench.link.sent == []
    bench.loop.advance(0.0011)
    assert bench.link.rows.tolist() == [[1, 1], [2, 2]]
    bench.link.double()
    bench.loop.advance(1.0)
    assert len(bench.link.sent) == 1


def test_a_closed_queue_still_asks_for_what_it_expects(bench: Any) -> None:
    """Whoever collected it must answer it, elsewhere or with a refusal."""
    asked: list[bool] = []
    bench.queue.expect(Then(lambda: asked.append(bench.queue.is_closed)))
    bench.queue.close()
    bench.loop.advance()
    assert asked == [True]
    bench.queue.expect(Then(lambda: asked.append(bench.queue.is_closed)))
    bench.loop.advance()
    assert asked == [True, True]
    assert bench.queue.is_idle


def test_a_queue_that_closes_during_a_pause_asks_too(make_bench: Any) -> None:
    bench = make_bench(max_batch_delay_s=0.01)
    bench.add_link()
    bench.submit([1, 1])
    bench.loop.advance()
    bench.queue.close()
    asked: list[bool] = []
    bench.queue.expect(Then(lambda: asked.append(True)))
    bench.loop.advance()
    assert asked == [True]


def test_one_that_fails_costs_the_others_nothing(bench: Any) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    tickets: list[Any] = []
    bench.queue.expect(Then(fail))
    bench.queue.expect(Then(lambda: tickets.append(bench.submit([1, 1]))))
    with pytest.raises(ZeroDivisionError):
        bench.loop.advance()
    bench.loop.advance()
    tickets.append(bench.submit([2, 2]))
    bench.link.double()
    bench.loop.advance()
    bench.link.double()
    assert [ticket.y for ticket in tickets] == [[[2, 2]], [[4, 4]]]


def test_the_next_batch_should_be_as_small_as_the_objective_asks(make_bench: Any) -> None:
    bench = make_bench(max_batch_rows=64, latency_objective_s=0.010)
    bench.add_link()
    assert bench.queue.best_rows == 64
    for _ in range(10):
        bench.submit(*[[1, 1]] * 16)
        bench.loop.advance()
        bench.loop.now += 0.016
        bench.link.double()
    assert bench.queue.best_rows < 16
    assert make_bench(max_batch_rows=64, has_batch_dimension=False).queue.best_rows == 1


class TestSeveralInOneTicket:
    def test_an_error_makes_them_run_one_by_one(self, bench: Any) -> None:
        several = Several(bench, [1, 1], [2, 2], [3, 3])
        bench.queue.submit(several)
        bench.loop.advance(1.0)
        bench.link.fail()
        bench.loop.advance()
        bench.link.double()
        bench.link.fail(message="It is this one.")
        bench.link.double()
        first, guilty, last = several.parts
        assert (first.y, guilty.error.message, last.y) == ([[2, 2]], "It is this one.", [[6, 6]])
        assert [part.settled for part in several.parts] == [1, 1, 1]
        assert several.told == []

    def test_only_the_guilty_one_is_logged(self, bench: Any) -> None:
        several = Several(bench, [1, 1], [2, 2])
        bench.queue.submit(several)
        bench.loop.advance()
        bench.link.fail()
        bench.loop.advance()
        assert bench.watch.errors == []
        several.parts[0].request_id = "guilty"
        bench.link.fail()
        bench.link.double()
        assert bench.watch.errors == ["guilty"]

    def test_they_keep_when_they_came_and_how_often_they_were_tried(self, bench: Any) -> None:
        several = Several(bench, [1, 1], [2, 2])
        bench.queue.submit(several)
        bench.loop.advance(1.0)
        bench.link.fail()
        assert [(part.queued_at, part.attempts) for part in several.parts] == [(several.queued_at, 1)] * 2

    def test_one_that_was_answered_in_the_meantime_is_not_run_again(self, bench: Any) -> None:
        several = Several(bench, [1, 1], [2, 2])
        bench.queue.submit(several)
        bench.loop.advance(31.0)
        assert [error.code for error in several.told] == [Code.DEADLINE_EXCEEDED]  # type: ignore[union-attr]
        bench.link.fail("CANCELLED")
        bench.loop.advance()
        assert (len(bench.link.sent), bench.queue.waiting_rows, several.settled) == (1, 0, 1)

    def test_a_dead_workers_are_run_one_by_one_elsewhere(self, bench: Any) -> None:
        """The one that kills again must not take the others with it."""
        other = bench.add_link(type(bench.link)("r2"))
        several = Several(bench, [1, 1], [2, 2])
        bench.queue.submit(several)
        bench.loop.advance()
        bench.link.die(bench.queue)
        third = bench.add_link(type(bench.link)("r3"))
        bench.loop.advance()
        other.die(bench.queue)
        third.double()
        told = [part.error.code if part.error else part.y for part in several.parts]
        assert told == [Code.WORKER_DIED, [[4, 4]]]
        assert len(third.sent) == 1

    def test_when_they_must_not_run_twice_they_hear_of_the_death(self, make_bench: Any) -> None:
        bench = make_bench(is_idempotent=False)
        bench.add_link()
        bench.add_link(type(bench.link)("r2"))
        several = Several(bench, [1, 1], [2, 2])
        bench.queue.submit(several)
        bench.loop.advance()
        bench.link.die(bench.queue)
        bench.loop.advance()
        assert [error.code for error in several.told] == [Code.WORKER_DIED]  # type: ignore[union-attr]
        assert several.settled == 1

    def test_a_value_that_does_not_fit_fails_alone(self, bench: Any) -> None:
        several = Several(bench, [1, 1], [2, "x"])  # type: ignore[list-item]
        bench.queue.submit(several)
        bench.loop.advance()
        bench.link.double()
        good, bad = several.parts
        assert (good.y, bad.error.code) == ([[2, 2]], Code.INVALID_INPUT)
