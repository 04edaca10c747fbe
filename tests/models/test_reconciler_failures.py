"""Versions that cannot be loaded: they cost the one that answers nothing, and are tried again when somebody asks."""

from __future__ import annotations

import asyncio

from life_stage import KEPT, NO_WEIGHTS, ONE, TWO, Stage, model, play, spec
from salver.replicas.memory import MemoryWorker
from salver.types import VersionState
from virtual_time import run, settle, until


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_in_place() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        await stage.want(model(spec(2)))
        stage.living(2)[0].printed = ("last words",)
        await stage.fail(2)
        assert stage.states == {2: "FAILED", 1: "READY"}
        assert stage.model.default_version == 1
        (id, failure) = stage.failures[-1]
        assert id == TWO
        assert failure is not None
        assert (failure.code, failure.message, failure.fix, failure.exception, failure.log_tail) == (
            "LOAD_FAILED",
            "There are no weights.",
            "Add some.",
            "OSError",
            ("last words",),
        )
        assert failure.at > 0
        await asyncio.sleep(1000)
        assert stage.states == {2: "FAILED", 1: "READY"}

    play(story)


def test_a_version_that_hangs_while_it_loads_leaves_the_old_one_in_place() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        await stage.want(model(spec(2)))
        await asyncio.sleep(1000)
        assert stage.states == {2: "FAILED", 1: "READY"}
        assert "was not loaded within" in stage.entry(2).reason

    play(story)


def test_a_version_whose_workers_die_before_it_ever_served_has_failed_while_another_one_answers() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        stage.engine._on_start = MemoryWorker.die
        await stage.want(model(spec(2)))
        await until(lambda: stage.states == {2: "FAILED", 1: "READY"})
        assert "died 3 times in a row" in stage.entry(2).reason
        assert [id for id, failure in stage.failures if failure is not None] == [TWO]
        await asyncio.sleep(1000)
        assert len(stage.living(2)) == 0
        assert stage.model.default_version == 1

    play(story)


def test_a_version_that_served_comes_back_by_itself_whatever_else_answers() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        await stage.served(spec(1), spec(2))
        stage.engine._on_start = MemoryWorker.die
        stage.living(2)[0].die()
        await until(lambda: stage.states == {2: "CRASHLOOP", 1: "READY"})
        stage.engine._on_start = MemoryWorker.become_ready
        await until(lambda: stage.states == {2: "READY", 1: "READY"})

    play(story)


def test_a_version_that_failed_before_is_shown_so_and_not_tried_until_its_failure_is_taken_away() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1), failures={1: KEPT}))
        entry = stage.entry()
        assert (entry.state, entry.reason, entry.fix) == (VersionState.FAILED, KEPT.message, KEPT.fix)
        assert entry.log_tail == ("old words",)
        assert stage.engine.workers == []
        await stage.served(spec(1))
        assert (stage.states, stage.entry().reason) == ({1: "READY"}, "")
        assert stage.failures == [(ONE, None)]

    play(story)


def test_a_failure_is_tried_again_when_it_is_kept_no_more() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1)))
        await stage.fail(1)
        await stage.want(model(spec(1)))
        assert len(stage.engine.workers) == 1, "nobody has kept the failure, so nobody has taken it away"
        await stage.want(model(spec(1), failures={1: KEPT}))
        assert stage.states == {1: "FAILED"}
        await stage.served(spec(1))
        assert stage.states == {1: "READY"}
        assert [failure is None for _, failure in stage.failures] == [False, True]

    play(story)


def test_a_failure_that_one_replica_proves_wrong_is_told_again_when_that_one_is_lost() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1, replicas=2)))
        one, two = stage.engine.workers
        one.fail(NO_WEIGHTS)
        await settle()
        await stage.want(model(spec(1, replicas=2), failures={1: KEPT}))
        two.become_ready()
        await settle()
        await stage.want(model(spec(1, replicas=2)))
        assert stage.states == {1: "DEGRADED"}
        two.die()
        await settle()
        assert stage.states == {1: "FAILED"}
        assert [failure and failure.message for _, failure in stage.failures] == [
            "There are no weights.",
            None,
            "There are no weights.",
        ]

    play(story)


def test_a_failure_that_is_kept_is_told_to_who_watches_when_the_server_starts() -> None:
    async def story() -> None:
        stage = Stage()
        stage.reconciler.want([model(spec(1), failures={1: KEPT})])
        assert stage.changes == []
        stage.reconciler.start()
        stage.reconciler.want([model(spec(1), spec(2), failures={1: KEPT, 2: KEPT})])
        assert [(status.id, status.state) for status in stage.changes] == [
            (ONE, VersionState.FAILED),
            (TWO, VersionState.FAILED),
        ]
        await stage.reconciler.stop()

    run(story())


def test_who_keeps_failures_may_want_something_else_while_it_is_told() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        stage.reconciler.on_failure = lambda *_: stage.reconciler.want([model(spec(1))])
        await stage.want(model(spec(2)))
        await stage.fail(2)
        assert stage.states == {1: "READY"}

    play(story)
