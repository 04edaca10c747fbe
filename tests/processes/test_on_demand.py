"""Models that are loaded when somebody asks for them, and gone when nobody does or others need the room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from management_stage import Stage
from salver.errors import Code, SalverError
from salver.models.residence import LOOK_S
from salver.operations import models
from salver.store.memory import MemoryStore
from salver.telemetry.counters import BatchCount, Report
from salver.types import ModelVersion, VersionState
from virtual_time import run, until

READY, UNLOADED = VersionState.READY, VersionState.UNLOADED
WORKER_BYTES = 1000
"""What a worker of the engine's twin holds."""

Story = Callable[[Stage], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """`play(story, budget_bytes=...)`; a second story has the store and the files of the first."""
    store = MemoryStore()

    def perform(story: Story, budget_bytes: int = 0) -> None:
        async def whole() -> None:
            stage = Stage(tmp_path, store, budget_bytes)
            try:
                await stage.control.front_ends.add(stage.front_end)
                stage.catalogue.want()
                stage.control.reconciler.start()
                await story(stage)
                await stage.control.stop(drain_delay_s=0.0, drain_timeout_s=0.0)
                await stage.catalogue.finished()
            finally:
                stage.audit.close()

        run(whole())

    return perform


async def push(stage: Stage, name: str, **scale: object) -> None:
    """A model that is loaded on demand, asleep."""
    await stage.push(len(name), name, replicas=0)
    await stage.ask("models.scale", models.SetScale(model=name, is_on_demand=True, **scale))
    stage.catalogue.put_to_sleep([ModelVersion(name, 1)])
    await stage.ask("models.load", models.LoadModel(model=name))
    stage.catalogue.put_to_sleep([ModelVersion(name, 1)])
    await until(lambda: stage.states(name) == {1: UNLOADED})


def counted(stage: Stage, name: str, batches: int, waiting: int = 0) -> None:
    count = BatchCount(model=name, version=1, batches=batches, rows=0, waiting_rows=waiting, flying_rows=0)
    others = tuple(each for each in stage.front_end.counted.batches if each.model != name)
    stage.front_end.counted = Report(batches=(*others, count))


def test_it_is_loaded_once_however_many_ask(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await push(stage, "a")
        before = len(stage.engine.workers)
        await asyncio.gather(*(stage.control.wake("a", version) for version in (None, 1, None, 1)))
        assert stage.states("a") == {1: READY}
        assert len(stage.engine.workers) == before + 1
        await stage.control.wake("a", 1)
        assert len(stage.engine.workers) == before + 1

    async def later(stage: Stage) -> None:
        """After a restart it sleeps until somebody asks."""
        assert stage.states("a") == {1: UNLOADED}
        assert stage.engine.workers == []

    play(story)
    play(later)


def test_it_sleeps_when_nobody_asked_for_long_enough(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await push(stage, "a", idle_unload_s=60.0)
        await stage.control.wake("a", None)
        loop = asyncio.get_running_loop()
        for batches in range(1, 4):
            await asyncio.sleep(50.0)
            counted(stage, "a", batches)
        await asyncio.sleep(2 * LOOK_S)
        assert stage.states("a") == {1: READY}
        used_at = loop.time()
        await until(lambda: stage.states("a") == {1: UNLOADED})
        assert 50.0 < loop.time() - used_at < 65.0

    play(story)


def test_a_model_that_is_busy_or_pinned_does_not_sleep(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await push(stage, "a", idle_unload_s=60.0)
        await stage.control.wake("a", None)
        counted(stage, "a", 1, waiting=1)
        await asyncio.sleep(300.0)
        assert stage.states("a") == {1: READY}
        await stage.ask("models.scale", models.SetScale(model="a", is_pinned=True, idle_unload_s=None))
        counted(stage, "a", 1)
        await asyncio.sleep(300.0)
        assert stage.states("a") == {1: READY}

    play(story)


def test_who_was_used_least_recently_makes_room(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        for name in ("a", "bb", "ccc"):
            await push(stage, name)
        await stage.control.wake("a", None)
        await asyncio.sleep(5.0)
        await stage.control.wake("bb", None)
        await asyncio.sleep(5.0)
        counted(stage, "a", 1)
        await stage.control.wake("ccc", None)
        assert (stage.states("a"), stage.states("bb"), stage.states("ccc")) == ({1: READY}, {1: UNLOADED}, {1: READY})

    play(story, budget_bytes=2 * WORKER_BYTES + 20)


def test_who_asks_for_more_at_once_than_there_is_room_for_waits_for_its_turn(play: Callable[..., None]) -> None:
    """What is being loaded for others does not go for it, and counts with what it will hold."""

    async def story(stage: Stage) -> None:
        names = ("a", "bb", "ccc", "dddd", "eeeee")
        for name in names:
            await push(stage, name)
        before = len(stage.engine.workers)
        living: list[int] = []

        async def wake(name: str) -> None:
            await stage.control.wake(name, None)
            living.append(len(stage.engine.living))
            assert stage.states(name) == {1: READY}

        await asyncio.gather(*map(wake, names))
        assert len(stage.engine.workers) == before + len(names), "each is loaded once"
        assert max(living) == 2

    play(story, budget_bytes=2 * WORKER_BYTES + 20)


def test_what_may_not_go_leaves_no_room_and_the_caller_is_told(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.push(1, "stays")
        await push(stage, "a")
        with pytest.raises(SalverError, match="There is no room for a/1") as raised:
            await stage.control.wake("a", None)
        assert raised.value.code is Code.OVERLOADED
        assert raised.value.retry_after_s
        assert stage.states("a") == {1: UNLOADED}

    play(story, budget_bytes=WORKER_BYTES + 20)


def test_a_model_that_somebody_unloaded_is_not_woken(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await push(stage, "a")
        await stage.ask("models.unload", models.UnloadModel(model="a"))
        with pytest.raises(SalverError, match="salver load a") as raised:
            await stage.control.wake("a", None)
        assert raised.value.code is Code.MODEL_NOT_READY
        for name, version, code in (("none", None, Code.MODEL_NOT_FOUND), ("a", 9, Code.VERSION_NOT_FOUND)):
            with pytest.raises(SalverError) as unknown:
                await stage.control.wake(name, version)
            assert unknown.value.code is code

    play(story)


def test_a_version_that_cannot_be_loaded_is_not_waited_for(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await push(stage, "a")
        stage.engine._on_start = lambda worker: worker.fail()
        await stage.control.wake("a", None)
        assert stage.states("a") == {1: VersionState.FAILED}

    play(story)


def test_a_model_stays_loaded_when_it_becomes_one_on_demand(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.push(1)
        await stage.ask("models.scale", models.SetScale(model="m", is_on_demand=True))
        assert stage.states() == {1: READY}
        await stage.push(2)
        await until(lambda: stage.states() == {2: READY})

    play(story)
