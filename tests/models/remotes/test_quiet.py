"""Files have come to rest when two looks agree long enough, or when whoever wrote them says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.models.remotes.quiet import COMPLETE, Mark, Snapshot, is_stable, snapshot

A, B = Mark("a", 1, 10), Mark("b", 2, 20)


def test_one_look_is_not_enough() -> None:
    assert not is_stable(None, Snapshot((A,), 0.0), 0.0, 1000.0)


@pytest.mark.parametrize(("now", "expected"), [(4.9, False), (5.0, True), (100.0, True)])
def test_what_stays_long_enough_is_at_rest(now: float, expected: bool) -> None:
    first = snapshot(None, [A, B], 0.0)
    second = snapshot(first, [B, A], now)
    assert second is first
    assert is_stable(first, second, 5.0, now) is expected


@pytest.mark.parametrize(
    "changed", [(A,), (A, B, Mark("c", 0, 0)), (A, Mark("b", 3, 20)), (A, Mark("b", 2, 21)), (A, Mark("b", 2, 20, "x"))]
)
def test_any_change_begins_anew(changed: tuple[Mark, ...]) -> None:
    first = snapshot(None, [A, B], 0.0)
    second = snapshot(first, changed, 10.0)
    assert second.since == 10.0
    assert second.stamp != first.stamp
    assert not is_stable(first, second, 5.0, 10.0)
    assert is_stable(second, snapshot(second, changed, 15.0), 5.0, 15.0)


def test_nothing_can_be_at_rest_too() -> None:
    nothing = snapshot(snapshot(None, [A], 0.0), [], 1.0)
    assert is_stable(nothing, snapshot(nothing, [], 6.0), 5.0, 6.0)


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ((A, B, Mark(COMPLETE, 0, 20)), True),
        ((A, B, Mark(COMPLETE, 0, 19)), False),
        ((Mark(COMPLETE, 0, 20),), False),
        ((A, Mark(f"sub/{COMPLETE}", 0, 20)), False),
    ],
)
def test_the_newest_file_may_say_that_all_is_there(marks: tuple[Mark, ...], expected: bool) -> None:
    assert is_stable(None, snapshot(None, marks, 0.0), 5.0, 0.0) is expected


@given(st.lists(st.tuples(st.floats(0.1, 3.0), st.integers(0, 3))), st.floats(0.0, 10.0))
def test_what_is_taken_was_the_same_for_that_long(looks: list[tuple[float, int]], quiet_s: float) -> None:
    """Replays looks at a file of changing size: whatever is taken had that size at every look of the quiet time."""
    previous, now, history = None, 0.0, []
    for pause, size in looks:
        now += pause
        history.append((now, size))
        current = snapshot(previous, [Mark("a", size, 0)], now)
        if is_stable(previous, current, quiet_s, now):
            since = next(at for at, _ in history if at >= current.since)
            assert now - since >= quiet_s
            assert {seen for at, seen in history if at >= since} == {size}
        previous = current
