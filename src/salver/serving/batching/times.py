"""What the batches of one version took: numbers that are added to once for each batch."""

from __future__ import annotations


class SizeTime:
    """Of all batches with the same number of rows."""

    __slots__ = ("batches", "seconds")

    def __init__(self) -> None:
        self.batches = 0
        self.seconds = 0.0


class BatchTimes:
    """Of one version in one front end; its queues come and go, and what was counted stays."""

    __slots__ = ("by_rows", "last_at", "request_seconds")

    def __init__(self) -> None:
        self.by_rows: dict[int, SizeTime] = {}
        self.request_seconds = 0.0
        """The sum over all requests of what their batches took."""
        self.last_at = 0.0
        """When the last batch came back, on the monotonic clock; 0.0: never."""

    def note(self, rows: int, requests: int, seconds: float, now: float) -> None:
        """A batch was answered."""
        size = self.by_rows.get(rows)
        if size is None:
            size = self.by_rows[rows] = SizeTime()
        size.batches += 1
        size.seconds += seconds
        self.request_seconds += seconds * requests
        self.last_at = now

    @property
    def batches(self) -> int:
        return sum(size.batches for size in self.by_rows.values())

    @property
    def rows(self) -> int:
        return sum(rows * size.batches for rows, size in self.by_rows.items())
