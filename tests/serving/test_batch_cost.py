"""What a batch costs is learned from the batches that ran."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.serving.batching.latency import MIN_SAMPLES, BatchCost, completion_time


def taught(*samples: tuple[int, float]) -> BatchCost:
    cost = BatchCost()
    for rows, seconds in samples:
        cost.observe(rows, seconds)
    return cost


def test_nothing_is_known_before_some_batches_ran() -> None:
    cost = BatchCost()
    assert not cost.is_known
    assert cost.estimate(10) == 0.0
    for _ in range(MIN_SAMPLES):
        cost.observe(1, 0.1)
    assert cost.is_known


def test_a_fixed_and_a_per_row_part_are_told_apart() -> None:
    cost = taught(*[(rows, 0.01 + 0.001 * rows) for _ in range(40) for rows in (1, 8, 64)])
    assert cost.estimate(32) == pytest.approx(0.042, rel=0.05)
    assert cost.estimate(1) == pytest.approx(0.011, rel=0.2)


def test_while_all_batches_had_one_size_larger_ones_are_taken_as_proportional_and_smaller_as_equal() -> None:
    cost = taught(*[(4, 0.02)] * 10)
    assert cost.estimate(8) == pytest.approx(0.04)
    assert cost.estimate(1) == pytest.approx(0.02)


def test_the_cautious_time_is_above_the_estimate_by_how_far_off_it_has_been() -> None:
    steady, restless = taught(*[(1, 0.1)] * 20), taught(*[(1, 0.05), (1, 0.15)] * 10)
    assert steady.cautious(1) == pytest.approx(steady.estimate(1))
    assert restless.cautious(1) > restless.estimate(1) + 0.05


@given(st.lists(st.tuples(st.integers(1, 256), st.floats(0, 10)), min_size=1, max_size=50), st.integers(1, 10_000))
def test_an_estimate_is_never_negative_and_never_falls_with_rows(samples: list[tuple[int, float]], rows: int) -> None:
    cost = taught(*samples)
    assert 0.0 <= cost.estimate(rows) <= cost.estimate(rows + 1) + 1e-9


@pytest.mark.parametrize(
    ("ahead", "rows", "replicas", "expected"),
    [(0, 1, 1, 1.0), (0, 8, 1, 2.0), (4, 1, 1, 2.0), (6, 1, 1, 3.0), (8, 1, 2, 2.0)],
)
def test_completion_counts_the_batches_ahead_over_the_replicas(
    ahead: int, rows: int, replicas: int, expected: float
) -> None:
    cost = taught(*[(rows, 1.0) for _ in range(50) for rows in (1, 4)])
    answer = completion_time(cost, ahead_rows=ahead, rows=rows, replicas=replicas, max_batch_rows=4)
    assert answer == pytest.approx(expected, rel=0.01)
