"""The owner of what should be served: on a store in memory, a real repository, and a reconciler's twin."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from salver.errors import Code, LoadError, RequestError, SalverError
from salver.models import edits
from salver.models.catalogue import Catalogue
from salver.models.discovery import discover
from salver.models.intake import Publication
from salver.models.opening import Opening, open_models
from salver.models.outcome import Asked
from salver.models.repository import Repository
from salver.models.sources import ModelSource
from salver.models.specs import replica_spec
from salver.models.stock import Stock
from salver.models.wanted import WantedModel
from salver.replicas.base import ReplicaSpec
from salver.store.base import CatalogueChange
from salver.store.memory import MemoryStore
from salver.types import (
    BatchSettings,
    ModelStatus,
    ModelVersion,
    PolicyKind,
    Scale,
    VersionFailure,
    VersionPolicy,
    VersionState,
    VersionStatus,
)
from virtual_time import run, settle, until

FAILURE = VersionFailure(code="LOAD_FAILED", message="no weights", fix="train it", at=5.0)


def spec_of(source: ModelSource) -> ReplicaSpec:
    return replica_spec(source, threads=1, batching=BatchSettings())


class Lives:
    """The reconciler's twin: what is wanted serves at once, but for what is asleep, failed or told to wait."""

    def __init__(self) -> None:
        self.wanted: dict[str, WantedModel] = {}
        self.told = 0
        self.is_waiting = False

    def want(self, models: Sequence[WantedModel]) -> None:
        self.told += 1
        self.wanted = {model.name: model for model in models}

    def models(self) -> tuple[ModelStatus, ...]:
        return tuple(self._status(model) for model in self.wanted.values())

    def model(self, name: str) -> ModelStatus | None:
        return self._status(self.wanted[name]) if name in self.wanted else None

    def _status(self, model: WantedModel) -> ModelStatus:
        versions = tuple(
            VersionStatus(
                id=spec.id,
                state=self._state(model, spec.id.version),
                runtime=spec.runtime,
                source=spec.source,
                environment=spec.python,
                replicas_wanted=spec.replicas,
            )
            for spec in model.specs
        )
        default = next((version.id.version for version in versions), None)
        return ModelStatus(name=model.name, versions=versions, default_version=default, labels=dict(model.labels))

    def _state(self, model: WantedModel, version: int) -> VersionState:
        if version in model.asleep:
            return VersionState.UNLOADED
        return VersionState.FAILED if version in model.failures else VersionState.READY

    async def settled(self, ids: Collection[ModelVersion]) -> None:
        await until(lambda: not self.is_waiting)


class Server:
    """One life of a server, up to the reconciler; its store and its files outlive it."""

    def __init__(self, store: MemoryStore, folder: Path, given: Sequence[str | Path] = ()) -> None:
        artifacts = folder / "artifacts"
        artifacts.mkdir(exist_ok=True)
        self.store = store
        self.repository = Repository(folder / "repository")
        self.lives = Lives()
        stock = Stock(self.repository, artifacts)
        sources = discover([str(path) for path in given], artifacts).models
        self.opening: Opening = open_models(store, stock, sources, spec_of, {source.id: "given" for source in sources})
        self.catalogue = Catalogue(store, stock, self.lives, spec_of, self.opening.models, clock=lambda: 100.0)
        self.catalogue.want()

    def wanted(self, name: str = "m") -> tuple[int, ...]:
        model = self.lives.wanted.get(name)
        return () if model is None else tuple(spec.id.version for spec in model.specs)

    async def push(self, path: Path, **fields: Any) -> Any:
        asked = Asked(model=fields.pop("model", "m"), by="key:1", is_plan=fields.pop("is_plan", False))
        publication = Publication(artefact=path, file_name=fields.pop("file_name", path.name), **fields)
        return await self.catalogue.publish(asked, publication)

    async def change(self, edit: edits.MakeEdit, model: str = "m", **fields: Any) -> Any:
        return await self.catalogue.change(Asked(model=model, by="key:1", **fields), edit)


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """`model(2)`: a file that is a model; each number another content."""

    def make(number: int, name: str = "adder.py") -> Path:
        path = tmp_path / f"made-{number}" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"def predict(x: float) -> float:\n    return x + {number}\n")
        return path

    return make


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Server]:
    """Starts a server on the same store and files as before."""
    store = MemoryStore()
    return lambda *given: Server(store, tmp_path, given)


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await story()

    run(whole())


