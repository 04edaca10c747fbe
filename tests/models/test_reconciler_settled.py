"""Whoever waits until what was wanted has come to be."""

from __future__ import annotations

import asyncio

from life_stage import ONE, TWO, Stage, model, play, spec
from salver.replicas.memory import MemoryWorker
from virtual_time import run, settle


def test_who_waits_for_a_version_hears_when_it_serves_failed_sleeps_or_is_gone() -> None:
    async def story(stage: Stage) -> None:
        await asyncio.wait_for(stage.reconciler.settled([ONE, TWO]), 1)
        await stage.want(model(spec(1), spec(2)))
        waits = [asyncio.ensure_future(stage.reconciler.settled(ids)) for ids in ([ONE], [TWO], [ONE, TWO])]
        await settle()
        assert [task.done() for task in waits] == [False, False, False]
        await stage.come(1)
        assert [task.done() for task in waits] == [True, False, False]
        await stage.fail(2)
        assert [task.done() for task in waits] == [True, True, True]
        stage.front_ends[0].busy = {"m-1-1"}
        await stage.want(model(spec(1), asleep=(1,)))
        sleeps = asyncio.ensure_future(stage.reconciler.settled([ONE]))
        await settle()
        assert not sleeps.done()
        stage.front_ends[0].busy = set()
        await asyncio.wait_for(sleeps, 1)
        await stage.want()
        await asyncio.wait_for(stage.reconciler.settled([ONE, TWO]), 1)

    play(story)


def test_who_waited_for_a_version_finds_every_front_end_led_to_it() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        stage.front_ends[1].turns = 100
        stage.reconciler.want([model(spec(2))])
        stage.engine._on_start = MemoryWorker.become_ready
        await stage.reconciler.settled([TWO])
        assert [front_end.models[0].default_version for front_end in stage.front_ends] == [2, 2]
        await stage.reconciler.settled([ONE])
        assert stage.living(1) == []

    play(story)


def test_who_waits_is_not_left_waiting_when_the_server_stops() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1)))
        waiting = asyncio.ensure_future(stage.reconciler.settled([ONE]))
        await settle()
        await stage.reconciler.stop()
        await asyncio.wait_for(waiting, 1)
        stage.reconciler.want([model(spec(2))])
        await settle()
        assert stage.engine.living == [], "what is wanted after the end does not count"

    play(story)


def test_a_server_that_stops_does_not_wait_for_a_drain() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1, replicas=2), spec(2))
        for front_end in stage.front_ends:
            front_end.busy = {"m-1-1", "m-1-2", "m-2-1"}
        await stage.want(model(spec(1)))
        began = asyncio.get_running_loop().time()
        await stage.reconciler.stop()
        assert asyncio.get_running_loop().time() - began < 1
        assert stage.engine.living == []

    play(story)


def test_what_is_wanted_before_the_start_can_change_before_the_start() -> None:
    async def story() -> None:
        stage = Stage()
        stage.reconciler.want([model(spec(1), spec(2))])
        stage.reconciler.want([model(spec(2, "/new", replicas=2))])
        (told,) = stage.reconciler.models()
        assert [(entry.id.version, entry.state.value) for entry in told.versions] == [(2, "QUEUED")]
        stage.reconciler.start()
        await settle()
        assert [worker.spec.path for worker in stage.engine.living] == ["/new", "/new"]
        await stage.reconciler.stop()

    run(story())
