"""How long to wait before a crashed worker is started again: pure."""

from __future__ import annotations

CRASHLOOP_AFTER = 3
"""Crashes in a row after which a version is called crash-looping."""
STABLE_AFTER_S = 1.0
"""A worker that was ready for so long starts the count anew when it dies: it was killed, or a rare request did it."""


def pause_s(crashes: int, minimum_s: float, maximum_s: float) -> float:
    """The pause after the `crashes`-th crash in a row (1 is the first): minimum, doubled each time, up to maximum.

    The first crash of a worker that had been ready is not waited for: one crash is bad luck, two are a pattern.
    """
    if crashes <= 1:
        return 0.0
    return float(min(maximum_s, minimum_s * 2.0 ** min(crashes - 2, 30)))


def crashes_in_a_row(before: int, lived_s: float) -> int:
    """The count after a crash of a worker that had been ready for `lived_s` seconds (0.0: never)."""
    return 1 if lived_s >= STABLE_AFTER_S else before + 1


def is_crash_loop(crashes: int) -> bool:
    return crashes >= CRASHLOOP_AFTER
