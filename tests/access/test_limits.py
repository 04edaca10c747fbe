"""Budgets of requests per second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.access.limits import Bucket, RateLimiter
from salver.access.permit import Principal
from salver.errors import Code, RequestError


def caller(name: str, rate: float | None = 1.0) -> Principal:
    return Principal(id=name, role="user", requests_per_second=rate)


def test_a_bucket_gives_a_seconds_worth_at_once_and_then_tells_the_wait() -> None:
    bucket = Bucket(rate=4.0, now=100.0)

    assert [bucket.take(100.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.25]


def test_a_bucket_refills_with_time() -> None:
    bucket = Bucket(rate=4.0, now=100.0)
    for _ in range(4):
        bucket.take(100.0)

    assert [bucket.take(100.5) for _ in range(3)] == [0.0, 0.0, 0.25]


def test_a_slow_rate_still_allows_one_request() -> None:
    bucket = Bucket(rate=0.1, now=0.0)

    assert bucket.take(0.0) == 0.0
    assert bucket.take(0.0) == pytest.approx(10.0)


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    bucket = Bucket(rate=1.0, now=100.0)
    bucket.take(100.0)

    assert bucket.take(90.0) == 1.0
    assert bucket.take(100.0) == 1.0


@given(
    rate=st.floats(0.5, 100.0),
    pauses=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=200),
)
def test_no_pattern_of_requests_gets_more_than_the_rate_and_one_bucketful(rate: float, pauses: list[float]) -> None:
    bucket, now, taken = Bucket(rate, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now) == 0.0

    assert taken <= max(1.0, rate) + rate * now + 1e-6


@given(rate=st.floats(0.5, 100.0), pauses=st.lists(st.floats(0.0, 0.2), min_size=1, max_size=100))
def test_who_waits_as_long_as_told_is_let_through(rate: float, pauses: list[float]) -> None:
    bucket, now = Bucket(rate, 0.0), 0.0
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        if wait:
            now += wait + 1e-9
            assert bucket.take(now) == 0.0


def test_a_caller_without_a_budget_is_never_refused_nor_remembered() -> None:
    limiter = RateLimiter()
    for _ in range(100):
        limiter.admit(caller("free", None), 0.0)

    assert len(limiter) == 0


def test_a_refusal_tells_when_to_come_again() -> None:
    limiter = RateLimiter()
    limiter.admit(caller("a"), 0.0)

    with pytest.raises(RequestError) as refused:
        limiter.admit(caller("a"), 0.25)

    assert refused.value.code is Code.QUOTA_EXCEEDED
    assert refused.value.retry_after_s == 0.75
    assert refused.value.message == "This key may make 1 requests per second, and they are used up; wait 0.75 s."


def test_each_caller_has_a_budget_of_its_own() -> None:
    limiter = RateLimiter()

    limiter.admit(caller("a"), 0.0)
    limiter.admit(caller("b"), 0.0)


def test_memory_is_bounded_by_forgetting_full_buckets_first() -> None:
    limiter = RateLimiter(capacity=2)
    limiter.admit(caller("busy", 0.001), 0.0)
    limiter.admit(caller("idle"), 0.0)

    limiter.admit(caller("new"), 5.0)

    assert len(limiter) == 2
    with pytest.raises(RequestError):
        limiter.admit(caller("busy", 0.001), 5.0)


def test_when_all_are_busy_the_oldest_bucket_goes() -> None:
    limiter = RateLimiter(capacity=2)
    for name in ("a", "b", "c"):
        limiter.admit(caller(name), 0.0)

    assert len(limiter) == 2
    limiter.admit(caller("a"), 0.0)
