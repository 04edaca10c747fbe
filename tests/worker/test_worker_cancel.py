"""CANCEL: the batch that runs stops where its Python code yields, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from salver_worker import frames

ENDLESS = {
    "a loop": """
        while True:
            pass
    """,
    "a sleep": """
        import time
        time.sleep(3600)
    """,
    "a blocking read": """
        open("leave").close()
    """,
    "a loop that catches every Exception": """
        while True:
            try:
                raise ValueError
            except Exception:
                pass
    """,
}
MODEL = """
def predict(x):
    if x[0, 0] == 1:
        open("entered", "w").close()
        run_for_ever()
    return x

def run_for_ever():
"""


@pytest.fixture
def one(driver: Any) -> Any:
    """The input at which the model blocks."""
    return driver.tensor("x", [[1.0]], "FP64")


@pytest.fixture
def two(driver: Any) -> Any:
    return driver.tensor("x", [[2.0]], "FP64")


@pytest.mark.parametrize("kind", sorted(ENDLESS))
def test_a_running_batch_is_stopped(
    serve_function: Callable[..., Any], gate: Any, one: Any, two: Any, kind: str
) -> None:
    worker = serve_function(MODEL + ENDLESS[kind])
    link = worker.attach()
    for _ in range(3):
        id = link.send_predict(one)
        gate.wait()
        worker.cancel(link, id)
        answer = link.receive()
        assert (answer.verb, answer.id) == (frames.ERROR, id)
        assert answer.header["code"] == "CANCELLED"
        assert link.predict(two).arrays["output"].tolist() == [[2.0]]


def test_an_async_function_is_stopped_and_the_next_one_runs(
    serve_function: Callable[..., Any], gate: Any, one: Any, two: Any
) -> None:
    worker = serve_function(
        """
        import asyncio
        async def predict(x):
            if x[0, 0] == 1:
                open("entered", "w").close()
                await asyncio.sleep(3600)
            return x
        """
    )
    link = worker.attach()
    id = link.send_predict(one)
    gate.wait()
    worker.cancel(link, id)
    assert link.receive().header["code"] == "CANCELLED"
    assert link.predict(two).arrays["output"].tolist() == [[2.0]]


def test_a_cancel_that_comes_before_its_batch_stops_it(echo: Any, driver: Any) -> None:
    link = echo.attach()
    echo.cancel(link, 1)
    echo.ping()  # CANCEL has been read
    assert link.predict(driver.tensor("x", [[1]], "FP32")).header["code"] == "CANCELLED"
    assert link.predict(driver.tensor("x", [[1]], "FP32")).verb == frames.RESULT


def test_a_cancel_that_comes_too_late_changes_nothing(echo: Any, driver: Any) -> None:
    link = echo.attach()
    for _ in range(20):
        answer = link.predict(driver.tensor("x", [[1]], "FP32"))
        assert answer.verb == frames.RESULT
        echo.cancel(link, answer.id)


def test_a_cancel_for_another_link_or_batch_changes_nothing(
    serve_function: Callable[..., Any], gate: Any, one: Any
) -> None:
    worker = serve_function(
        "def predict(x):\n    open('entered', 'w').close()\n    open('leave').close()\n    return x"
    )
    running, other = worker.attach(1), worker.attach(2)
    id = running.send_predict(one)
    gate.wait()
    worker.cancel(other, id)
    worker.cancel(running, id + 1)
    worker.ping()
    gate.open()
    assert running.receive().verb == frames.RESULT
