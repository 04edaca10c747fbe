"""Versions that come, go, grow and fall asleep while the server runs: front ends follow, and lose nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from salver.models.reconciler import Reconciler
from salver.models.wanted import WantedModel
from salver.processes.audience import Audience
from salver.replicas.base import Failure, ReplicaSettings, ReplicaSpec
from salver.replicas.memory import MemoryEngine, MemoryWorker
from salver.types import (
    STABLE,
    BatchSettings,
    ModelRoute,
    ModelStatus,
    ModelVersion,
    Preserve,
    Scale,
    VersionFailure,
    VersionPolicy,
    VersionState,
    VersionStatus,
)
from told_front_end import ToldFrontEnd
from virtual_time import run, settle

ONE, TWO = ModelVersion("m", 1), ModelVersion("m", 2)
NO_WEIGHTS = Failure(code="LOAD_FAILED", message="There are no weights.", fix="Add some.", exception="OSError")
KEPT = VersionFailure(code="LOAD_FAILED", message="It was broken before.", fix="Mend it.", log_tail=("old words",))
DRAIN_S = 60.0
RESOURCES = VersionPolicy(preserve=Preserve.RESOURCES)
Story = Callable[["Stage"], Awaitable[None]]


def spec(version: int, path: str = "/m", replicas: int = 1, **fields: Any) -> ReplicaSpec:
    plain: dict[str, Any] = {"runtime": "echo", "folder": "/", "python": sys.executable, "batching": BatchSettings()}
    return ReplicaSpec(id=ModelVersion("m", version), path=path, replicas=replicas, **(plain | fields))


def model(*specs: ReplicaSpec, **fields: Any) -> WantedModel:
    return WantedModel(name="m", specs=specs, known=tuple(each.id.version for each in specs), **fields)


class Stage:
    """A reconciler on a twin engine whose workers the test leads, and two front ends that remember."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.changes: list[VersionStatus] = []
        self.failures: list[tuple[ModelVersion, VersionFailure | None]] = []
        self.audience = Audience(lambda: self.reconciler.models(), lambda: self.reconciler.ready_workers(), tuple)
        self.reconciler = Reconciler(
            self.engine,
            ReplicaSettings(version_drain_s=DRAIN_S),
            self.audience,
            self.changes.append,
            lambda spec, failure: failure,
        )
        self.reconciler.on_failure = lambda *told: self.failures.append(told)
        self.front_ends = (ToldFrontEnd(turns=1), ToldFrontEnd(turns=4))

    async def want(self, *models: WantedModel) -> None:
        self.reconciler.want(models)
        await settle()

    async def served(self, *specs: ReplicaSpec, **fields: Any) -> None:
        """Want a model, and have it served."""
        await self.want(model(*specs, **fields))
        await self.come(*(each.id.version for each in specs))

    async def come(self, *versions: int) -> None:
        """The workers of these versions have loaded."""
        for worker in self.engine.living:
            if worker.spec.id.version in versions:
                worker.become_ready()
        await settle()

    async def fail(self, version: int, failure: Failure = NO_WEIGHTS) -> None:
        for worker in self.living(version):
            worker.fail(failure)
        await settle()

    def living(self, version: int, path: str | None = None) -> list[MemoryWorker]:
        return [
            worker
            for worker in self.engine.living
            if worker.spec.id.version == version and path in (None, worker.spec.path)
        ]

    @property
    def model(self) -> ModelStatus:
        """As all front ends know it."""
        one, two = (front_end.models for front_end in self.front_ends)
        assert one == two == self.reconciler.models()
        return one[0]

    @property
    def states(self) -> dict[int, str]:
        return {entry.id.version: entry.state.value for entry in self.model.versions}

    def entry(self, version: int = 1) -> VersionStatus:
        return next(entry for entry in self.model.versions if entry.id.version == version)

    def linked(self) -> set[str]:
        one, two = (set(front_end.links) for front_end in self.front_ends)
        assert one == two
        return one


def play(story: Story) -> None:
    async def whole() -> None:
        stage = Stage()
        for front_end in stage.front_ends:
            await stage.audience.add(front_end)
        stage.reconciler.start()
        await story(stage)
        await stage.audience.finish(0.0)
        await stage.reconciler.stop()
        assert stage.engine.living == []

    run(whole())


# Switching


def test_a_new_version_takes_over_when_it_serves_and_then_the_old_one_ends() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        await stage.want(model(spec(2)))
        assert (stage.states, stage.model.default_version) == ({2: "STARTING", 1: "READY"}, 1)
        await stage.come(2)
        await asyncio.sleep(1)
        assert (stage.states, stage.model.default_version) == ({2: "READY"}, 2)
        assert stage.living(1) == []
        assert stage.linked() == {"m-2-1"}

    play(story)


