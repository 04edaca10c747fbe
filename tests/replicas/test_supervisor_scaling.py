"""More replicas, and fewer: they come beside the others, and those that leave are no loss."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from supervisor_stage import NO_WEIGHTS, SETTINGS, Notes, Stage

from salver.replicas.base import ReplicaSpec
from salver.replicas.memory import MemoryEngine, MemoryWorker
from salver.replicas.supervisor import ReplicaGroup
from virtual_time import run, settle


def test_more_replicas_are_started_beside_the_others(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        assert stage.group.scale(3) == ()
        await settle()
        assert [worker.id for worker in stage.group.ready_workers()] == ["m-1-1", "m-1-2", "m-1-3"]
        assert stage.group.spec.replicas == 3

    play_group(story)


def test_replicas_that_leave_count_no_more_and_live_until_they_are_ended(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        leaving = stage.group.scale(1)
        assert leaving == ("m-1-2", "m-1-3")
        assert len(stage.group.statuses) == stage.group.ready_count == 1
        assert stage.group.worker("m-1-3") is stage.engine.workers[2]
        assert stage.group.worker_ids == ("m-1-1", "m-1-2", "m-1-3")
        assert len(stage.engine.living) == 3
        heard = len(stage.notes.heard)
        await stage.group.end(leaving[1:])
        assert [worker.id for worker in stage.engine.living] == ["m-1-1", "m-1-2"]
        await stage.group.end(leaving)
        assert [worker.id for worker in stage.engine.living] == ["m-1-1"]
        assert stage.notes.heard[heard:] == [], "that is no loss"
        await asyncio.sleep(100)
        assert len(stage.engine.workers) == 3

    play_group(story, replicas=3)


def test_a_replica_that_leaves_is_not_replaced_and_is_no_news(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        loads, fails, dies = stage.engine.workers[1:]
        stage.engine.workers[0].become_ready()
        await settle()
        leaving = stage.group.scale(1)
        assert len(leaving) == 3
        heard = len(stage.notes.heard)
        loads.become_ready()
        fails.fail(NO_WEIGHTS)
        dies.die()
        await asyncio.sleep(100)
        assert stage.notes.heard[heard:] == []
        assert len(stage.engine.workers) == 4
        stage.group.replace(loads.id, "it was told to")
        await stage.group.end(leaving)
        assert stage.group.worker_ids == ("m-1-1",)

    play_group(story, replicas=4, on_start=None)


def test_a_replica_that_waits_for_its_next_start_leaves_at_once(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.engine.workers[0].become_ready()
        for worker in (1, 2):
            stage.engine.workers[worker].die()
            await settle()
        assert stage.group.scale(1) == ()
        await stage.group.end(())
        await asyncio.sleep(100)
        assert [worker.id for worker in stage.engine.living] == ["m-1-1"]

    play_group(story, replicas=2, on_start=None)


def test_a_group_that_was_not_started_can_be_scaled(spec: Callable[..., ReplicaSpec]) -> None:
    async def story() -> None:
        stage = Stage(spec(replicas=1), MemoryWorker.become_ready)
        stage.group.scale(3)
        stage.group.scale(2)
        stage.group.start()
        await settle()
        assert stage.group.ready_count == 2
        await stage.group.stop()

    run(story())


def test_groups_of_one_version_do_not_name_two_workers_alike(spec: Callable[..., ReplicaSpec]) -> None:
    async def story() -> None:
        engine, numbers = MemoryEngine(MemoryWorker.become_ready), itertools.count(1)
        groups = [ReplicaGroup(spec(), engine, SETTINGS, Notes(), numbers) for _ in range(2)]
        for group in groups:
            group.start()
        await settle()
        assert [worker.id for worker in engine.workers] == ["m-1-1", "m-1-2"]
        for group in groups:
            await group.stop()

    run(story())
