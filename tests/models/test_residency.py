"""Who stays in memory."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from salver.models.residency import Resident, idle, make_room
from salver.types import ModelVersion

NOW = 1000.0


def resident(name: str, size: int = 10, used_at: float = 0.0, **fields: object) -> Resident:
    plain = {"id": ModelVersion(name, 1), "bytes": size, "last_used": used_at, "is_on_demand": True}
    return Resident(**(plain | fields))  # type: ignore[arg-type]


def names(ids: tuple[ModelVersion, ...] | None) -> list[str] | None:
    return None if ids is None else [id.model for id in ids]


@st.composite
def crowds(draw: st.DrawFn) -> list[Resident]:
    """Residents of all kinds, some of them used at the same moment, or after now by another clock."""
    fields = st.fixed_dictionaries(
        {
            "bytes": st.integers(0, 100),
            "last_used": st.integers(990, 1002).map(float),
            "is_pinned": st.booleans(),
            "is_busy": st.booleans(),
            "is_on_demand": st.booleans(),
            "idle_unload_s": st.none() | st.integers(1, 12).map(float),
        }
    )
    return [Resident(id=ModelVersion(f"m{number}", 1), **each) for number, each in enumerate(draw(st.lists(fields)))]


@st.composite
def tight_places(draw: st.DrawFn) -> tuple[list[Resident], int, int]:
    """Residents, what is needed and the budget, so that somebody must go and it can be done."""
    crowd = [*draw(crowds()), resident("last", draw(st.integers(1, 100)), draw(st.integers(990, 1002)))]
    needed = draw(st.integers(0, 500))
    at_least = sum(one.bytes for one in crowd if one.id not in may_go(crowd)) + needed
    slack = draw(st.integers(0, sum(one.bytes for one in may_go(crowd).values()) - 1))
    return crowd, needed, at_least + slack


def may_go(crowd: list[Resident]) -> dict[ModelVersion, Resident]:
    return {one.id: one for one in crowd if one.is_on_demand and not one.is_pinned and not one.is_busy}


def are_least_recently_used(chosen: list[Resident], others: list[Resident]) -> bool:
    times = [min(one.last_used, NOW) for one in chosen]
    return times == sorted(times) and all(min(one.last_used, NOW) >= time for one in others for time in times)


# Idle


def test_what_nobody_asked_for_long_enough_is_idle_longest_first() -> None:
    crowd = [
        resident("a", used_at=990, idle_unload_s=10),
        resident("b", used_at=991, idle_unload_s=10),
        resident("c", used_at=900, idle_unload_s=10),
        resident("d", used_at=0),
    ]
    assert names(idle(crowd, NOW)) == ["c", "a"]


@given(crowds())
def test_idle_never_picks_what_may_not_go_and_misses_nothing_that_is_due(crowd: list[Resident]) -> None:
    chosen = idle(crowd, NOW)
    due = {
        id
        for id, one in may_go(crowd).items()
        if one.idle_unload_s is not None and NOW - one.last_used >= one.idle_unload_s
    }
    assert set(chosen) == due
    assert len(chosen) == len(due)
    assert are_least_recently_used([one for id in chosen for one in crowd if one.id == id], [])


# Room


def test_nobody_goes_while_there_is_room() -> None:
    assert make_room([resident("a")], 90, 100, NOW) == ()


def test_the_least_recently_used_go_until_there_is_room() -> None:
    crowd = [resident("a", 30, 5), resident("b", 30, 2), resident("c", 30, 9)]
    assert names(make_room(crowd, 40, 100, NOW)) == ["b"]
    assert names(make_room(crowd, 50, 100, NOW)) == ["b", "a"]
    assert names(make_room(crowd, 100, 100, NOW)) == ["b", "a", "c"]
    assert make_room(crowd, 101, 100, NOW) is None


def test_who_is_pinned_busy_or_always_there_stays() -> None:
    crowd = [resident("a", is_pinned=True), resident("b", is_busy=True), resident("c", is_on_demand=False)]
    assert make_room(crowd, 1, 30, NOW) is None


def test_a_budget_that_is_exceeded_is_met_again() -> None:
    crowd = [resident("a", 30, 5), resident("b", 30, 2)]
    assert names(make_room(crowd, 0, 50, NOW)) == ["b"]


def test_who_holds_nothing_need_not_go() -> None:
    assert names(make_room([resident("a", 0, 1), resident("b", 10, 2)], 10, 10, NOW)) == ["b"]


@given(crowds(), st.integers(0, 500), st.integers(0, 1000))
def test_room_is_made_exactly_when_it_can_be(crowd: list[Resident], needed: int, budget: int) -> None:
    staying = sum(one.bytes for one in crowd if one.id not in may_go(crowd))
    assert (make_room(crowd, needed, budget, NOW) is None) == (staying + needed > budget)


@given(tight_places())
def test_room_is_made_by_those_who_may_go_least_recently_used_first(place) -> None:
    crowd, needed, budget = place
    chosen = make_room(crowd, needed, budget, NOW)
    assert chosen
    assert set(chosen) <= set(may_go(crowd))
    going = [one for id in chosen for one in crowd if one.id == id]
    staying = [one for one in may_go(crowd).values() if one.id not in chosen and one.bytes]
    assert are_least_recently_used(going, staying)


@given(tight_places())
def test_room_is_enough_and_would_not_be_without_the_last_who_goes(place) -> None:
    crowd, needed, budget = place
    chosen = make_room(crowd, needed, budget, NOW)
    assert chosen
    sizes = [one.bytes for id in chosen for one in crowd if one.id == id]
    used = sum(one.bytes for one in crowd) + needed
    before_last, after_last = list(itertools.accumulate(sizes, lambda left, size: left - size, initial=used))[-2:]
    assert after_last <= budget < before_last
