"""How many rows a free replica takes, and whether it waits for more: decided here, acted on in ``queue.py``."""

from __future__ import annotations

from salver.serving.batching.latency import BatchCost
from salver.types import BatchSettings

SHORTEST_PAUSE_S = 0.0001
"""Less than this is not waited for: a timer costs as much."""


def batch_rows(settings: BatchSettings, cost: BatchCost) -> int:
    """Most rows to put in the next batch: the setting, or fewer where a latency objective asks for it.

    The objective bounds the batch by the service time measured so far; it never makes a request wait.
    """
    objective = settings.latency_objective_s
    if objective is None or not cost.is_known or cost.estimate(settings.max_batch_rows) <= objective:
        return settings.max_batch_rows
    low, high = 1, settings.max_batch_rows
    while low < high:
        middle = (low + high + 1) // 2
        if cost.estimate(middle) <= objective:
            low = middle
        else:
            high = middle - 1
    return low


def pause_before_batch(settings: BatchSettings, *, waiting_rows: int, oldest_wait_s: float) -> float:
    """How long to wait for more rows, in seconds; 0.0: go now.

    0.0 always while `max_batch_delay_s` is 0: a free replica takes at once whatever waits for it.
    """
    if not settings.max_batch_delay_s or waiting_rows >= settings.max_batch_rows:
        return 0.0
    left_s = settings.max_batch_delay_s - oldest_wait_s
    return left_s if left_s >= SHORTEST_PAUSE_S else 0.0