def content_of(spec: ReplicaSpec) -> str:
    return Path(spec.path).read_text()


def refusal(raised: pytest.ExceptionInfo[SalverError]) -> Code:
    assert raised.value.fix
    return raised.value.code


# Publishing


def test_what_was_pushed_is_wanted_and_is_there_again_after_a_restart(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        outcome = await server.push(model(1))
        assert (outcome.version, outcome.revision, outcome.is_plan) == (1, 1, False)
        assert server.wanted() == (1,)
        (first,) = server.lives.wanted["m"].specs
        again = start()
        assert again.wanted() == (1,)
        (spec,) = again.lives.wanted["m"].specs
        assert (spec.source, content_of(spec)) == ("adder.py", content_of(first))

    play(story)


def test_the_next_version_takes_the_place_of_the_one_before(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        outcome = await server.push(model(2))
        assert outcome.version == 2
        assert server.wanted() == (2,)
        assert [version.version for version in server.catalogue.versions("m").versions] == [2, 1]

    play(story)


def test_the_same_artefact_again_is_the_same_version(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        await server.push(model(2))
        outcome = await server.push(model(1))
        assert (outcome.version, outcome.plan.steps) == (1, ())
        assert len(server.store.versions()) == 2

    play(story)


def test_the_same_artefact_may_be_another_version_too_and_stays_as_long_as_one_needs_it(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        await server.push(model(1), version=5)
        await server.change(edits.delete(1))
        await server.catalogue.finished()
        (left,) = server.store.versions()
        assert (left.version, server.repository.digests()) == (5, (left.digest,))
        await server.change(edits.delete(5))
        await server.catalogue.finished()
        assert server.repository.digests() == ()

    play(story)


def test_a_number_that_is_taken_is_refused_and_leaves_nothing_behind(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        with pytest.raises(RequestError, match="a version never changes") as raised:
            await server.push(model(2), version=1)
        assert refusal(raised) is Code.CONFLICT
        assert len(server.repository.digests()) == 1

    play(story)


def test_what_is_no_model_is_refused_and_leaves_nothing_behind(start: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")

    async def story() -> None:
        server = start()
        with pytest.raises(LoadError) as raised:
            await server.push(tmp_path / "notes.txt")
        assert refusal(raised) is Code.FORMAT_UNKNOWN
        assert server.repository.digests() == ()
        with pytest.raises(RequestError) as unknown:
            server.catalogue.versions("m")
        assert refusal(unknown) is Code.MODEL_NOT_FOUND

    play(story)


def test_a_plan_changes_nothing(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        told = server.lives.told
        outcome = await server.push(model(1), is_plan=True)
        assert outcome.is_plan
        assert outcome.plan.steps
        assert (server.store.models(), server.store.versions(), server.repository.digests()) == ((), (), ())
        assert server.lives.told == told

    play(story)


def test_a_push_may_promote_at_once(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        await server.push(model(2), is_promoted=True)
        (record,) = server.store.models()
        assert (record.labels, record.stable_history, record.revision) == ({"stable": 2}, (1,), 2)

    play(story)


def test_a_push_without_an_artefact_or_under_no_name_is_refused(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        empty = Publication(artefact=None, file_name="m.onnx")
        with pytest.raises(RequestError, match="no artefact"):
            await server.catalogue.publish(Asked(model="m", by="x"), empty)
        with pytest.raises(RequestError, match="no name for a model"):
            await server.push(model(1), model="../m")
        with pytest.raises(RequestError, match="no version"):
            await server.push(model(1), version=-1)
        assert server.store.versions() == ()

    play(story)


def test_a_file_of_this_machine_is_copied(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1), is_copied=True)
        model(1).unlink()
        assert start().wanted() == (1,)

    play(story)


def test_a_folder_of_this_machine_is_copied_with_its_model_toml(start: Any, model: Any) -> None:
    async def story() -> None:
        model(1).with_name("model.toml").write_text('description = "adds"\n')
        server = start()
        await server.push(model(1).parent, is_copied=True)
        assert server.catalogue.manifest_file(ModelVersion("m", 1)).manifest.description == "adds"

    play(story)


def test_several_models_are_no_version(start: Any, model: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as packed:
        for number, name in ((1, "one"), (2, "two")):
            packed.write(model(number), f"{name}/1/model.py")

    async def story() -> None:
        server = start()
        with pytest.raises(LoadError, match="holds 2 models") as raised:
            await server.push(tmp_path / "both.zip")
        assert refusal(raised) is Code.FORMAT_UNKNOWN
        assert server.repository.digests() == ()

    play(story)


# Changes


def test_settings_outlive_the_server(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        await server.push(model(2))
        await server.change(edits.promote(1))
        await server.change(edits.label("canary", 2))
        await server.change(edits.scale(lambda scale: replace(scale, replicas=3)))
        wanted = start().lives.wanted["m"]
        assert wanted.labels == {"stable": 1, "canary": 2}
        assert [(spec.id.version, spec.replicas) for spec in wanted.specs] == [(2, 3), (1, 3)]
        assert wanted.scale == Scale(replicas=3)

    play(story)


def test_an_unloaded_model_is_known_and_sleeps(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        await server.change(edits.unload)
        assert start().lives.wanted["m"].asleep == (1,)
        await server.change(edits.load(None))
        assert server.lives.wanted["m"].asleep == ()

    play(story)


def test_what_changes_nothing_is_no_new_revision(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        outcome = await server.change(edits.load(None))
        assert (outcome.revision, outcome.plan.steps) == (1, ())

    play(story)


def test_a_change_meant_for_an_older_revision_is_a_conflict(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        await server.change(edits.unload, revision=1)
        with pytest.raises(RequestError) as raised:
            await server.change(edits.load(None), revision=1)
        assert refusal(raised) is Code.CONFLICT

    play(story)


def test_changes_of_one_model_come_one_after_the_other(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        made = await asyncio.gather(*(server.push(model(number)) for number in range(1, 6)))
        assert sorted(outcome.version for outcome in made) == [1, 2, 3, 4, 5]
        labels = [server.change(edits.label(f"l{number}", number)) for number in range(1, 6)]
        assert sorted(outcome.revision for outcome in await asyncio.gather(*labels)) == [6, 7, 8, 9, 10]
        (record,) = server.store.models()
        assert record.labels == {f"l{number}": number for number in range(1, 6)}

    play(story)


def test_a_change_waits_for_a_deletion_and_then_finds_nothing(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        gone, late = await asyncio.gather(
            server.change(edits.delete(None)), server.change(edits.promote(1)), return_exceptions=True
        )
        assert (gone.revision, gone.now) == (0, None)
        assert isinstance(late, RequestError)
        assert late.code is Code.MODEL_NOT_FOUND
        assert (server.store.models(), server.store.versions()) == ((), ())
        await server.catalogue.finished()
        assert server.repository.digests() == ()

    play(story)


def test_whoever_stops_waiting_does_not_part_store_and_memory(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        change = asyncio.ensure_future(server.change(edits.label("canary", 1)))
        await asyncio.sleep(0)
        change.cancel()
        await server.catalogue.finished()
        assert server.lives.wanted["m"].labels == server.store.models()[0].labels

    play(story)


def test_a_change_that_the_store_refuses_is_not_made(start: Any, model: Any) -> None:
    """Another server on the same database was faster."""

    async def story() -> None:
        server = start()
        await server.push(model(1))
        (record,) = server.store.models()
        server.store.change_catalogue(CatalogueChange(put=(replace(record, revision=2),)))
        with pytest.raises(SalverError) as raised:
            await server.change(edits.unload)
        assert raised.value.code is Code.CONFLICT
        assert server.lives.wanted["m"].asleep == ()

    play(story)


def test_the_outcome_says_whether_all_has_come_to_rest(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        made = await server.push(model(1))
        server.lives.is_waiting = True
        assert not (await server.catalogue.settle(made, 1.0)).is_settled
        server.lives.is_waiting = False
        settled = await server.catalogue.settle(made, 1.0)
        assert settled.is_settled
        assert settled.now.versions[0].state is VersionState.READY
        planned = await server.change(edits.unload, is_plan=True)
        assert await server.catalogue.settle(planned, 1.0) is planned

    play(story)


def test_content_that_is_a_version_already_is_told(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        again = await server.push(model(1))
        assert again.plan.warnings == ("this content is m/1 already, and no new version is made",)
        await server.push(model(2))
        again = await server.push(model(1))
        assert again.version == 1
        assert again.plan.warnings[0].endswith("; `salver promote m 1` lets it answer")
        assert (await server.push(model(1), is_promoted=True)).plan.warnings == ()

    play(story)


def test_what_is_no_model_is_told_by_the_name_that_was_sent(start: Any, tmp_path: Path) -> None:
    async def story() -> None:
        server = start()
        staged = tmp_path / "x1"
        staged.write_text("nothing")
        with pytest.raises(LoadError) as raised:
            await server.push(staged, file_name="notes.txt")
        assert raised.value.message.startswith("notes.txt ")
        assert str(tmp_path) not in f"{raised.value.message} {raised.value.fix}"

    play(story)


def test_there_is_no_version_above_the_highest_number(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1), version=2**63 - 1)
        with pytest.raises(RequestError, match="no version above") as raised:
            await server.push(model(2))
        assert raised.value.code is Code.CONFLICT

    play(story)


def test_one_bad_first_version_does_not_cost_another_that_comes_at_the_same_time(
    start: Any, model: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        server = start()
        bad = tmp_path / "notes.txt"
        bad.write_text("no model")
        first, second = await asyncio.gather(server.push(bad), server.push(model(1)), return_exceptions=True)
        assert isinstance(first, LoadError)
        assert (second.version, server.wanted()) == (1, (1,))

    play(story)


def test_what_is_published_while_its_model_is_deleted_is_a_new_model(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        _, made = await asyncio.gather(server.change(edits.delete(None)), server.push(model(2)))
        assert (made.version, server.wanted()) == (1, (1,))
        with pytest.raises(RequestError) as raised:
            await asyncio.gather(server.change(edits.delete(None)), server.change(edits.unload))
        assert raised.value.code is Code.MODEL_NOT_FOUND
        await server.catalogue.finished()

    play(story)


# Failures


def test_after_a_restart_an_older_version_answers_for_one_that_failed(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        for number in (1, 2, 3):
            await server.push(model(number))
        server.catalogue.note_failure(ModelVersion("m", 3), FAILURE)
        await server.catalogue.kept()
        assert start().wanted() == (3, 2)
        await server.change(edits.delete(2))
        await server.catalogue.finished()
        assert start().wanted() == (3, 1)
        await server.change(edits.load(None))
        assert start().wanted() == (3,)

    play(story)


def test_a_failed_load_is_remembered_until_it_is_tried_again(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        made = await server.push(model(1))
        server.catalogue.note_failure(ModelVersion("m", 1), FAILURE)
        settled = await server.catalogue.settle(made, 1.0)
        assert settled.now.versions[0].state is VersionState.FAILED
        again = start()
        assert again.lives.wanted["m"].failures == {1: FAILURE}
        assert again.catalogue.versions("m").versions[0].failure == FAILURE
        await again.change(edits.load(1))
        assert again.lives.wanted["m"].failures == {}
        assert start().lives.wanted["m"].failures == {}

    play(story)


def test_failures_of_what_is_not_there_or_was_none_are_no_news(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        told = server.lives.told
        server.catalogue.note_failure(ModelVersion("m", 9), FAILURE)
        server.catalogue.note_failure(ModelVersion("n", 1), FAILURE)
        server.catalogue.note_failure(ModelVersion("m", 1), None)
        await settle()
        assert server.lives.told == told

    play(story)


def test_a_version_that_serves_after_all_has_not_failed(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        server.catalogue.note_failure(ModelVersion("m", 1), FAILURE)
        server.catalogue.note_failure(ModelVersion("m", 1), None)
        await server.catalogue.kept()
        await settle()
        assert server.store.versions()[0].failure is None

    play(story)


def test_a_damaged_artefact_fails_alone_and_is_tried_again_once_it_is_mended(
    start: Any, model: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1))
        await server.push(model(2), model="other")
        digest = next(record.digest for record in server.store.versions() if record.model == "m")
        server.repository.remove(digest)
        again = start()
        assert again.lives.wanted["m"].failures[1].fix
        assert again.lives.wanted["other"].failures == {}
        await again.change(edits.load(1))
        assert again.lives.wanted["m"].failures[1].code == "LOAD_FAILED"
        again.repository.publish(model(1))
        await again.change(edits.load(1))
        assert again.lives.wanted["m"].failures == {}

    play(story)


# The command line


def test_the_command_line_goes_before_the_store(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start()
        await server.push(model(1), model="adder")
        again = start(model(7))
        (spec,) = again.lives.wanted["adder"].specs
        assert Path(spec.path) == model(7)
        assert any("as the command line says" in note for note in again.opening.notes)
        assert start().wanted("adder") == (1,)

    play(story)


def test_settings_of_a_model_of_the_command_line_are_kept(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start(model(1))
        await server.change(edits.scale(lambda scale: replace(scale, replicas=2)), model="adder")
        assert start(model(1)).lives.wanted["adder"].specs[0].replicas == 2
        assert start().wanted("adder") == ()

    play(story)


def test_a_version_of_the_command_line_that_is_not_served_is_told(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start(model(1))
        await server.push(model(2), model="adder")
        assert server.wanted("adder") == (2,)
        again = start(model(1))
        assert any("picks others of the versions 2, 1" in note for note in again.opening.notes)
        await again.change(edits.policy(VersionPolicy(kind=PolicyKind.ALL)), model="adder")
        assert again.wanted("adder") == (2, 1)
        await again.change(edits.unload, model="adder")
        assert any("salver load adder" in note for note in start(model(1)).opening.notes)

    play(story)


def test_a_model_of_the_command_line_can_be_deleted_until_the_next_start(start: Any, model: Any) -> None:
    async def story() -> None:
        server = start(model(1))
        await server.change(edits.delete(None), model="adder")
        assert server.wanted("adder") == ()
        assert model(1).exists()
        assert start(model(1)).wanted("adder") == (1,)

    play(story)


def test_the_model_toml_of_a_version_is_at_hand_for_messages(start: Any, model: Any) -> None:
    async def story() -> None:
        model(1).with_name("model.toml").write_text('description = "adds"\n')
        server = start(model(1).parent)
        (name,) = server.lives.wanted
        assert server.catalogue.manifest_file(ModelVersion(name, 1)).manifest.description == "adds"
        assert server.catalogue.manifest_file(ModelVersion(name, 2)) is None
        assert server.catalogue.manifest_file(ModelVersion("none", 1)) is None

    play(story)
