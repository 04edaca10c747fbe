"""The table of a version's life."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from salver.errors import Code, SalverError
from salver.models.states import MOVES, SERVING, Event, next_state
from salver.types import VersionState


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(VersionState)


@pytest.mark.parametrize("state", set(VersionState) - {VersionState.QUEUED})
def test_every_state_can_be_reached(state: VersionState) -> None:
    assert any(state in moves.values() for before, moves in MOVES.items() if before is not state)


def test_the_straight_way_through_a_life() -> None:
    state = VersionState.QUEUED
    seen = [
        state := next_state(state, event) for event in (Event.WORKER_STARTED, Event.READY, Event.DRAIN, Event.STOPPED)
    ]
    assert [state.value for state in seen] == ["STARTING", "READY", "DRAINING", "STOPPED"]


def test_a_crash_loop_lasts_until_a_worker_is_ready() -> None:
    state = VersionState.STARTING
    for event in (Event.CRASH_LOOPED, Event.WORKER_STARTED, Event.DIED, Event.WORKER_STARTED):
        state = next_state(state, event)
    assert state is VersionState.CRASHLOOP
    assert next_state(state, Event.READY) is VersionState.READY


def test_a_version_that_stopped_stays_so() -> None:
    assert set(MOVES[VersionState.STOPPED].values()) == {VersionState.STOPPED}


def test_a_move_that_is_not_in_the_table_is_a_fault() -> None:
    with pytest.raises(SalverError, match="a version that is STOPPED cannot take the event `ready`") as caught:
        next_state(VersionState.STOPPED, Event.READY)
    assert caught.value.code is Code.INTERNAL


def test_a_version_that_sleeps_begins_anew_when_it_is_woken() -> None:
    assert next_state(VersionState.QUEUED, Event.ASLEEP) is VersionState.UNLOADED
    assert next_state(VersionState.UNLOADED, Event.WOKEN) is VersionState.QUEUED
    assert next_state(VersionState.UNLOADED, Event.DRAIN) is VersionState.STOPPED


class LifeOfAVersion(RuleBasedStateMachine):
    """A version with replicas that start, load, fail and die in any order, reported as who watches them would."""

    def __init__(self) -> None:
        super().__init__()
        self.state = VersionState.QUEUED
        self.wanted = 1
        self.loading = self.serving = self.broken = 0

    def happens(self, event: Event) -> None:
        self.state = next_state(self.state, event)

    @initialize(wanted=st.integers(1, 3))
    def want(self, wanted: int) -> None:
        self.wanted = wanted

    @property
    def is_ending(self) -> bool:
        return self.state in (VersionState.DRAINING, VersionState.STOPPED)

    @precondition(lambda self: not self.is_ending and self.loading + self.serving + self.broken < self.wanted)
    @rule()
    def a_worker_starts(self) -> None:
        self.loading += 1
        self.happens(Event.WORKER_STARTED)

    @precondition(lambda self: self.loading and self.state is not VersionState.STOPPED)  # then it is not reported
    @rule()
    def a_worker_becomes_ready(self) -> None:
        self.loading -= 1
        self.serving += 1
        if self.serving == 1 and self.state is not VersionState.DRAINING:
            self.happens(Event.READY)
        if self.serving == self.wanted:
            self.happens(Event.RECOVERED)
        elif self.state is VersionState.READY:
            self.happens(Event.REPLICA_LOST)

    @precondition(lambda self: self.loading)
    @rule()
    def a_worker_cannot_load(self) -> None:
        self.loading -= 1
        self.broken += 1
        self.happens(Event.FAILED)

    @precondition(lambda self: self.loading + self.serving and not self.is_ending)
    @rule(is_loading=st.booleans(), is_again=st.booleans())
    def a_worker_dies(self, is_loading: bool, is_again: bool) -> None:
        if self.serving and not (is_loading and self.loading):
            self.serving -= 1
        else:
            self.loading -= 1
        self.happens(Event.REPLICA_LOST if self.serving else Event.DIED)
        if is_again:
            self.happens(Event.CRASH_LOOPED)

    @precondition(lambda self: not self.is_ending)
    @rule()
    def nobody_wants_it_any_more(self) -> None:
        self.happens(Event.DRAIN)

    @precondition(lambda self: self.state is VersionState.DRAINING)
    @rule()
    def the_last_worker_stops(self) -> None:
        self.loading = self.serving = 0
        self.happens(Event.STOPPED)

    @precondition(lambda self: self.broken and not self.is_ending)
    @rule()
    def somebody_asks_for_a_retry(self) -> None:
        self.broken = 0

    @precondition(lambda self: self.state is VersionState.STOPPED)
    @rule(event=st.sampled_from([Event.DIED, Event.CRASH_LOOPED, Event.FAILED, Event.DRAIN, Event.STOPPED]))
    def news_come_late(self, event: Event) -> None:
        self.happens(event)

    @invariant()
    def it_is_said_to_serve_exactly_when_a_replica_does(self) -> None:
        if not self.is_ending:
            assert (self.state in SERVING) == (self.serving > 0)

    @invariant()
    def it_is_ready_only_with_all_its_replicas(self) -> None:
        if self.state is VersionState.READY:
            assert self.serving == self.wanted

    @invariant()
    def it_is_queued_only_before_its_first_worker(self) -> None:
        if self.state is VersionState.QUEUED:
            assert self.loading == self.serving == self.broken == 0


test_no_order_of_events_confuses_the_table = LifeOfAVersion.TestCase
