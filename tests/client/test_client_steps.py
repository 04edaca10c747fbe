from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from salver_client import SalverClientError, calls, steps
from salver_client.calls import Reply
from salver_client.steps import Finished, Pause, Send, begin, proceed

Open = Callable[..., Any]

ANSWER = {"model": "m", "version": 2, "outputs": {"y": [1]}}
READY = Reply(200, {}, b'{"ready": true}')
WAITING = Reply(503, {}, b'{"ready": false, "reasons": ["m is STARTING"]}')


def refusal(code: str, status: int = 503, retry_after: str | None = "2") -> httpx.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx.Response(status, json={"error": {"code": code, "message": "Why."}}, headers=headers)


def in_turn(*responses: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    """A server that gives each response once."""
    left: Iterator[httpx.Response] = iter(responses)
    return lambda _: next(left)


@pytest.mark.parametrize("code", ["OVERLOADED", "MODEL_NOT_READY", "SHUTTING_DOWN"])
def test_what_was_refused_before_the_model_is_asked_again(session: Open, code: str) -> None:
    opened = session(
        in_turn(refusal(code), refusal(code, retry_after="1"), httpx.Response(200, json=ANSWER)), retries=2
    )

    assert opened.predict("m", [1]).outputs == {"y": [1]}
    assert opened.pauses == [2.0, 1.0]


def test_retries_come_to_an_end(session: Open) -> None:
    opened = session(lambda _: refusal("OVERLOADED"), retries=2)

    with pytest.raises(SalverClientError):
        opened.predict("m", [1])
    assert len(opened.requests) == 3
    assert opened.pauses == [2.0, 2.0]


@pytest.mark.parametrize(
    ("code", "status", "retry_after"),
    [
        ("WORKER_DIED", 503, "2"),
        ("OVERLOADED", 503, None),
        ("QUOTA_EXCEEDED", 429, "2"),
        ("DEADLINE_EXCEEDED", 504, "2"),
        ("MODEL_ERROR", 500, "2"),
    ],
)
def test_what_may_have_reached_the_model_is_not_asked_again(
    session: Open, code: str, status: int, retry_after: str | None
) -> None:
    opened = session(lambda _: refusal(code, status, retry_after), retries=5)

    with pytest.raises(SalverClientError):
        opened.predict("m", [1])
    assert len(opened.requests) == 1


def test_a_change_of_state_is_never_repeated(session: Open) -> None:
    opened = session(lambda _: refusal("OVERLOADED"), retries=5)

    with pytest.raises(SalverClientError):
        opened.create_key("a", "viewer")
    with pytest.raises(SalverClientError):
        opened.revoke_key("k1")
    assert len(opened.requests) == 2


def test_a_reading_may_always_be_repeated(session: Open) -> None:
    opened = session(in_turn(refusal("WORKER_DIED"), httpx.Response(200, json={"models": []})), retries=1)

    assert opened.models() == ()


def test_waiting_ends_when_the_server_is_ready(session: Open) -> None:
    waiting = httpx.Response(503, json={"ready": False, "reasons": []})
    opened = session(in_turn(waiting, waiting, httpx.Response(200, json={"ready": True})))

    assert opened.wait_ready(timeout=60) is None
    assert opened.pauses == [0.05, 0.1]


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def waited(clock: Clock, replies: Iterator[Reply | SalverClientError], timeout_s: float) -> list[Any]:
    """All steps of a wait, with each pause passing on the clock."""
    plan = steps.wait_ready(timeout_s, clock)
    taken: list[Any] = [begin(plan)]
    while not isinstance(taken[-1], Finished):
        step = taken[-1]
        if isinstance(step, Pause):
            clock.now += step.seconds
            taken.append(proceed(plan, None))
        else:
            taken.append(proceed(plan, next(replies)))
    return taken


def test_waiting_survives_a_server_that_is_not_there_yet() -> None:
    missing = SalverClientError("CONNECTION_FAILED", "refused")

    taken = waited(Clock(), iter([missing, WAITING, missing, READY]), 60.0)

    assert [step.seconds for step in taken if isinstance(step, Pause)] == [0.05, 0.1, 0.2]


def test_no_single_probe_waits_longer_than_there_is_time() -> None:
    taken = waited(Clock(), iter([WAITING, READY]), 5.0)

    assert [step.at_most_s for step in taken if isinstance(step, Send)] == [5.0, pytest.approx(4.95)]


def test_pauses_grow_to_a_second() -> None:
    taken = waited(Clock(), iter([WAITING] * 8 + [READY]), 60.0)

    assert [step.seconds for step in taken if isinstance(step, Pause)][-3:] == [1.0, 1.0, 1.0]


def test_waiting_ends_in_time_with_the_last_reasons() -> None:
    clock = Clock()

    with pytest.raises(SalverClientError, match=r"not ready after 2 s: m is STARTING") as caught:
        waited(clock, iter([WAITING] * 99), 2.0)
    assert caught.value.code == "NOT_READY_IN_TIME"
    assert clock.now == pytest.approx(102.0)


def test_waiting_names_what_kept_the_server_away() -> None:
    with pytest.raises(SalverClientError, match="refused"):
        waited(Clock(), iter([SalverClientError("CONNECTION_FAILED", "refused")] * 99), 1.0)


def test_waiting_without_reasons_says_so() -> None:
    with pytest.raises(SalverClientError, match="it gave no reason"):
        waited(Clock(), iter([Reply(503, {}, b'{"ready": false}')] * 99), 0.0)


def test_waiting_does_not_hide_a_refusal() -> None:
    refused = Reply(401, {}, b'{"error": {"code": "UNAUTHENTICATED", "message": "Why."}}')

    with pytest.raises(SalverClientError, match="UNAUTHENTICATED"):
        waited(Clock(), iter([refused]), 5.0)


def test_a_probe_is_bounded_by_its_own_limit(session: Open) -> None:
    opened = session(in_turn(httpx.Response(200, json={"ready": True})), timeout=30.0)

    opened.wait_ready(timeout=3.0)

    assert opened.requests[0].extensions["timeout"]["read"] == pytest.approx(3.0, abs=0.5)


def test_a_call_reads_what_is_json_and_says_so_when_it_is_not() -> None:
    with pytest.raises(SalverClientError) as caught:
        calls.readiness().result(Reply(503, {"x-request-id": "r"}, b"<html>"))
    assert (caught.value.code, caught.value.request_id) == ("ANSWER_NOT_UNDERSTOOD", "r")
