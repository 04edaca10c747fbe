"""A group that is stopped leaves no worker, whatever it was about to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest
from supervisor_stage import NO_WEIGHTS, Stage

from salver.replicas.base import ReplicaSpec, Worker
from salver.replicas.memory import MemoryWorker
from virtual_time import run, settle


def test_a_group_that_never_started_can_be_stopped(spec: Callable[..., ReplicaSpec]) -> None:
    async def story() -> None:
        await Stage(spec(), None).group.stop()

    run(story())


def test_stopping_leaves_no_worker(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.group.stop()
        assert stage.engine.living == []
        assert stage.notes.heard[-2:] == [f"m-1-{n} lost: it exited with status 0" for n in (1, 2)]
        await asyncio.sleep(1000)
        assert len(stage.engine.workers) == 2

    play_group(story, replicas=2)


def test_stopping_does_not_wait_for_a_model_that_loads(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        began = stage.now
        await stage.group.stop()
        assert stage.now == began

    play_group(story, on_start=None)


def test_stopping_does_not_wait_for_the_pause_after_a_crash(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.started(8)
        began = stage.now
        await stage.group.stop()
        assert stage.now == began
        assert len(stage.engine.workers) == 8

    play_group(story, on_start=MemoryWorker.die)


@pytest.mark.parametrize("turns", range(6))
def test_a_worker_whose_start_is_under_way_is_ended_too(spec: Callable[..., ReplicaSpec], turns: int) -> None:
    async def story() -> None:
        stage = Stage(spec(replicas=2), None)
        stage.group.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await stage.group.stop()
        assert stage.engine.living == []
        assert stage.notes.heard.count("starting") == len(stage.engine.workers)

    run(story())


def test_stopping_while_front_ends_are_told_of_a_worker_ends_it(play_group: Callable[..., None]) -> None:
    told = asyncio.Event()

    async def be_slow(worker: Worker) -> None:
        await told.wait()
        await worker.attach(1, 0, 0)

    async def story(stage: Stage) -> None:
        stage.notes.when_ready = be_slow
        stage.last.become_ready()
        await settle()
        stopping = asyncio.ensure_future(stage.group.stop())
        await settle()
        assert stage.engine.living == []
        assert not stopping.done()
        told.set()
        await stopping

    play_group(story, on_start=None)


def test_a_worker_that_hangs_is_killed_after_the_grace(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.last.hang()
        began = stage.now
        await stage.group.stop()
        assert stage.now - began <= 10.0

    play_group(story)


def test_a_model_that_fails_while_the_group_is_stopped_is_told_of(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.last.fail(NO_WEIGHTS)
        await stage.group.stop()
        assert stage.notes.heard[-1] == "failed: There are no weights."

    play_group(story, on_start=None)


def test_ends_that_were_asked_for_are_no_warnings(
    play_group: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(stage: Stage) -> None:
        caplog.clear()

    play_group(story, replicas=2)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_loop_that_ends_in_the_middle_takes_the_workers_with_it(spec: Callable[..., ReplicaSpec]) -> None:
    stages: list[Stage] = []

    async def story() -> None:
        stage = Stage(spec(), MemoryWorker.become_ready)
        stages.append(stage)
        stage.group.start()
        await settle()
        tasks = [slot.task for slot in stage.group._slots if slot.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert stage.engine.living == []

    run(story())
