"""What a batch costs, learned from the batches that ran: pure arithmetic, no clock."""

from __future__ import annotations

WEIGHT = 0.1
"""Share of a new measurement in the running figures."""
MIN_SAMPLES = 3


class BatchCost:
    """A running fit of service time = fixed + rows * per_row, with how far off it has been.

    Times in seconds. Exponentially weighted least squares over (rows, seconds); while all batches have had the same
    number of rows there is no slope to see, and the time is taken as proportional to rows above that number.
    """

    __slots__ = ("_covariance", "_deviation", "_mean_rows", "_mean_time", "_variance", "samples")

    def __init__(self) -> None:
        self.samples = 0
        self._mean_rows = 0.0
        self._mean_time = 0.0
        self._variance = 0.0
        self._covariance = 0.0
        self._deviation = 0.0

    def observe(self, rows: int, seconds: float) -> None:
        if not self.samples:
            self._mean_rows, self._mean_time = float(rows), seconds
        else:
            error = abs(seconds - self.estimate(rows))
            self._deviation += WEIGHT * (error - self._deviation)
            d_rows, d_time = rows - self._mean_rows, seconds - self._mean_time
            self._mean_rows += WEIGHT * d_rows
            self._mean_time += WEIGHT * d_time
            self._variance = (1 - WEIGHT) * (self._variance + WEIGHT * d_rows * d_rows)
            self._covariance = (1 - WEIGHT) * (self._covariance + WEIGHT * d_rows * d_time)
        self.samples += 1

    @property
    def is_known(self) -> bool:
        return self.samples >= MIN_SAMPLES

    def estimate(self, rows: int) -> float:
        """Expected service time of a batch of `rows`, in seconds; 0.0 before the first batch."""
        if not self.samples:
            return 0.0
        return max(0.0, self._mean_time + self._slope(rows) * (rows - self._mean_rows))

    def cautious(self, rows: int) -> float:
        """A time that nearly all batches of `rows` stay below: the estimate and three mean deviations."""
        return self.estimate(rows) + 3.0 * self._deviation

    def _slope(self, rows: int) -> float:
        if self._variance > 1e-6:
            return max(0.0, self._covariance / self._variance)
        return self._mean_time / self._mean_rows if rows > self._mean_rows else 0.0


def completion_time(cost: BatchCost, *, ahead_rows: int, rows: int, replicas: int, max_batch_rows: int) -> float:
    """When a request of `rows` would be answered, in seconds from now, with `ahead_rows` before it.

    Rows in flight count as ahead. Cautious: full batches are taken at their upper time.
    """
    batch_rows = max(1, max_batch_rows)
    own = cost.cautious(min(max(rows, 1), batch_rows)) * max(1, -(-rows // batch_rows))
    if not ahead_rows:
        return own
    full, rest = divmod(ahead_rows, batch_rows)
    ahead = full * cost.cautious(batch_rows) + (cost.cautious(rest) if rest else 0.0)
    return ahead / max(1, replicas) + own
