"""So many begin to load at one time, in the order in which they came, and nobody is waited for longer than a second."""

from __future__ import annotations

import asyncio

import pytest

from salver.replicas.turns import HOLD_S, Turn, Turns, half_of_the_processors
from virtual_time import run, settle


async def begun(turns: Turns, count: int) -> tuple[list[asyncio.Task[Turn | None]], list[asyncio.Event]]:
    unwanted = [asyncio.Event() for _ in range(count)]
    tasks = [asyncio.ensure_future(turns.take(each)) for each in unwanted]
    await settle()
    return tasks, unwanted


def given(task: asyncio.Task[Turn | None]) -> Turn:
    turn = task.result()
    assert turn is not None
    return turn


def test_so_many_at_one_time_and_the_next_when_one_gives_its_turn_back() -> None:
    async def story() -> None:
        tasks, _ = await begun(Turns(2), 4)
        assert [task.done() for task in tasks] == [True, True, False, False]
        given(tasks[1]).end()
        given(tasks[1]).end()
        await settle()
        assert [task.done() for task in tasks] == [True, True, True, False]
        given(tasks[0]).end()
        assert await tasks[3] is not None

    run(story())


def test_a_turn_ends_by_itself() -> None:
    async def story() -> None:
        tasks, _ = await begun(Turns(1), 2)
        await asyncio.sleep(HOLD_S - 0.01)
        assert not tasks[1].done()
        await asyncio.sleep(0.02)
        assert tasks[1].done()
        given(tasks[0]).end()  # late: it takes nothing from whoever has the turn now

    run(story())


def test_whoever_is_not_wanted_any_more_waits_no_longer_and_takes_no_turn() -> None:
    async def story() -> None:
        turns = Turns(1)
        tasks, unwanted = await begun(turns, 3)
        unwanted[1].set()
        await settle()
        assert (tasks[1].result(), tasks[2].done()) == (None, False)
        unwanted[2].set()
        given(tasks[0]).end()  # both at once
        assert await tasks[2] is None
        assert await turns.take(asyncio.Event()) is not None
        gone = asyncio.Event()
        gone.set()
        assert await turns.take(gone) is None

    run(story())


@pytest.mark.parametrize("is_its_turn", [False, True])
def test_a_wait_that_is_cancelled_takes_no_turn(is_its_turn: bool) -> None:
    async def story() -> None:
        turns = Turns(1)
        tasks, _ = await begun(turns, 2)
        if is_its_turn:
            given(tasks[0]).end()
            await asyncio.sleep(0)
        tasks[1].cancel()
        await settle()
        assert tasks[1].cancelled()
        if not is_its_turn:
            given(tasks[0]).end()
        assert await turns.take(asyncio.Event()) is not None

    run(story())


def test_without_a_bound_all_have_a_turn() -> None:
    async def story() -> None:
        tasks, _ = await begun(Turns(0), 50)
        assert all(task.done() for task in tasks)
        given(tasks[0]).end()

    run(story())


def test_there_is_a_turn_on_the_smallest_machine() -> None:
    assert half_of_the_processors() >= 1
