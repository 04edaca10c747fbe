"""Replicas in virtual time: started, watched, replaced and stopped, on the engine's twin in memory."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from salver.errors import Code, LoadError
from salver.replicas.base import Failure, Ready, ReplicaSettings, ReplicaSpec, Worker, WorkerLost
from salver.replicas.memory import READY, MemoryEngine, MemoryWorker
from salver.replicas.supervisor import ReplicaGroup
from virtual_time import run, settle, until

SETTINGS = ReplicaSettings(
    load_timeout_s=60.0,
    heartbeat_s=1.0,
    heartbeat_timeout_s=5.0,
    stop_grace_s=10.0,
    backoff_min_s=1.0,
    backoff_max_s=60.0,
)
NO_WEIGHTS = Failure(code="LOAD_FAILED", message="There are no weights.", fix="Add some.")
Story = Callable[["Stage"], Awaitable[None]]


class Notes:
    """A listener that writes down what it hears, with the time."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.times: list[float] = []
        self.changes = 0
        self.is_tired = False
        self.when_ready: Callable[[Worker], Coroutine[Any, Any, None]] | None = None

    def note(self, what: str) -> None:
        self.heard.append(what)
        self.times.append(asyncio.get_running_loop().time())

    def worker_starting(self, group: ReplicaGroup) -> None:
        self.note("starting")

    async def replica_ready(self, group: ReplicaGroup, worker: Worker, ready: Ready) -> None:
        self.note(f"{worker.id} ready")
        if self.when_ready is not None:
            await self.when_ready(worker)

    def replica_lost(self, group: ReplicaGroup, replica_id: str, reason: str) -> None:
        self.note(f"{replica_id} lost: {reason}")

    def is_hopeless(self, group: ReplicaGroup) -> bool:
        return self.is_tired

    def crash_looping(self, group: ReplicaGroup, reason: str) -> None:
        self.note(f"crash loop: {reason}")

    def load_failed(self, group: ReplicaGroup, failure: Failure) -> None:
        self.note(f"failed: {failure.message}")

    def changed(self, group: ReplicaGroup) -> None:
        self.changes += 1


class Stage:
    """A group on a twin engine, and whoever listens to it."""

    def __init__(self, spec: ReplicaSpec, on_start: Callable[[MemoryWorker], None] | None) -> None:
        self.engine = MemoryEngine(on_start)
        self.notes = Notes()
        self.group = ReplicaGroup(spec, self.engine, SETTINGS, self.notes)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def states(self) -> list[str]:
        return [status.state for status in self.group.statuses]

    @property
    def last(self) -> MemoryWorker:
        return self.engine.workers[-1]

    async def started(self, count: int) -> None:
        """Until so many workers were started in all."""
        await until(lambda: len(self.engine.workers) >= count)
        await settle()


@pytest.fixture
def play(spec: Callable[..., ReplicaSpec]) -> Callable[..., None]:
    """Runs a story with a group that was started, stops the group, and sees that no worker is left."""

    def tell(
        story: Story, *, replicas: int = 1, on_start: Callable[[MemoryWorker], None] | None = MemoryWorker.become_ready
    ) -> None:
        async def whole() -> None:
            stage = Stage(spec(replicas=replicas), on_start)
            stage.group.start()
            await settle()
            await story(stage)
            await stage.group.stop()
            assert stage.engine.living == []

        run(whole())

    return tell


