"""Replicas in virtual time: started, watched and replaced, on the engine's twin in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from supervisor_stage import NO_WEIGHTS, Stage

from salver.errors import Code, LoadError
from salver.replicas.base import Worker, WorkerLost
from salver.replicas.memory import READY, MemoryWorker
from virtual_time import settle, until


def test_every_wanted_replica_is_started_and_loaded(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        assert stage.states == ["READY"] * 3
        assert [worker.id for worker in stage.group.ready_workers()] == ["m-1-1", "m-1-2", "m-1-3"]
        assert stage.group.ready_count == 3
        assert stage.group.worker("m-1-2") is stage.engine.workers[1]
        assert stage.group.worker("m-1-9") is None

    play_group(story, replicas=3)


def test_a_replica_that_loads_is_starting(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        (status,) = stage.group.statuses
        assert (status.id, status.state, status.restarts) == ("m-1-1", "STARTING", 0)
        assert stage.group.ready_workers() == []
        stage.last.become_ready()
        await settle()
        (status,) = stage.group.statuses
        assert (status.state, status.rss_bytes, status.reason) == ("READY", READY.rss, "")

    play_group(story, on_start=None)


def test_a_worker_that_had_served_is_replaced_at_once(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        stage.last.die()
        died_at = stage.now
        await settle()
        assert stage.now == died_at
        assert stage.notes.heard[2:] == ["m-1-1 lost: it exited with status 1", "starting", "m-1-2 ready"]
        (status,) = stage.group.statuses
        assert (status.id, status.state, status.restarts) == ("m-1-2", "READY", 1)

    play_group(story)


def test_pauses_between_crashes_grow_up_to_the_longest(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.started(11)
        starts = [at for at, what in zip(stage.notes.times, stage.notes.heard, strict=True) if what == "starting"]
        pauses = [round(after - before, 3) for before, after in itertools.pairwise(starts)]
        assert pauses[:10] == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]

    play_group(story, on_start=MemoryWorker.die)


def test_a_third_crash_in_a_row_is_the_last_where_somebody_else_answers(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.notes.is_tired = True
        await until(lambda: stage.states == ["FAILED"])
        assert (
            stage.notes.heard[-1]
            == "failed: Its worker died 3 times in a row, the last time because it exited with status 1."
        )
        assert len(stage.engine.workers) == 3
        await asyncio.sleep(1000)
        assert len(stage.engine.workers) == 3, "it is not tried again"

    play_group(story, on_start=MemoryWorker.die)


def test_a_third_crash_in_a_row_is_a_crash_loop_until_a_worker_is_ready(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        for number in range(1, 4):
            await stage.started(number)
            stage.last.die("it exited with status 77")
        await settle()
        assert stage.notes.heard[-2:] == [
            "m-1-3 lost: it exited with status 77",
            "crash loop: it exited with status 77",
        ]
        assert stage.states == ["CRASHLOOP"]
        await stage.started(4)
        assert stage.states == ["CRASHLOOP"], "it is only tried again"
        stage.last.become_ready()
        await settle()
        assert stage.states == ["READY"]
        await asyncio.sleep(10)
        stage.last.die()
        await stage.started(5)
        assert stage.states == ["STARTING"], "what served for a while begins anew"

    play_group(story, on_start=None)


def test_what_a_worker_had_printed_is_told_until_the_next_one_says_something(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        assert stage.group.log_tail == ()
        stage.last.printed = ("out of luck",)
        assert stage.group.log_tail == ("out of luck",)
        stage.last.die()
        await stage.started(2)
        assert stage.group.log_tail == ("out of luck",)
        stage.last.printed = ("a new day",)
        assert stage.group.log_tail == ("a new day",)

    play_group(story, on_start=None)


def test_the_log_that_is_told_is_that_of_the_replica_in_trouble(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        sound, broken = stage.engine.workers
        sound.printed, broken.printed = ("all is well",), ("oh no",)
        broken.fail(NO_WEIGHTS)
        await settle()
        assert stage.group.log_tail == ("oh no",)

    play_group(story, replicas=2, on_start=lambda worker: worker.become_ready() if worker.id.endswith("1") else None)


def test_a_model_that_cannot_be_loaded_is_not_tried_again(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(1000)
        assert stage.notes.heard == ["starting", "failed: There are no weights."]
        (status,) = stage.group.statuses
        assert (status.state, status.reason, status.pid) == ("FAILED", "There are no weights.", None)

    play_group(story, on_start=lambda worker: worker.fail(NO_WEIGHTS))


def test_a_model_that_takes_too_long_to_load_has_failed_and_its_worker_is_killed(
    play_group: Callable[..., None],
) -> None:
    async def story(stage: Stage) -> None:
        began = stage.now
        await until(lambda: stage.states == ["FAILED"])
        assert 60 <= stage.now - began < 61
        assert stage.notes.heard[-1] == "failed: The model was not loaded within 60 s."
        assert stage.engine.living == []

    play_group(story, on_start=None)


def test_an_engine_that_can_never_start_the_worker_has_failed(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.engine.refusal = LoadError(Code.ENVIRONMENT_BROKEN, "There is no such interpreter.")
        stage.last.die()
        await until(lambda: stage.states == ["FAILED"])
        assert stage.notes.heard[-1] == "failed: There is no such interpreter."

    play_group(story)


def test_an_engine_without_room_is_asked_again_with_pauses(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.engine.refusal = WorkerLost("it cannot be started: Too many open files")
        stage.last.die()
        await until(lambda: stage.states == ["CRASHLOOP"])
        assert stage.notes.heard[-1] == "crash loop: it cannot be started: Too many open files"
        stage.engine.refusal = None
        await until(lambda: stage.states == ["READY"])

    play_group(story)


def test_a_worker_without_a_sign_of_life_is_killed_and_replaced(
    play_group: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(stage: Stage) -> None:
        stage.last.hang()
        began = stage.now
        await stage.started(2)
        assert 5 <= stage.now - began < 7.1
        assert "m-1-1 lost: it was killed because it gave no sign of life" in stage.notes.heard
        assert stage.states == ["READY"]

    play_group(story)
    assert "worker_killed" in caplog.text


def test_memory_is_noted_at_every_beat_and_told_when_it_changes_much(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(3)
        before = stage.notes.changes
        stage.last.rss = 1050
        await asyncio.sleep(3)
        assert stage.group.statuses[0].rss_bytes == 1050
        assert stage.notes.changes == before
        stage.last.rss = 2000
        await asyncio.sleep(3)
        assert stage.notes.changes == before + 1

    play_group(story)


def test_a_worker_can_be_replaced_on_demand(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(10)
        first, second = stage.engine.workers
        stage.group.replace(first.id, "it went on after its deadline")
        stage.group.replace("m-1-99", "nobody has this number")
        await settle()
        assert not first.is_alive
        assert second.is_alive
        assert "m-1-1 lost: it was killed because it went on after its deadline" in stage.notes.heard
        stage.group.replace(first.id, "a late word about a worker that is gone")
        await settle()
        assert stage.states == ["READY", "READY"]
        assert [worker.id for worker in stage.engine.living] == ["m-1-2", "m-1-3"]

    play_group(story, replicas=2)


def test_a_batch_is_cancelled_at_the_worker_that_has_it(play_group: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.group.cancel("m-1-1", 4, 17)
        await stage.group.cancel("m-1-9", 4, 18)
        assert stage.last.cancelled == [(4, 17)]

    play_group(story)


def test_a_cancellation_that_finds_its_worker_dying_is_no_trouble(
    play_group: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise WorkerLost

    async def story(stage: Stage) -> None:
        monkeypatch.setattr(stage.last, "cancel", refuse)
        await stage.group.cancel("m-1-1", 4, 17)

    play_group(story)


def test_a_worker_that_dies_before_front_ends_can_reach_it_is_replaced(play_group: Callable[..., None]) -> None:
    async def die_first(worker: Worker) -> None:
        if worker.id == "m-1-1":
            worker.kill()
            await worker.attach(1, 0, 0)

    async def story(stage: Stage) -> None:
        stage.notes.when_ready = die_first
        stage.last.become_ready()
        await stage.started(2)
        stage.last.become_ready()
        await settle()
        assert stage.notes.heard == [
            "starting",
            "m-1-1 ready",
            "m-1-1 lost: it was ended by SIGKILL",
            "starting",
            "m-1-2 ready",
        ]

    play_group(story, on_start=None)


def test_a_worker_whose_link_is_gone_is_ended(play_group: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code may have closed the descriptor: the process lives, and nobody can reach it any more."""

    async def refuse() -> int:
        raise WorkerLost

    async def story(stage: Stage) -> None:
        first = stage.last
        monkeypatch.setattr(first, "ping", refuse)
        await stage.started(2)
        assert not first.is_alive
        assert stage.states == ["READY"]

    play_group(story)


def test_a_fault_of_the_listener_is_told_and_leaves_no_worker(
    play_group: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(worker: Worker) -> None:
        raise ZeroDivisionError

    async def story(stage: Stage) -> None:
        stage.notes.when_ready = fail
        stage.last.become_ready()
        await until(lambda: stage.states == ["FAILED"])
        assert stage.engine.living == []
        assert "ZeroDivisionError" not in stage.group.statuses[0].reason

    play_group(story, on_start=None)
    assert "replica_failed" in caplog.text