def test_front_ends_are_led_to_the_new_version_after_they_reach_it_and_before_the_old_one_is_drained() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        front_end = stage.front_ends[0]
        seen: list[tuple[int | None, tuple[str, ...], set[str]]] = []
        publish = front_end.publish

        async def watched(models: Any) -> None:
            await publish(models)
            (told,) = models
            states = tuple(entry.state.value for entry in told.versions)
            seen.append((told.default_version, states, set(front_end.links)))

        front_end.publish = watched  # type: ignore[method-assign]
        await stage.want(model(spec(2)))
        await stage.come(2)
        await asyncio.sleep(1)
        led_to_two = [(states, links) for default, states, links in seen if default == 2]
        assert all("m-2-1" in links for _, links in led_to_two)
        assert led_to_two[0][0] == ("READY", "READY"), "the switch is told before the old version is drained"
        assert ("READY", "DRAINING") in [states for states, _ in led_to_two]

    play(story)


def test_what_front_ends_still_have_is_finished_before_a_worker_stops() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        stage.front_ends[1].busy = {"m-1-1"}
        await stage.want(model(spec(2)))
        await stage.come(2)
        await asyncio.sleep(DRAIN_S / 2)
        assert stage.states == {2: "READY", 1: "DRAINING"}
        assert len(stage.living(1)) == 1
        stage.front_ends[1].busy = set()
        await asyncio.sleep(1)
        assert stage.states == {2: "READY"}
        assert stage.living(1) == []

    play(story)


def test_what_is_not_finished_in_time_is_not_waited_for() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        stage.front_ends[0].busy = {"m-1-1"}
        await stage.want()
        await asyncio.sleep(DRAIN_S + 1)
        assert stage.reconciler.models() == ()
        assert stage.engine.living == []

    play(story)


def test_a_worker_that_is_being_linked_when_its_version_is_dropped_is_let_go_of() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1)))
        stage.front_ends[1].turns = 50
        stage.living(1)[0].become_ready()
        for _ in range(60):
            await asyncio.sleep(0)
        stage.front_ends[0].busy = {"m-1-1"}
        stage.reconciler.want(())
        await asyncio.sleep(1)
        assert len(stage.living(1)) == 1, "one front end has a link already, and may have sent requests"
        stage.front_ends[0].busy = set()
        await asyncio.sleep(1)
        assert stage.engine.living == []

    play(story)


@pytest.mark.parametrize("preserve", list(Preserve))
def test_back_and_forth_ends_where_it_was_wanted(preserve: Preserve) -> None:
    async def story(stage: Stage) -> None:
        policy = VersionPolicy(preserve=preserve)
        stage.engine._on_start = MemoryWorker.become_ready
        for version in (1, 2, 1, 2, 1):
            stage.reconciler.want([model(spec(version), policy=policy)])
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)
        assert (stage.states, stage.model.default_version) == ({1: "READY"}, 1)
        assert len(stage.engine.living) == 1
        names = [worker.id for worker in stage.engine.workers]
        assert len(names) == len(set(names)), "no worker is called as another that may still live"

    play(story)


def test_wanting_the_same_again_changes_nothing() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1), spec(2))
        started = len(stage.engine.workers)
        before, told = stage.model, len(stage.front_ends[0].done)
        for _ in range(3):
            await stage.want(model(spec(1), spec(2)))
        assert (len(stage.engine.workers), stage.model) == (started, before)
        assert len(stage.front_ends[0].done) == told, "nor are front ends told of it"

    play(story)


def test_memory_is_saved_by_stopping_the_old_version_first() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1), policy=RESOURCES)
        stage.front_ends[0].busy = {"m-1-1"}
        await stage.want(model(spec(2), policy=RESOURCES))
        await asyncio.sleep(1)
        assert stage.states == {1: "DRAINING"}
        assert stage.living(2) == []
        stage.front_ends[0].busy = set()
        await asyncio.sleep(1)
        assert (stage.states, stage.living(1), len(stage.living(2))) == ({2: "STARTING"}, [], 1)

    play(story)


def test_labels_route_policy_and_scale_are_told() -> None:
    async def story(stage: Stage) -> None:
        settings: dict[str, Any] = {
            "labels": {STABLE: 1, "canary": 2},
            "route": ModelRoute(weights={1: 9, 2: 1}),
            "policy": VersionPolicy(count=2),
            "scale": Scale(replicas=1),
        }
        await stage.served(spec(1), spec(2), **settings)
        told = {name: getattr(stage.model, name) for name in settings}
        assert told == settings
        assert stage.model.default_version == 1

    play(story)


def test_a_label_follows_when_its_new_version_serves() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1), labels={STABLE: 1})
        await stage.want(model(spec(2), labels={STABLE: 2}))
        assert (stage.model.labels, stage.model.default_version) == ({STABLE: 1}, 1)
        await stage.come(2)
        assert (stage.model.labels, stage.model.default_version) == ({STABLE: 2}, 2)

    play(story)


# Failing


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


# Forms and replicas


