"""The line keeps count of the rows that still want an answer, whatever happens to tickets in it."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from salver.serving.batching.ticket import FOREVER, Ticket
from salver.serving.batching.waiting import MANY_DONE, WaitingLine
from salver.types import BatchSettings, InferRequest, ModelVersion, PayloadKind, VersionInfo

VERSION = VersionInfo(
    id=ModelVersion("m", 1),
    runtime="echo",
    payload=PayloadKind.TENSORS,
    signatures={},
    batching=BatchSettings(),
    has_batch_dimension=True,
    is_idempotent=True,
)


class Waiting(Ticket):
    settled = 0

    def reply(self, response: Any, error: Any) -> None:
        raise AssertionError("a line answers nobody")

    def settle(self) -> None:
        self.settled += 1


def ticket(rows: int = 1, group: str = "g", at: float = 0.0) -> Waiting:
    made = Waiting(InferRequest(VERSION, "s", {}, None, rows, group), 1.0, "r")
    made.queued_at = at
    return made


def test_an_empty_line_has_nothing_to_take() -> None:
    line = WaitingLine()
    assert line.take(10) == []
    assert line.oldest_at() == FOREVER


def test_the_group_that_has_waited_longest_goes_first() -> None:
    line = WaitingLine()
    young, old = ticket(group="a", at=2.0), ticket(group="b", at=1.0)
    line.add(young)
    line.add(old)
    assert line.oldest_at() == 1.0
    assert line.take(10) == [old]


def test_one_ticket_is_taken_however_many_rows_it_has() -> None:
    line = WaitingLine()
    line.add(ticket(rows=50))
    assert len(line.take(10)) == 1


def test_those_alone_go_before_the_groups_and_one_by_one() -> None:
    line = WaitingLine()
    line.add(ticket())
    first, second = ticket(), ticket()
    line.add_alone(first)
    line.add_alone(second)
    assert line.has_alone
    assert line.take(10) == [first]
    assert line.take(10) == [second]
    assert len(line.take(10)) == 1


def test_a_done_ticket_is_settled_when_it_is_reached() -> None:
    line = WaitingLine()
    done, alone = ticket(), ticket()
    line.add(done)
    line.add(ticket())
    line.add_alone(alone)
    for each in (done, alone):
        each.is_done = True
        line.answered(each)
    assert line.take(10) == []
    assert len(line.take(10)) == 1
    assert (done.settled, alone.settled, line.rows) == (1, 1, 0)


def test_done_tickets_are_taken_out_once_they_are_many_or_all() -> None:
    line = WaitingLine()
    done = [ticket() for _ in range(MANY_DONE)]
    line.add(ticket(group="other"))
    for each in done:
        line.add(each)
    for number, each in enumerate(done, 1):
        each.is_done = True
        line.answered(each)
        line.forget_done()
        assert done[0].settled == (number == MANY_DONE)
    assert [len(list(line)), line.rows] == [1, 1]


class LineMachine(RuleBasedStateMachine):
    """Random arrivals, departures and hang-ups."""

    def __init__(self) -> None:
        super().__init__()
        self.line = WaitingLine()
        self.alive: list[Waiting] = []
        self.gone: list[Waiting] = []
        self.now = 0.0

    @rule(rows=st.integers(1, 5), group=st.sampled_from("abc"), alone=st.booleans())
    def arrive(self, rows: int, group: str, alone: bool) -> None:
        self.now += 1
        made = ticket(rows, group, self.now)
        (self.line.add_alone if alone else self.line.add)(made)
        self.alive.append(made)

    @rule(index=st.integers(0, 50))
    def hang_up(self, index: int) -> None:
        if self.alive:
            one = self.alive.pop(index % len(self.alive))
            one.is_done = True
            self.line.answered(one)
            self.line.forget_done()
            self.gone.append(one)

    @rule(max_rows=st.integers(1, 8))
    def leave(self, max_rows: int) -> None:
        for one in self.line.take(max_rows):
            assert not one.is_done
            assert isinstance(one, Waiting)
            self.alive.remove(one)

    @rule()
    def clear(self) -> None:
        tickets = self.line.clear()
        assert set(map(id, self.alive)) <= set(map(id, tickets))
        for one in tickets:
            if one.is_done:
                one.settle()
        self.alive.clear()

    @invariant()
    def rows_are_those_that_want_an_answer(self) -> None:
        assert self.line.rows == sum(one.request.rows for one in self.alive)

    @invariant()
    def nothing_is_settled_twice_or_while_it_waits(self) -> None:
        assert all(one.settled <= 1 for one in self.gone)
        assert all(one.settled == 0 for one in self.alive)
        if not self.alive:
            self.line.forget_done()
            assert all(one.settled == 1 for one in self.gone)


TestLine = LineMachine.TestCase
TestLine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
