"""A free replica takes what waits, bounded by the setting or by the latency objective."""

from __future__ import annotations

import pytest

from salver.serving.batching.latency import BatchCost
from salver.serving.batching.planner import batch_rows, pause_before_batch
from salver.types import BatchSettings


def known_cost() -> BatchCost:
    """10 ms and 1 ms per row."""
    cost = BatchCost()
    for _ in range(60):
        for rows in (1, 16, 64):
            cost.observe(rows, 0.010 + 0.001 * rows)
    return cost


def test_without_an_objective_the_setting_decides() -> None:
    assert batch_rows(BatchSettings(max_batch_rows=32), known_cost()) == 32


def test_an_objective_bounds_the_batch_by_the_measured_time() -> None:
    settings = BatchSettings(max_batch_rows=64, latency_objective_s=0.030)
    assert batch_rows(settings, known_cost()) == pytest.approx(20, abs=2)


def test_an_objective_that_even_one_row_misses_still_lets_one_row_through() -> None:
    assert batch_rows(BatchSettings(max_batch_rows=64, latency_objective_s=0.001), known_cost()) == 1


@pytest.mark.parametrize(("objective", "cost"), [(10.0, known_cost()), (0.001, BatchCost())])
def test_an_objective_that_is_met_or_not_known_to_be_missed_changes_nothing(objective: float, cost: BatchCost) -> None:
    assert batch_rows(BatchSettings(max_batch_rows=64, latency_objective_s=objective), cost) == 64


@pytest.mark.parametrize(
    ("delay", "rows", "waited", "pause"),
    [(0.0, 1, 0.0, 0.0), (0.02, 64, 0.0, 0.0), (0.02, 1, 0.0, 0.02), (0.02, 1, 0.015, 0.005), (0.02, 1, 0.03, 0.0)],
)
def test_a_replica_waits_only_where_it_was_asked_to(delay: float, rows: int, waited: float, pause: float) -> None:
    settings = BatchSettings(max_batch_rows=64, max_batch_delay_s=delay)
    assert pause_before_batch(settings, waiting_rows=rows, oldest_wait_s=waited) == pytest.approx(pause)


def test_a_rest_too_short_for_a_timer_is_not_waited_for() -> None:
    settings = BatchSettings(max_batch_delay_s=0.02)
    assert pause_before_batch(settings, waiting_rows=1, oldest_wait_s=0.01999) == 0.0
