"""Requests that wait for a version to be loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from salver.errors import Code, RequestError, SalverError
from salver.serving.parking import Parking
from salver.types import ModelVersion
from virtual_time import run, settle

ID = ModelVersion("m", 1)
OTHER = ModelVersion("n", 1)


class Lot:
    """A parking whose versions wake when the test says so."""

    def __init__(self, max_parked: int = 10) -> None:
        self.asked: list[tuple[str, int | None]] = []
        self.may_wake = asyncio.Event()
        self.failure: Exception | None = None
        self.resumed: list[tuple[str, SalverError | None, float]] = []
        self.parking = Parking(self._wake, asyncio.get_running_loop(), max_parked=max_parked)

    async def _wake(self, model: str, version: int | None) -> None:
        self.asked.append((model, version))
        await self.may_wake.wait()
        if self.failure is not None:
            raise self.failure

    def park(self, name: str, id: ModelVersion = ID) -> Callable[[SalverError | None, float], None]:
        def resume(error: SalverError | None, waited_s: float) -> None:
            self.resumed.append((name, error, waited_s))

        self.parking.park(id, resume)
        return resume


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await story()

    run(whole())


def test_all_who_wait_go_on_together_and_hear_how_long_it_took() -> None:
    async def story() -> None:
        lot = Lot()
        lot.park("a")
        await asyncio.sleep(2.0)
        lot.park("b")
        lot.park("other", OTHER)
        await asyncio.sleep(1.0)
        assert (lot.asked, lot.parking.count, lot.resumed) == ([("m", 1), ("n", 1)], 3, [])
        lot.may_wake.set()
        await settle()
        assert [(name, error, round(waited)) for name, error, waited in lot.resumed] == [
            ("a", None, 3),
            ("b", None, 1),
            ("other", None, 1),
        ]
        assert lot.parking.count == 0

    play(story)


def test_who_has_left_is_not_resumed_and_the_next_one_asks_anew() -> None:
    async def story() -> None:
        lot = Lot()
        lot.parking.leave(ID, lot.park("gone"))
        lot.parking.leave(OTHER, lambda error, waited: None)
        lot.may_wake.set()
        await settle()
        assert lot.resumed == []
        lot.park("next")
        await settle()
        assert [name for name, _, _ in lot.resumed] == ["next"]
        assert len(lot.asked) == 2

    play(story)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (RequestError(Code.OVERLOADED, "There is no room."), Code.OVERLOADED),
        (ZeroDivisionError("a fault"), Code.INTERNAL),
    ],
)
def test_why_a_version_does_not_wake_is_told_to_all(failure: Exception, code: Code) -> None:
    async def story() -> None:
        lot = Lot()
        lot.failure = failure
        lot.may_wake.set()
        lot.park("a")
        lot.park("b")
        await settle()
        assert [(name, error.code) for name, error, _ in lot.resumed if error is not None] == [("a", code), ("b", code)]

    play(story)


def test_too_many_are_refused() -> None:
    async def story() -> None:
        lot = Lot(max_parked=2)
        lot.park("a")
        lot.park("b", OTHER)
        with pytest.raises(RequestError) as raised:
            lot.park("c")
        assert raised.value.code is Code.OVERLOADED
        assert raised.value.retry_after_s
        lot.may_wake.set()
        await settle()

    play(story)
