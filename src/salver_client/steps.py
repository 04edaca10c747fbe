"""What the client does in which order, without doing it: generators that say `Send` or `Pause` and are told what came.

The synchronous and the asynchronous client run the same generators, so there is one order of things.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from salver_client import calls
from salver_client.calls import Call, Reply
from salver_client.errors import SalverClientError

Result = TypeVar("Result")

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Send:
    """Send the call's request and hand its reply back; a connection that fails is thrown in as SalverClientError."""

    call: Call[Any]
    at_most_s: float | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished(Generic[Result]):
    result: Result


Steps: TypeAlias = Generator[Send | Pause, Reply | None, Result]


def begin(plan: Steps[Result]) -> Send | Pause | Finished[Result]:
    """What is to be done first."""
    return proceed(plan, None)


def proceed(plan: Steps[Result], came: Reply | SalverClientError | None) -> Send | Pause | Finished[Result]:
    """Tell what came of the last step, and hear the next one."""
    try:
        return plan.throw(came) if isinstance(came, SalverClientError) else plan.send(came)
    except StopIteration as end:
        return Finished(end.value)


def send(call: Call[Any], at_most_s: float | None = None) -> Generator[Send, Reply | None, Reply]:
    """One step: the reply to a call."""
    reply = yield Send(call, at_most_s)
    assert reply is not None
    return reply


def ask(call: Call[Result], retries: int) -> Steps[Result]:
    """Send a call, and again where that is safe and the server says when, at most `retries` times."""
    for _ in range(retries):
        reply = yield from send(call)
        pause_s = call.pause_before_retry(reply)
        if pause_s is None:
            return call.result(reply)
        yield Pause(pause_s)
    return call.result((yield from send(call)))


def is_ready() -> Steps[bool]:
    """Whether the server says it is ready; a server that cannot be reached is not."""
    try:
        call = calls.readiness()
        return call.result((yield from send(call))).is_ready
    except SalverClientError as error:
        if error.status == 0:
            return False
        raise


def wait_ready(timeout_s: float, clock: Callable[[], float]) -> Steps[None]:
    """Ask until the server is ready. Raises SalverClientError(NOT_READY_IN_TIME) with the server's last reasons."""
    call = calls.readiness()
    end = clock() + timeout_s
    pause_s = FIRST_PAUSE_S
    while True:
        left_s = end - clock()
        try:
            state = call.result((yield from send(call, max(left_s, FIRST_PAUSE_S))))
        except SalverClientError as error:
            if error.status != 0:
                raise
            reason = error.message
        else:
            if state.is_ready:
                return
            reason = "; ".join(state.reasons) or "it gave no reason"
        left_s = end - clock()
        if left_s <= 0:
            raise SalverClientError(
                "NOT_READY_IN_TIME",
                f"The server is not ready after {timeout_s:g} s: {reason}",
                fix="Wait longer, or look at the model's state and its reason.",
            )
        yield Pause(min(pause_s, left_s))
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
