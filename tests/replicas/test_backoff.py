"""Pauses between the starts of a worker that crashes."""

from __future__ import annotations

import pytest

from salver.replicas.backoff import CRASHLOOP_AFTER, STABLE_AFTER_S, crashes_in_a_row, is_crash_loop, pause_s


@pytest.mark.parametrize(("crashes", "pause"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (7, 32), (8, 60), (500, 60)])
def test_the_first_crash_is_not_waited_for_then_pauses_double_up_to_the_longest(crashes: int, pause: float) -> None:
    assert pause_s(crashes, 1.0, 60.0) == pause


def test_a_worker_that_was_ready_for_a_while_starts_the_count_anew() -> None:
    assert crashes_in_a_row(5, STABLE_AFTER_S) == 1
    assert crashes_in_a_row(5, 0.0) == 6


def test_some_crashes_in_a_row_are_a_loop() -> None:
    assert not is_crash_loop(CRASHLOOP_AFTER - 1)
    assert is_crash_loop(CRASHLOOP_AFTER)
