"""How much a caller may do: a token bucket for each principal that has a budget. Pure: the time is an argument."""

from __future__ import annotations

from salver.access.permit import Principal
from salver.errors import Code, RequestError


class Bucket:
    """Holds up to one second's worth of requests (at least one) and refills at `rate` per second."""

    __slots__ = ("_filled_at", "_level", "_rate", "_size")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._size = max(1.0, rate)
        self._level = self._size
        self._filled_at = now

    def take(self, now: float) -> float:
        """Take one request out: 0.0, or how many seconds to wait until there is one (then nothing is taken).

        `now` is in seconds of a monotonic clock.
        """
        self._level = self.level(now)
        self._filled_at = max(now, self._filled_at)
        if self._level >= 1.0:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self._rate

    def level(self, now: float) -> float:
        """The requests that could be taken now."""
        elapsed = max(0.0, now - self._filled_at)
        return min(self._size, self._level + elapsed * self._rate)

    def is_full(self, now: float) -> bool:
        return self.level(now) == self._size


class RateLimiter:
    """Lets principals through at their own rate. Keeps at most `capacity` buckets, so its memory is bounded."""

    __slots__ = ("_buckets", "_capacity")

    def __init__(self, capacity: int = 10_000) -> None:
        self._buckets: dict[str, Bucket] = {}
        self._capacity = capacity

    def __len__(self) -> int:
        return len(self._buckets)

    def admit(self, principal: Principal, now: float) -> None:
        """Count one request. Raises RequestError(QUOTA_EXCEEDED) with `retry_after_s`; without a budget, never."""
        rate = principal.requests_per_second
        if rate is None:
            return
        bucket = self._buckets.get(principal.id)
        if bucket is None:
            bucket = self._add(principal.id, rate, now)
        wait_s = bucket.take(now)
        if wait_s:
            raise _quota_exceeded(rate, wait_s)

    def _add(self, id: str, rate: float, now: float) -> Bucket:
        if len(self._buckets) >= self._capacity:
            self._make_room(now)
        bucket = self._buckets[id] = Bucket(rate, now)
        return bucket

    def _make_room(self, now: float) -> None:
        """A full bucket is as good as a new one, so it can go unnoticed; when none is full, the oldest goes."""
        self._buckets = {id: bucket for id, bucket in self._buckets.items() if not bucket.is_full(now)}
        if len(self._buckets) >= self._capacity:
            del self._buckets[next(iter(self._buckets))]


def _quota_exceeded(rate: float, wait_s: float) -> RequestError:
    return RequestError(
        Code.QUOTA_EXCEEDED,
        f"This key may make {rate:g} requests per second, and they are used up; wait {wait_s:.3g} s.",
        retry_after_s=wait_s,
    )
