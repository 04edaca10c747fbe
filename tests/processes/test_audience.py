"""Front ends come and go while things change: each hears of everything, once, and none holds up another."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from salver.models.entry import version_info
from salver.processes.audience import ATTACH_TIMEOUT_S, FINISH_MARGIN_S, REPORT_TIMEOUT_S, TELL_TIMEOUT_S, Audience
from salver.processes.channel import ChannelClosed
from salver.replicas.base import ReplicaSpec, WorkerLost
from salver.replicas.memory import READY, MemoryWorker
from salver.store.base import KeyRecord
from salver.telemetry.counters import BatchCount, Report
from salver.types import BatchSettings, ModelStatus, ModelVersion, VersionState, VersionStatus
from told_front_end import ToldFrontEnd
from virtual_time import run, settle, until

ID = ModelVersion("m", 1)
SPEC = ReplicaSpec(
    id=ID, runtime="echo", path="/m", folder="/", python=sys.executable, replicas=2, batching=BatchSettings()
)


def models(*reasons: str) -> tuple[ModelStatus, ...]:
    entry = VersionStatus(
        id=ID,
        state=VersionState.READY,
        runtime="echo",
        source="",
        environment="",
        replicas_wanted=2,
        reason=" ".join(reasons),
        info=version_info(SPEC, READY),
    )
    return (ModelStatus(name="m", versions=(entry,), default_version=1),)


def key(id: str) -> KeyRecord:
    return KeyRecord(id=id, label="", role="user", models=(), digest=b"", created_at=0.0, created_by="")


class Stage:
    """An audience, and what there is to tell it."""

    def __init__(self) -> None:
        self.models = models()
        self.keys: tuple[KeyRecord, ...] = (key("k1"),)
        self.ready: list[MemoryWorker] = []
        self.audience = Audience(
            lambda: self.models, lambda: [(ID, worker) for worker in self.ready], lambda: self.keys
        )

    async def joined(self, **options: Any) -> ToldFrontEnd:
        front_end = ToldFrontEnd(**options)
        await self.audience.add(front_end)
        return front_end

    def ready_worker(self, id: str = "m-1-1") -> MemoryWorker:
        """Its supervisor counts it as ready; front ends do not know it yet."""
        worker = MemoryWorker(SPEC, id)
        self.ready.append(worker)
        return worker

    async def attached(self, id: str = "m-1-1") -> MemoryWorker:
        worker = self.ready_worker(id)
        await self.audience.attach(ID, worker)
        return worker

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()


def play(story: Callable[[Stage], Awaitable[None]]) -> None:
    async def whole() -> None:
        stage = Stage()
        await story(stage)
        await stage.audience.finish(0.0)
        for worker in stage.ready:
            worker.kill()

    run(whole())


def test_who_comes_is_told_the_keys_the_models_and_the_workers() -> None:
    async def story(stage: Stage) -> None:
        await stage.attached("m-1-1")
        await stage.attached("m-1-2")
        front_end = await stage.joined()
        assert front_end.done == ["set_keys", "publish", "attach m-1-1", "attach m-1-2"]
        assert front_end.models == stage.models
        assert front_end.keys == stage.keys
        assert set(front_end.links) == {"m-1-1", "m-1-2"}

    play(story)


def test_everybody_hears_of_changes() -> None:
    async def story(stage: Stage) -> None:
        one, two = await stage.joined(), await stage.joined(turns=5)
        stage.models, stage.keys = models("news"), (key("k2"),)
        await stage.audience.publish()
        await stage.audience.spread_keys()
        await stage.attached()
        for front_end in (one, two):
            assert front_end.models == stage.models
            assert front_end.keys == stage.keys
            assert set(front_end.links) == {"m-1-1"}

    play(story)


def test_who_left_hears_of_nothing() -> None:
    async def story(stage: Stage) -> None:
        front_end = await stage.joined()
        await stage.audience.remove(front_end)
        await stage.audience.remove(front_end)
        await stage.audience.publish()
        assert front_end.done == ["set_keys", "publish"]

    play(story)


@pytest.mark.parametrize("slow", [0, 3])
@pytest.mark.parametrize("turns", range(14))
def test_a_worker_that_is_ready_while_a_front_end_comes_reaches_it_once(turns: int, slow: int) -> None:
    async def story(stage: Stage) -> None:
        there = await stage.joined(turns=slow)
        comes = ToldFrontEnd(turns=2)
        joining = asyncio.ensure_future(stage.audience.add(comes))
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.gather(stage.attached(), stage.audience.publish())
        await joining
        for front_end in (there, comes):
            assert front_end.done.count("attach m-1-1") == 1
            assert set(front_end.links) == {"m-1-1"}

    play(story)


def test_a_worker_that_died_meanwhile_does_not_hinder_who_comes() -> None:
    async def story(stage: Stage) -> None:
        (await stage.attached("m-1-1")).die()
        await stage.attached("m-1-2")
        front_end = await stage.joined()
        assert set(front_end.links) == {"m-1-2"}

    play(story)


def test_a_worker_that_is_not_wanted_any_more_is_forgotten() -> None:
    async def story(stage: Stage) -> None:
        stage.ready.remove(await stage.attached("m-1-1"))
        await stage.attached("m-1-2")
        assert stage.audience._reached == {"m-1-2"}
        assert set((await stage.joined()).links) == {"m-1-2"}

    play(story)


def test_what_was_read_last_is_told_last() -> None:
    """Two changes of keys at the same time: a revoked key must not come back."""

    async def story(stage: Stage) -> None:
        front_end = await stage.joined(turns=4)
        first = asyncio.ensure_future(stage.audience.spread_keys())
        await asyncio.sleep(0)
        stage.keys = ()
        await asyncio.gather(first, stage.audience.spread_keys())
        assert front_end.keys == ()

    play(story)


# Letting go


def test_everybody_lets_go_of_a_worker_when_it_has_what_it_waited_for() -> None:
    async def story(stage: Stage) -> None:
        one, two = await stage.joined(), await stage.joined(turns=3)
        await stage.attached("m-1-1")
        two.busy = {"m-1-1"}
        letting_go = asyncio.ensure_future(stage.audience.let_go(["m-1-1"], 60.0))
        await asyncio.sleep(30)
        assert not letting_go.done()
        assert (set(one.links), set(two.links)) == (set(), {"m-1-1"})
        await stage.audience.publish()
        two.busy = set()
        assert await letting_go
        assert not two.links

    play(story)


def test_a_link_that_is_on_its_way_is_let_go_of_too() -> None:
    async def story(stage: Stage) -> None:
        front_end = await stage.joined(turns=10)
        attaching = asyncio.ensure_future(stage.attached("m-1-1"))
        await asyncio.sleep(0)
        assert await stage.audience.let_go(["m-1-1"], 60.0)
        await attaching
        assert not front_end.links
        assert front_end.done[-1] == "attach m-1-1"

    play(story)


def test_who_does_not_let_go_in_time_is_not_waited_for() -> None:
    async def story(stage: Stage) -> None:
        front_end = await stage.joined()
        await stage.attached("m-1-1")
        front_end.busy = {"m-1-1"}
        began = stage.now
        assert not await stage.audience.let_go(["m-1-1"], 60.0)
        assert stage.now - began == pytest.approx(60.0)
        assert not front_end.abandoned_because

    play(story)


@pytest.mark.parametrize("trouble", ["gone", "stuck", "fault", "leaves"])
def test_a_front_end_in_trouble_has_nothing_or_is_asked_again(trouble: str) -> None:
    async def story(stage: Stage) -> None:
        front_end, sound = await stage.joined(), await stage.joined()
        await stage.attached("m-1-1")
        front_end.busy = {"m-1-1"}
        front_end.is_gone, front_end.is_stuck = trouble == "gone", trouble == "stuck"
        front_end.fault = ZeroDivisionError() if trouble == "fault" else None
        letting_go = asyncio.ensure_future(stage.audience.let_go(["m-1-1"], 60.0))
        await asyncio.sleep(10)
        assert letting_go.done() == (trouble == "gone")
        front_end.is_stuck, front_end.fault, front_end.busy = False, None, set()
        if trouble == "leaves":
            front_end.busy = {"m-1-1"}
            await stage.audience.remove(front_end)
            front_end.close()
        assert await letting_go
        assert not sound.links

    play(story)


# Front ends in trouble


async def publish(stage: Stage) -> None:
    await stage.audience.publish()


async def attach(stage: Stage) -> None:
    await stage.attached()


async def spread_keys(stage: Stage) -> None:
    await stage.audience.spread_keys()


async def drain(stage: Stage) -> None:
    await stage.audience.drain()


CHANGES = (publish, attach, spread_keys, drain)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("trouble", ["gone", "fault"])
def test_a_front_end_that_cannot_be_told_costs_nobody_else_anything(change: Any, trouble: str) -> None:
    async def story(stage: Stage) -> None:
        broken, sound = await stage.joined(), await stage.joined()
        told = len(sound.done)
        if trouble == "gone":
            broken.is_gone = True
        else:
            broken.fault = ZeroDivisionError()
        await change(stage)
        assert len(sound.done) == told + 1
        assert broken.abandoned_because == "it missed a change"
        assert not sound.abandoned_because
        await change(stage) if change is not attach else None

    play(story)


@pytest.mark.parametrize("change", CHANGES)
def test_a_front_end_that_takes_nothing_in_is_given_up_after_a_while(change: Any) -> None:
    async def story(stage: Stage) -> None:
        stuck, sound = await stage.joined(), await stage.joined()
        stuck.is_stuck = True
        began = stage.now
        await change(stage)
        assert stage.now - began == pytest.approx(TELL_TIMEOUT_S)
        assert stuck.abandoned_because
        assert not sound.abandoned_because
        began = stage.now
        await publish(stage)
        assert stage.now == began, "it is not waited for a second time"

    play(story)


@pytest.mark.parametrize(("trouble", "error"), [("is_gone", ChannelClosed), ("is_stuck", TimeoutError)])
def test_who_cannot_be_brought_up_to_date_has_not_come(trouble: str, error: type[Exception]) -> None:
    async def story(stage: Stage) -> None:
        front_end = ToldFrontEnd()
        setattr(front_end, trouble, True)
        with pytest.raises(error):
            await stage.audience.add(front_end)
        await stage.audience.publish()
        assert not front_end.abandoned_because

    play(story)


def test_when_remove_returns_nobody_uses_the_front_end_any_more() -> None:
    async def story(stage: Stage) -> None:
        front_end = await stage.joined(turns=20)
        attaching = asyncio.ensure_future(stage.attached())
        await asyncio.sleep(0)
        await stage.audience.remove(front_end)
        assert front_end.done[-1] == "attach m-1-1"
        await attaching
        front_end.close()

    play(story)


# Workers in trouble


def test_a_worker_that_is_gone_is_no_front_ends_fault() -> None:
    async def story(stage: Stage) -> None:
        one, two = await stage.joined(), await stage.joined()
        worker = stage.ready_worker()
        worker.die()
        with pytest.raises(WorkerLost):
            await stage.audience.attach(ID, worker)
        await stage.audience.publish()
        assert one.done == two.done == ["set_keys", "publish", "publish"]

    play(story)


def test_a_worker_that_takes_no_link_is_lost_and_holds_nobody_up_for_long() -> None:
    class Stuck(MemoryWorker):
        async def attach(self, link_number: int, slab_fd: int, slab_bytes: int) -> socket.socket:
            await asyncio.get_running_loop().create_future()
            raise AssertionError

    async def story(stage: Stage) -> None:
        front_end = await stage.joined()
        began = stage.now
        with pytest.raises(WorkerLost, match="took no data link"):
            await stage.audience.attach(ID, Stuck(SPEC, "m-1-1"))
        assert stage.now - began == pytest.approx(ATTACH_TIMEOUT_S)
        assert not front_end.abandoned_because

    play(story)


def test_links_have_numbers_of_their_own() -> None:
    numbers: list[int] = []

    class Counting(MemoryWorker):
        async def attach(self, link_number: int, slab_fd: int, slab_bytes: int) -> socket.socket:
            numbers.append(link_number)
            return await super().attach(link_number, slab_fd, slab_bytes)

    async def story(stage: Stage) -> None:
        await stage.joined()
        await stage.joined()
        for id in ("m-1-1", "m-1-2"):
            worker = Counting(SPEC, id)
            stage.ready.append(worker)
            await stage.audience.attach(ID, worker)
        assert sorted(numbers) == [1, 2, 3, 4]

    play(story)


# Questions and the end


def test_reports_are_those_of_the_front_ends_that_answer_in_time() -> None:
    async def story(stage: Stage) -> None:
        sound, gone, stuck = [await stage.joined() for _ in range(3)]
        sound.counted = Report(connections=7)
        gone.is_gone = stuck.is_stuck = True
        began = stage.now
        assert await stage.audience.reports() == [sound.counted]
        assert stage.now - began == pytest.approx(REPORT_TIMEOUT_S)

    play(story)


def test_batches_are_asked_for_by_themselves_and_kept_as_reports_are() -> None:
    def counted(number: int, waiting: int = 0) -> BatchCount:
        return BatchCount(model="m", version=1, batches=number, rows=number, waiting_rows=waiting, flying_rows=0)

    async def story(stage: Stage) -> None:
        one, other = [await stage.joined() for _ in range(2)]
        one.counted = Report(batches=(counted(2),), connections=1)
        other.counted = Report(batches=(counted(3, waiting=4),), connections=1)
        assert await stage.audience.batches() == (counted(5, waiting=4),)
        other.is_stuck, one.counted = True, Report(batches=(counted(6),), connections=2)
        assert await stage.audience.batches() == (counted(9, waiting=4),)
        assert [report.connections for report in await stage.audience.reports()] == [2, 0]
        await stage.audience.remove(other)
        assert await stage.audience.batches() == (counted(9),)

    play(story)


def test_all_finish_and_nobody_is_left() -> None:
    async def story(stage: Stage) -> None:
        one, two = await stage.joined(), await stage.joined()
        await stage.audience.finish(3.0)
        await stage.audience.publish()
        assert one.done[-1] == two.done[-1] == "finish 3"

    play(story)


def test_who_does_not_finish_in_time_is_not_waited_for() -> None:
    async def story(stage: Stage) -> None:
        stuck, gone, sound = [await stage.joined() for _ in range(3)]
        stuck.is_stuck = gone.is_gone = True
        began = stage.now
        await stage.audience.finish(3.0)
        assert stage.now - began == pytest.approx(3.0 + FINISH_MARGIN_S)
        assert stuck.abandoned_because == gone.abandoned_because == "it did not finish"
        assert sound.done[-1] == "finish 3"

    play(story)


def test_changes_still_reach_who_is_finishing() -> None:
    """A request in flight may be waiting for the change that it asked for."""

    class Finishing(ToldFrontEnd):
        async def finish(self, timeout_s: float) -> None:
            await until(lambda: "set_keys" in self.done[2:], timeout_s)

    async def story(stage: Stage) -> None:
        await stage.audience.add(Finishing())
        finishing = asyncio.ensure_future(stage.audience.finish(30.0))
        await settle()
        began = stage.now
        await stage.audience.spread_keys()
        await finishing
        assert stage.now - began < 1.0

    play(story)
