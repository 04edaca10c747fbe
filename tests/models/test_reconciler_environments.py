"""The environment as a step of a version's life: it is built first, and costs nothing that answers."""

from __future__ import annotations

from life_stage import RESOURCES, Stage, model, play, spec
from salver.errors import Code
from salver.replicas.environments.base import BuildFailed, EnvironmentRequest
from salver.types import ModelVersion, VersionFailure
from virtual_time import settle, until

SIX = EnvironmentRequest(requirements=("numpy", "six"), origin="requirements.txt")
BROKEN = BuildFailed("The environment could not be built: the disk is full.", fix="Make room.", lines=("last words",))


async def built(stage: Stage, python: str = "/environments/six/bin/python") -> None:
    stage.environments.finish(SIX, python)
    await settle()


def test_a_version_is_built_then_started_in_its_environment_while_the_old_one_answers() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        await stage.want(model(spec(2, environment=SIX)))
        assert stage.states == {1: "READY", 2: "BUILDING"}
        assert stage.living(2) == []
        assert stage.model.default_version == 1
        await built(stage)
        assert [worker.spec.python for worker in stage.living(2)] == ["/environments/six/bin/python"]
        await stage.come(2)
        assert stage.states == {2: "READY"}
        assert stage.entry(2).environment == f"Python 3.11.7, 0 packages, environment {SIX.digest[:12]}"

    play(story)


def test_how_far_the_build_is_can_be_seen() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1, environment=SIX)))
        stage.environments.tellers[SIX.digest]("installing 2 packages")
        await settle()
        assert stage.entry().reason == "Its environment is being built: installing 2 packages."
        assert stage.entry().environment == "numpy, six (requirements.txt)"
        assert stage.changes[-1].state.value == "BUILDING"
        await built(stage)
        assert stage.entry().reason == ""
        stage_told = len(stage.changes)
        stage.environments.tellers[SIX.digest]("too late")
        await settle()
        assert len(stage.changes) == stage_told

    play(story)


def test_what_cannot_be_built_has_failed_with_the_last_words_and_the_old_one_answers() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        await stage.want(model(spec(2, environment=SIX)))
        stage.environments.fail(SIX, BROKEN)
        await settle()
        assert stage.states == {1: "READY", 2: "FAILED"}
        failed = stage.entry(2)
        assert (failed.reason, failed.fix, failed.log_tail) == (BROKEN.message, "Make room.", ("last words",))
        [(id, failure)] = [told for told in stage.failures if told[1] is not None]
        assert id == ModelVersion("m", 2)
        assert isinstance(failure, VersionFailure)
        assert failure.code == Code.ENVIRONMENT_BROKEN.value

        await stage.want(model(spec(2, environment=SIX), failures={2: failure}))  # it is kept
        await stage.want(model(spec(2, environment=SIX)))  # and tried again when somebody asks
        await built(stage)
        await stage.come(2)
        assert stage.states == {2: "READY"}

    play(story)


def test_a_fault_of_the_server_is_no_build_that_goes_on_for_ever() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1, environment=SIX)))
        stage.environments.building[SIX.digest].set_exception(ValueError("a fault"))
        await settle()
        assert stage.states == {1: "FAILED"}
        assert "its log has the reason" in stage.entry().reason

    play(story)


def test_nobody_waits_for_the_environment_of_what_is_not_wanted_any_more() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1))
        await stage.want(model(spec(2, environment=SIX)))
        await stage.want(model(spec(1)))
        assert stage.states == {1: "READY"}
        assert stage.environments.ended == [SIX.digest]

    play(story)


def test_a_server_that_stops_ends_what_is_being_built() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1, environment=SIX)))
        assert stage.environments.building

    play(story)  # which stops, and finds no worker left


def test_where_memory_is_saved_the_old_one_answers_until_the_environment_is_there() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1), policy=RESOURCES)
        await stage.want(model(spec(2, environment=SIX), policy=RESOURCES))
        assert stage.states == {1: "READY", 2: "BUILDING"}
        (old,) = stage.living(1)
        stage.front_ends[0].busy.add(old.id)
        await built(stage)
        assert stage.engine.living == [old]  # never both
        stage.front_ends[0].busy.clear()
        await until(lambda: bool(stage.living(2)))
        assert stage.living(1) == []
        await stage.come(2)
        assert stage.states == {2: "READY"}
        assert stage.living(1) == []

    play(story)


def test_where_memory_is_saved_a_build_that_fails_takes_nothing_away() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1), policy=RESOURCES)
        await stage.want(model(spec(2, environment=SIX), policy=RESOURCES))
        stage.environments.fail(SIX, BROKEN)
        await settle()
        assert stage.states == {1: "READY", 2: "FAILED"}

    play(story)


def test_another_form_of_a_version_may_need_another_environment() -> None:
    async def story(stage: Stage) -> None:
        await stage.served(spec(1), policy=RESOURCES)
        await stage.want(model(spec(1, environment=SIX), policy=RESOURCES))
        assert [worker.spec.environment for worker in stage.living(1)] == [None]
        await built(stage)
        await stage.come(1)
        assert [worker.spec.environment for worker in stage.living(1)] == [SIX]
        assert stage.states == {1: "READY"}

    play(story)


def test_what_workers_run_in_is_known() -> None:
    async def story(stage: Stage) -> None:
        await stage.want(model(spec(1), spec(2, environment=SIX)))
        assert stage.reconciler.environments() == (SIX,)

    play(story)
