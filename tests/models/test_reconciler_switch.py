"""Versions that come, go, grow and fall asleep while the server runs: front ends follow, and lose nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from life_stage import DRAIN_S, NO_WEIGHTS, RESOURCES, Stage, model, play, spec
from salver.replicas.memory import MemoryWorker
from salver.types import STABLE, ModelRoute, Preserve, Scale, VersionPolicy, VersionState
from virtual_time import settle

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