def test_more_replicas_are_started_beside_those_that_live() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        await stage.want(model(spec(1, replicas=3)))
        assert (stage.states, stage.entry().replicas_wanted, stage.entry().replicas_ready) == ({1: "DEGRADED"}, 3, 1)
        await stage.come(1)
        assert (stage.states, stage.entry().replicas_ready) == ({1: "READY"}, 3)
        assert stage.linked() == {"m-1-1", "m-1-2", "m-1-3"}
        assert stage.engine.workers[0].is_alive

    play(story)


def test_replicas_that_are_too_many_finish_what_they_have() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1, replicas=3))
        stage.front_ends[0].busy = {"m-1-3"}
        await stage.want(model(spec(1)))
        await asyncio.sleep(1)
        assert (stage.states, stage.entry().replicas_wanted, len(stage.entry().replicas)) == ({1: "READY"}, 1, 1)
        assert set(stage.front_ends[1].links) == {"m-1-1"}
        assert [worker.id for worker in stage.living(1)] == ["m-1-1", "m-1-2", "m-1-3"], "they leave together"
        stage.front_ends[0].busy = set()
        await asyncio.sleep(1)
        assert [worker.id for worker in stage.living(1)] == ["m-1-1"]
        assert stage.linked() == {"m-1-1"}
        assert stage.reconciler.group_of("m-1-3") is None

    play(story)


def test_replicas_that_leave_one_after_the_other_do_not_end_each_other() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1, replicas=3))
        stage.front_ends[0].busy = {"m-1-2", "m-1-3"}
        await stage.want(model(spec(1, replicas=2)))
        await stage.want(model(spec(1)))
        stage.front_ends[0].busy = {"m-1-2"}
        await asyncio.sleep(1)
        assert [worker.id for worker in stage.living(1)] == ["m-1-1", "m-1-2"]
        stage.front_ends[0].busy = set()
        await asyncio.sleep(1)
        assert [worker.id for worker in stage.living(1)] == ["m-1-1"]

    play(story)


def test_a_replica_that_is_not_ready_goes_first() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1, replicas=2)))
        stage.engine.workers[1].become_ready()
        await settle()
        await stage.want(model(spec(1)))
        await asyncio.sleep(1)
        assert [worker.id for worker in stage.living(1)] == ["m-1-2"]
        assert (stage.states, stage.entry().reason) == ({1: "READY"}, "")

    play(story)


def test_a_model_may_be_scaled_while_it_is_drained() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1, replicas=2))
        stage.front_ends[0].busy = {"m-1-1", "m-1-2"}
        await stage.want(model(spec(1)))
        await stage.want()
        await asyncio.sleep(DRAIN_S * 3)
        assert stage.engine.living == []
        assert stage.reconciler.models() == ()

    play(story)


def test_a_new_form_of_a_version_takes_over_when_it_serves() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        await stage.want(model(spec(1, "/new")))
        assert stage.states == {1: "READY"}
        assert (len(stage.living(1, "/m")), len(stage.living(1, "/new"))) == (1, 1)
        await stage.come(1)
        await asyncio.sleep(1)
        assert (stage.living(1, "/m"), len(stage.living(1, "/new"))) == ([], 1)
        assert stage.linked() == {"m-1-2"}
        assert stage.states == {1: "READY"}

    play(story)


def test_a_new_form_that_cannot_be_loaded_leaves_the_old_one_and_says_so() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        await stage.want(model(spec(1, "/new")))
        for worker in stage.living(1, "/new"):
            worker.fail(NO_WEIGHTS)
        await settle()
        entry = stage.entry()
        assert entry.state is VersionState.READY
        assert entry.reason == "Its new form cannot be loaded, the old one still answers. There are no weights."
        await stage.want(model(spec(1)))
        assert (stage.entry().state, stage.entry().reason) == (VersionState.READY, "")
        assert len(stage.living(1)) == 1

    play(story)


# Sleeping and waking


def test_a_version_that_sleeps_is_known_and_has_no_worker() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1, replicas=2), asleep=(1,)))
        assert (stage.states, stage.entry().replicas_wanted, stage.entry().replicas) == ({1: "UNLOADED"}, 0, ())
        assert stage.model.default_version == 1
        assert stage.engine.workers == []
        await stage.served(spec(1))
        assert (stage.states, stage.entry().replicas_wanted) == ({1: "READY"}, 1)
        await stage.want(model(spec(1), asleep=(1,)))
        await asyncio.sleep(1)
        assert (stage.states, stage.engine.living) == ({1: "UNLOADED"}, [])

    play(story)


def test_a_version_that_is_woken_while_it_falls_asleep_begins_a_new_life() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        stage.front_ends[0].busy = {"m-1-1"}
        await stage.want(model(spec(1), asleep=(1,)))
        assert stage.states == {1: "DRAINING"}
        await stage.served(spec(1))
        assert stage.states == {1: "READY"}
        assert len(stage.living(1)) == 2
        stage.front_ends[0].busy = set()
        await asyncio.sleep(1)
        assert [worker.id for worker in stage.living(1)] == ["m-1-2"]

    play(story)


# Waiting until it is so


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
