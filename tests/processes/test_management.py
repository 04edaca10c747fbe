"""Operations on models in the control half: from a permitted request to a change that is audited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from management_stage import Stage
from salver.errors import Code, SalverError
from salver.operations import models
from salver.operations.base import Home
from salver.processes.management import detail_of
from salver.processes.queries import RESULTS
from salver.replicas.memory import MemoryWorker
from salver.store.memory import MemoryStore
from salver.types import ModelVersion, PolicyKind, VersionFailure, VersionPolicy, VersionState
from virtual_time import run, until


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Callable[[Stage], Awaitable[None]]], None]:
    """Plays a story on a stage; a second one has the store and the files of the first."""
    store = MemoryStore()

    def perform(story: Callable[[Stage], Awaitable[None]]) -> None:
        async def whole() -> None:
            stage = Stage(tmp_path, store)
            try:
                await stage.control.front_ends.add(stage.front_end)
                stage.catalogue.want()
                stage.control.reconciler.start()
                await story(stage)
                await stage.control.stop(drain_delay_s=0.0, drain_timeout_s=0.0)
                await stage.catalogue.finished()
            finally:
                stage.audit.close()

        run(whole())

    return perform


def test_every_operation_on_models_has_a_body_and_a_result(play: Any) -> None:
    async def story(stage: Stage) -> None:
        rows = {row.name for row in models.OPERATIONS if row.home is Home.CONTROL}
        assert rows == set(stage.bodies)
        assert rows <= set(RESULTS)

    play(story)


def test_a_version_goes_through_its_life(play: Any) -> None:
    async def story(stage: Stage) -> None:
        first = await stage.push(1)
        assert (first.version, first.is_settled, first.now.default_version) == (1, True, 1)
        assert stage.states() == {1: VersionState.READY}
        await stage.push(2)
        await until(lambda: stage.states() == {2: VersionState.READY})
        promoted = await stage.ask("models.promote", models.PromoteVersion(model="m", version=1))
        assert promoted.now.default_version == 1
        back = await stage.ask("models.rollback", models.RollBack(model="m"))
        assert (back.version, back.now.default_version) == (2, 2)
        await stage.ask("models.label", models.SetLabel(model="m", label="canary", version=1))
        routed = await stage.ask("models.route", models.SetRoute(model="m", weights={1: 1, 2: 1}))
        assert routed.now.route.weights == {1: 1, 2: 1}
        scaled = await stage.ask("models.scale", models.SetScale(model="m", replicas=2))
        assert [version.replicas_ready for version in scaled.now.versions] == [2, 2]
        await stage.ask("models.route", models.SetRoute(model="m"))
        await stage.ask("models.label", models.SetLabel(model="m", label="canary", version=None))
        wanted = models.SetPolicy(model="m", policy=VersionPolicy(kind=PolicyKind.ALL))
        assert len((await stage.ask("models.policy", wanted)).now.versions) == 2
        unloaded = await stage.ask("models.unload", models.UnloadModel(model="m"))
        assert unloaded.is_settled
        await until(lambda: set(stage.states().values()) == {VersionState.UNLOADED})
        await stage.ask("models.load", models.LoadModel(model="m"))
        assert stage.states() == {1: VersionState.READY, 2: VersionState.READY}
        await stage.ask("models.delete", models.DeleteModel(model="m", version=1))
        found = await stage.ask("models.versions", models.ListVersions(model="m"))
        assert [version.version for version in found.versions] == [2]
        gone = await stage.ask("models.delete", models.DeleteModel(model="m"))
        assert gone.revision == 0
        assert stage.store.models() == ()
        assert all(outcome == "OK" for _, _, outcome, _ in stage.audited)

    play(story)


def test_the_audit_log_says_what_was_changed(play: Any) -> None:
    async def story(stage: Stage) -> None:
        await stage.push(1)
        await stage.ask("models.label", models.SetLabel(model="m", label="canary", version=1))
        with pytest.raises(SalverError):
            await stage.ask("models.promote", models.PromoteVersion(model="m", version=9))
        assert stage.audited == [
            ("models.publish", "model/m", "OK", 'file_name="adder.py" version=1'),
            ("models.label", "model/m", "OK", 'label="canary" version=1'),
            ("models.promote", "model/m", "VERSION_NOT_FOUND", "version=9"),
        ]

    play(story)


def test_a_plan_is_no_change_and_no_news_for_the_audit_log(play: Any) -> None:
    async def story(stage: Stage) -> None:
        await stage.push(1)
        before = stage.audited
        outcome = await stage.ask("models.unload", models.UnloadModel(model="m", is_plan=True))
        assert (outcome.is_plan, stage.states(), stage.audited) == (True, {1: VersionState.READY}, before)

    play(story)


def test_nobody_waits_who_does_not_want_to(play: Any) -> None:
    async def story(stage: Stage) -> None:
        stage.engine._on_start = None  # a worker of which nobody decides what becomes of it
        outcome = await stage.push(1, wait_s=0.0)
        assert (outcome.version, outcome.is_settled) == (1, False)
        assert [record.version for record in stage.store.versions()] == [1]

    play(story)


def test_a_version_that_cannot_be_loaded_is_kept_with_its_reason_and_the_old_one_serves(play: Any) -> None:
    async def story(stage: Stage) -> None:
        await stage.push(1)
        stage.engine._on_start = MemoryWorker.fail
        outcome = await stage.push(2)
        assert outcome.is_settled
        assert stage.states() == {1: VersionState.READY, 2: VersionState.FAILED}
        assert outcome.now.default_version == 1
        (failure,) = (record.failure for record in stage.store.versions() if record.version == 2)
        assert failure is not None

    async def later(stage: Stage) -> None:
        """After a restart it is not tried, and the version before it answers."""
        assert stage.states()[2] is VersionState.FAILED
        started = [worker.spec.id.version for worker in stage.engine.workers]
        assert 2 not in started
        await stage.ask("models.load", models.LoadModel(model="m", version=2))
        assert stage.states()[2] is VersionState.READY

    play(story)
    play(later)


def test_an_upload_from_elsewhere_is_not_looked_at(play: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")

    async def story(stage: Stage) -> None:
        wanted = models.PublishVersion(model="m", upload=str(secret), file_name="m.py")
        with pytest.raises(SalverError) as raised:
            await stage.ask("models.publish", wanted)
        assert raised.value.code is Code.INTERNAL

    play(story)


def test_a_model_of_the_model_store_is_registered_once_with_its_workers(play: Any) -> None:
    async def story(stage: Stage) -> None:
        (stage.model_store / "adder.py").write_text("def predict(x: float) -> float:\n    return x\n")
        wanted = models.PublishVersion(model="m", location="adder.py", is_first=True, replicas=2)
        outcome = await stage.ask("models.publish", wanted)
        assert outcome.now.versions[0].replicas_ready == 2
        with pytest.raises(SalverError, match="already registered"):
            await stage.ask("models.publish", wanted)
        await stage.ask("models.scale", models.SetScale(model="m", replicas=0))
        await until(lambda: stage.states() == {1: VersionState.UNLOADED})
        await stage.ask("models.scale", models.SetScale(model="m", replicas=1))
        assert stage.states() == {1: VersionState.READY}
        assert list(stage.uploads.iterdir()) == []

    play(story)


def test_a_model_registered_without_workers_waits_for_them(play: Any) -> None:
    async def story(stage: Stage) -> None:
        (stage.model_store / "adder.py").write_text("def predict(x: float) -> float:\n    return x\n")
        await stage.ask("models.publish", models.PublishVersion(model="m", location="adder.py", replicas=0))
        assert stage.states() == {1: VersionState.UNLOADED}

    play(story)


@pytest.mark.parametrize(
    "location",
    [
        "none.mar",
        "../secret",
        "/etc/passwd",
        "",
        ".",
        "a//b",
        "adder.py\0",
        "a" * 400,
        "https://host/x.mar",
        "zoo:x.onnx@sha256:" + "0" * 64,
    ],
)
def test_nothing_is_taken_from_anywhere_else(play: Any, location: str) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(SalverError) as raised:
            await stage.ask("models.publish", models.PublishVersion(model="m", location=location))
        assert raised.value.code in (Code.INVALID_INPUT, Code.MODEL_NOT_FOUND)
        assert raised.value.fix
        assert list(stage.uploads.iterdir()) == []

    play(story)


def test_a_key_for_some_models_takes_no_other_from_the_model_store(play: Any) -> None:
    async def story(stage: Stage) -> None:
        for name in ("mine", "other"):
            (stage.model_store / f"{name}.py").write_text("def predict(x: float) -> float:\n    return x\n")
        (stage.model_store / "folder").mkdir()
        said = set()
        for location in ("other.py", "none.py", "folder/other.py", "./other.py"):
            for is_plan in (True, False):
                wanted = models.PublishVersion(model="mine", location=location, is_plan=is_plan)
                with pytest.raises(SalverError) as raised:
                    await stage.ask("models.publish", wanted, fence=("mine",))
                said.add((raised.value.code, raised.value.message.replace(location, "it")))
        assert said == {(Code.MODEL_NOT_FOUND, "Model not found in model store: it")}
        own = models.PublishVersion(model="mine", location="mine.py")
        assert (await stage.ask("models.publish", own, fence=("mine",))).version == 1

    play(story)


def test_a_stranger_is_told_no_more_of_versions_than_their_states(play: Any) -> None:
    async def story(stage: Stage) -> None:
        await stage.push(1)
        failure = VersionFailure(code="LOAD_FAILED", message="no weights", exception="OSError", log_tail=("/srv/x",))
        stage.catalogue.note_failure(ModelVersion("m", 1), failure)
        asked = models.ListVersions(model="m")
        (known,) = (await stage.ask("models.versions", asked)).versions
        assert (known.source, known.created_by, known.failure.log_tail) == ("adder.py", "key:1", ("/srv/x",))
        (told,) = (await stage.ask("models.versions", asked, role="anonymous")).versions
        assert (told.source, told.digest, told.created_by) == ("", "", "")
        assert (told.failure.message, told.failure.exception, told.failure.log_tail) == ("no weights", "", ())

    play(story)


def test_a_plan_says_where_nothing_can_be_taken_from(play: Any) -> None:
    async def story(stage: Stage) -> None:
        wanted = models.PublishVersion(model="m", location="none.mar", is_plan=True)
        with pytest.raises(SalverError, match="not found in model store"):
            await stage.ask("models.publish", wanted)

    play(story)


def test_passwords_in_addresses_are_not_in_the_audit_log(play: Any) -> None:
    async def story(stage: Stage) -> None:
        location = f"https://me:secret@host/a.onnx?sig=secret@sha256:{'0' * 64}"
        with pytest.raises(SalverError) as raised:
            await stage.ask("models.publish", models.PublishVersion(model="m", location=location))
        assert "secret" not in f"{raised.value.message} {raised.value.fix} {stage.audited}"

    play(story)


@pytest.mark.parametrize(
    ("wanted", "detail"),
    [
        (models.SetScale(model="m", replicas=2), "replicas=2"),
        (models.SetScale(model="m", is_pinned=False), "is_pinned=false"),
        (models.SetRoute(model="m", weights={1: 2}), 'weights={"1":2}'),
        (models.SetLabel(model="m", label="a", version=None), 'label="a"'),
        (models.UnloadModel(model="m"), ""),
    ],
)
def test_details_name_what_was_asked_for(wanted: models.Change, detail: str) -> None:
    assert detail_of(wanted, None) == detail
