"""Where calls are counted while they run: compiled with the lane, since every call comes here."""

from __future__ import annotations

from bisect import bisect_left

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency histogram, in seconds; one more bucket holds the rest."""


class LiveCount:
    """The calls of one operation, model, version and wire in one process. Owned by its loop: no locks."""

    def __init__(self) -> None:
        self.answered = 0
        """Those that ended well."""
        self.codes: dict[str, int] = {}
        """Those that did not, by the code of their error."""
        self.buckets: list[int] = [0] * (len(BUCKETS_S) + 1)
        self.seconds = 0.0
        self.rows = 0
        self.failed_seconds = 0.0
        """What those took that did not end well."""
        self.reading_seconds = 0.0
        """Of predictions that were answered: from the arrival to the queue."""
        self.queued_seconds = 0.0
        """Of predictions that were answered: in the queue."""

    def took(self, seconds: float, calls: int = 1) -> None:
        """Put calls of this length into the histogram."""
        self.buckets[bisect_left(BUCKETS_S, seconds)] += calls