def test_every_wanted_replica_is_started_and_loaded(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        assert stage.states == ["READY"] * 3
        assert [worker.id for worker in stage.group.ready_workers()] == ["m-1-1", "m-1-2", "m-1-3"]
        assert stage.group.ready_count == 3
        assert stage.group.worker("m-1-2") is stage.engine.workers[1]
        assert stage.group.worker("m-1-9") is None

    play(story, replicas=3)


def test_a_replica_that_loads_is_starting(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        (status,) = stage.group.statuses
        assert (status.id, status.state, status.restarts) == ("m-1-1", "STARTING", 0)
        assert stage.group.ready_workers() == []
        stage.last.become_ready()
        await settle()
        (status,) = stage.group.statuses
        assert (status.state, status.rss_bytes, status.reason) == ("READY", READY.rss, "")

    play(story, on_start=None)


def test_a_worker_that_had_served_is_replaced_at_once(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        stage.last.die()
        died_at = stage.now
        await settle()
        assert stage.now == died_at
        assert stage.notes.heard[2:] == ["m-1-1 lost: it exited with status 1", "starting", "m-1-2 ready"]
        (status,) = stage.group.statuses
        assert (status.id, status.state, status.restarts) == ("m-1-2", "READY", 1)

    play(story)


def test_pauses_between_crashes_grow_up_to_the_longest(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.started(11)
        starts = [at for at, what in zip(stage.notes.times, stage.notes.heard, strict=True) if what == "starting"]
        pauses = [round(after - before, 3) for before, after in itertools.pairwise(starts)]
        assert pauses[:10] == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]

    play(story, on_start=MemoryWorker.die)


def test_a_third_crash_in_a_row_is_the_last_where_somebody_else_answers(play: Callable[..., None]) -> None:
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

    play(story, on_start=MemoryWorker.die)


def test_a_third_crash_in_a_row_is_a_crash_loop_until_a_worker_is_ready(play: Callable[..., None]) -> None:
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

    play(story, on_start=None)


def test_what_a_worker_had_printed_is_told_until_the_next_one_says_something(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        assert stage.group.log_tail == ()
        stage.last.printed = ("out of luck",)
        assert stage.group.log_tail == ("out of luck",)
        stage.last.die()
        await stage.started(2)
        assert stage.group.log_tail == ("out of luck",)
        stage.last.printed = ("a new day",)
        assert stage.group.log_tail == ("a new day",)

    play(story, on_start=None)


def test_the_log_that_is_told_is_that_of_the_replica_in_trouble(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        sound, broken = stage.engine.workers
        sound.printed, broken.printed = ("all is well",), ("oh no",)
        broken.fail(NO_WEIGHTS)
        await settle()
        assert stage.group.log_tail == ("oh no",)

    play(story, replicas=2, on_start=lambda worker: worker.become_ready() if worker.id.endswith("1") else None)


def test_a_model_that_cannot_be_loaded_is_not_tried_again(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(1000)
        assert stage.notes.heard == ["starting", "failed: There are no weights."]
        (status,) = stage.group.statuses
        assert (status.state, status.reason, status.pid) == ("FAILED", "There are no weights.", None)

    play(story, on_start=lambda worker: worker.fail(NO_WEIGHTS))


def test_a_model_that_takes_too_long_to_load_has_failed_and_its_worker_is_killed(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        began = stage.now
        await until(lambda: stage.states == ["FAILED"])
        assert 60 <= stage.now - began < 61
        assert stage.notes.heard[-1] == "failed: The model was not loaded within 60 s."
        assert stage.engine.living == []

    play(story, on_start=None)


def test_an_engine_that_can_never_start_the_worker_has_failed(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.engine.refusal = LoadError(Code.ENVIRONMENT_BROKEN, "There is no such interpreter.")
        stage.last.die()
        await until(lambda: stage.states == ["FAILED"])
        assert stage.notes.heard[-1] == "failed: There is no such interpreter."

    play(story)


def test_an_engine_without_room_is_asked_again_with_pauses(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.engine.refusal = WorkerLost("it cannot be started: Too many open files")
        stage.last.die()
        await until(lambda: stage.states == ["CRASHLOOP"])
        assert stage.notes.heard[-1] == "crash loop: it cannot be started: Too many open files"
        stage.engine.refusal = None
        await until(lambda: stage.states == ["READY"])

    play(story)


def test_a_worker_without_a_sign_of_life_is_killed_and_replaced(
    play: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(stage: Stage) -> None:
        stage.last.hang()
        began = stage.now
        await stage.started(2)
        assert 5 <= stage.now - began < 7.1
        assert "m-1-1 lost: it was killed because it gave no sign of life" in stage.notes.heard
        assert stage.states == ["READY"]

    play(story)
    assert "worker_killed" in caplog.text


def test_memory_is_noted_at_every_beat_and_told_when_it_changes_much(play: Callable[..., None]) -> None:
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

    play(story)


def test_a_worker_can_be_replaced_on_demand(play: Callable[..., None]) -> None:
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

    play(story, replicas=2)


def test_a_batch_is_cancelled_at_the_worker_that_has_it(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.group.cancel("m-1-1", 4, 17)
        await stage.group.cancel("m-1-9", 4, 18)
        assert stage.last.cancelled == [(4, 17)]

    play(story)


def test_a_cancellation_that_finds_its_worker_dying_is_no_trouble(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise WorkerLost

    async def story(stage: Stage) -> None:
        monkeypatch.setattr(stage.last, "cancel", refuse)
        await stage.group.cancel("m-1-1", 4, 17)

    play(story)


def test_a_worker_that_dies_before_front_ends_can_reach_it_is_replaced(play: Callable[..., None]) -> None:
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

    play(story, on_start=None)


def test_a_worker_whose_link_is_gone_is_ended(play: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code may have closed the descriptor: the process lives, and nobody can reach it any more."""

    async def refuse() -> int:
        raise WorkerLost

    async def story(stage: Stage) -> None:
        first = stage.last
        monkeypatch.setattr(first, "ping", refuse)
        await stage.started(2)
        assert not first.is_alive
        assert stage.states == ["READY"]

    play(story)


def test_a_fault_of_the_listener_is_told_and_leaves_no_worker(
    play: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(worker: Worker) -> None:
        raise ZeroDivisionError

    async def story(stage: Stage) -> None:
        stage.notes.when_ready = fail
        stage.last.become_ready()
        await until(lambda: stage.states == ["FAILED"])
        assert stage.engine.living == []
        assert "ZeroDivisionError" not in stage.group.statuses[0].reason

    play(story, on_start=None)
    assert "replica_failed" in caplog.text


# The end


def test_a_group_that_never_started_can_be_stopped(spec: Callable[..., ReplicaSpec]) -> None:
    async def story() -> None:
        await Stage(spec(), None).group.stop()

    run(story())


def test_stopping_leaves_no_worker(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.group.stop()
        assert stage.engine.living == []
        assert stage.notes.heard[-2:] == [f"m-1-{n} lost: it exited with status 0" for n in (1, 2)]
        await asyncio.sleep(1000)
        assert len(stage.engine.workers) == 2

    play(story, replicas=2)


def test_stopping_does_not_wait_for_a_model_that_loads(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        began = stage.now
        await stage.group.stop()
        assert stage.now == began

    play(story, on_start=None)


def test_stopping_does_not_wait_for_the_pause_after_a_crash(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.started(8)
        began = stage.now
        await stage.group.stop()
        assert stage.now == began
        assert len(stage.engine.workers) == 8

    play(story, on_start=MemoryWorker.die)


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


def test_stopping_while_front_ends_are_told_of_a_worker_ends_it(play: Callable[..., None]) -> None:
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

    play(story, on_start=None)


def test_a_worker_that_hangs_is_killed_after_the_grace(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.last.hang()
        began = stage.now
        await stage.group.stop()
        assert stage.now - began <= 10.0

    play(story)


def test_a_model_that_fails_while_the_group_is_stopped_is_told_of(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.last.fail(NO_WEIGHTS)
        await stage.group.stop()
        assert stage.notes.heard[-1] == "failed: There are no weights."

    play(story, on_start=None)


def test_ends_that_were_asked_for_are_no_warnings(play: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        caplog.clear()

    play(story, replicas=2)
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


# More replicas, and fewer


def test_more_replicas_are_started_beside_the_others(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        assert stage.group.scale(3) == ()
        await settle()
        assert [worker.id for worker in stage.group.ready_workers()] == ["m-1-1", "m-1-2", "m-1-3"]
        assert stage.group.spec.replicas == 3

    play(story)


def test_replicas_that_leave_count_no_more_and_live_until_they_are_ended(play: Callable[..., None]) -> None:
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

    play(story, replicas=3)


def test_a_replica_that_leaves_is_not_replaced_and_is_no_news(play: Callable[..., None]) -> None:
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

    play(story, replicas=4, on_start=None)


def test_a_replica_that_waits_for_its_next_start_leaves_at_once(play: Callable[..., None]) -> None:
    async def story(stage: Stage) -> None:
        stage.engine.workers[0].become_ready()
        for worker in (1, 2):
            stage.engine.workers[worker].die()
            await settle()
        assert stage.group.scale(1) == ()
        await stage.group.end(())
        await asyncio.sleep(100)
        assert [worker.id for worker in stage.engine.living] == ["m-1-1"]

    play(story, replicas=2, on_start=None)


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
