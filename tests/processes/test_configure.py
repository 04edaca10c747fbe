"""A list of models is replaced whole: what is new is tried first, what fails changes nothing, what was kept stays."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from management_stage import Stage
from salver.errors import Code, LoadError, RequestError, SalverError
from salver.models.configfile import PER_MODEL_BATCHING, ConfigurationFile, GivenConfiguration, read_file
from salver.models.configfile import discover_with_batching as with_batching
from salver.models.configurator import Proposal
from salver.models.configured import Configured, ConfiguredModel
from salver.models.remotes.base import Seen, SourceGone
from salver.operations import models
from salver.replicas.base import Failure
from salver.replicas.memory import MemoryWorker
from salver.store.memory import MemoryStore
from salver.types import PolicyKind, Scale, VersionPolicy, VersionState
from virtual_time import run, until

ALL = VersionPolicy(kind=PolicyKind.ALL, highest_answers=True)
READY = VersionState.READY


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


def write(stage: Stage, name: str, *versions: int) -> ConfiguredModel:
    """A model's folder below the root, with versions."""
    folder = stage.roots / name
    folder.mkdir(parents=True, exist_ok=True)
    for version in versions:
        place = folder / str(version)
        place.mkdir()
        (place / "model.py").write_text(f"def predict(x: float) -> float:\n    return x + {version}\n")
    return ConfiguredModel(name=name, base_path=str(folder))


def replace(model: ConfiguredModel, **fields: Any) -> ConfiguredModel:
    return msgspec.structs.replace(model, **fields)


async def configure(stage: Stage, *wanted: ConfiguredModel) -> Configured:
    made: Configured = await stage.ask(
        "models.configure", models.ConfigureModels(models=wanted, wait_s=20.0), role="admin"
    )
    return made


async def refused(stage: Stage, *wanted: ConfiguredModel) -> SalverError:
    with pytest.raises(SalverError) as raised:
        await configure(stage, *wanted)
    return raised.value


def default(stage: Stage, name: str) -> int | None:
    found = next((model for model in stage.control.reconciler.models() if model.name == name), None)
    return None if found is None else found.default_version


def test_what_is_named_comes_and_what_is_not_goes(play: Any) -> None:
    async def story(stage: Stage) -> None:
        one, two = write(stage, "one", 1, 2), write(stage, "two", 1)
        made = await configure(stage, one, two)
        assert made == Configured(added=("one", "two"))
        assert (stage.states("one"), stage.states("two")) == ({2: READY}, {1: READY})
        made = await configure(stage, replace(one, policy=ALL))
        assert made == Configured(removed=("two",), kept=("one",))
        await until(lambda: stage.states("one") == {1: READY, 2: READY} and not stage.states("two"))
        assert await configure(stage) == Configured(removed=("one",))
        await until(lambda: not stage.states("one"))
        assert stage.store.models() == ()
        assert [line[:3] for line in stage.audited] == [("models.configure", "server", "OK")] * 3

    play(story)


def test_the_highest_answers_until_somebody_promotes(play: Any) -> None:
    async def story(stage: Stage) -> None:
        model = replace(write(stage, "m", 1, 2), policy=ALL, labels={"stable": 1})
        await configure(stage, model)
        await until(lambda: stage.states() == {1: READY, 2: READY})
        assert default(stage, "m") == 2
        await stage.ask("models.promote", models.PromoteVersion(model="m", version=1))
        assert default(stage, "m") == 1

    play(story)


def test_a_model_that_fails_changes_nothing(play: Any) -> None:
    async def story(stage: Stage) -> None:
        one = write(stage, "one", 1)
        await configure(stage, one)
        before = stage.store.models(), stage.store.get_value("configuration")
        stage.engine._on_start = lambda worker: worker.fail(Failure(code="LOAD_FAILED", message="no weights"))
        error = await refused(stage, write(stage, "bad", 1))
        assert error.code is Code.LOAD_FAILED
        assert error.message.startswith("Some models did not become available: {bad}. bad/1: ")
        assert "no weights" in error.message
        assert (stage.store.models(), stage.store.get_value("configuration")) == before
        assert stage.states("one") == {1: READY}
        await until(lambda: not stage.states("bad"))
        stage.engine._on_start = MemoryWorker.become_ready
        assert (await configure(stage, one, write(stage, "good", 1))).added == ("good",)

    play(story)


def test_what_is_not_sound_is_refused_before_anything_is_looked_at(play: Any) -> None:
    async def story(stage: Stage) -> None:
        one = write(stage, "one", 1)
        assert (await refused(stage, one, one)).message == "Illegal to list model one multiple times in config list"
        elsewhere = await refused(stage, replace(one, base_path="/etc"))
        assert elsewhere.code is Code.PERMISSION_DENIED
        (stage.roots / "link").symlink_to("/etc")
        assert (await refused(stage, replace(one, base_path=str(stage.roots / "link")))).code is Code.PERMISSION_DENIED
        label = await refused(stage, replace(one, labels={"old": 7}))
        assert label.message.startswith("Request to assign label to version 7 of model one, which is not currently")
        assert stage.control.reconciler.models() == ()

    play(story)


def test_a_label_may_lead_to_a_version_that_will_be_loaded(play: Any) -> None:
    async def story(stage: Stage) -> None:
        model = write(stage, "m", 1, 2)
        await configure(stage, replace(model, policy=ALL, labels={"old": 1}))
        assert (await refused(stage, replace(model, labels={"new": 5}, policy=ALL))).code is Code.CONFLICT
        await configure(stage, replace(model, policy=ALL, labels={"new": 2}))
        (status,) = stage.control.reconciler.models()
        assert status.labels == {"new": 2}

    play(story)


def test_a_model_that_moves_is_loaded_from_its_new_place(play: Any) -> None:
    async def story(stage: Stage) -> None:
        model = write(stage, "m", 1)
        await configure(stage, model)
        other = write(stage, "other", 1)
        await configure(stage, replace(model, base_path=other.base_path))
        await until(lambda: any(other.base_path in worker.spec.path for worker in stage.engine.living))
        await until(lambda: len(stage.engine.living) == 1)

    play(story)


def test_what_an_operator_set_of_a_configured_model_stays(play: Any) -> None:
    async def story(stage: Stage) -> None:
        model = replace(write(stage, "m", 1, 2), policy=ALL)
        await configure(stage, model)
        await stage.ask("models.scale", models.SetScale(model="m", replicas=2))
        await stage.ask("models.label", models.SetLabel(model="m", label="mine", version=1))
        await configure(stage, replace(model, labels={"yours": 2}))
        (record,) = stage.store.models()
        assert (record.scale, record.labels) == (Scale(replicas=2), {"mine": 1, "yours": 2})

    play(story)


def test_a_published_model_outlives_a_configuration_of_its_name(play: Any) -> None:
    async def story(stage: Stage) -> None:
        await stage.push(1)
        await configure(stage, write(stage, "m", 7))
        await until(lambda: stage.states() == {7: READY})
        await configure(stage)
        await until(lambda: stage.states() == {1: READY})

    play(story)


def test_what_a_call_configured_is_served_after_a_restart_and_what_a_command_line_gave_is_not(play: Any) -> None:
    async def called(stage: Stage) -> None:
        await configure(stage, write(stage, "one", 1))

    async def restarted(stage: Stage) -> None:
        assert (await stage.configurator.begin(None, allow_unavailable=False)).added == ("one",)
        await until(lambda: stage.states("one") == {1: READY})

    async def given(stage: Stage) -> None:
        made = await stage.configurator.begin((write(stage, "two", 1),), allow_unavailable=False)
        assert (made.added, made.removed) == (("two",), ("one",))
        await until(lambda: stage.states("two") == {1: READY})
        near = await configure(stage, write(stage, "three", 1))
        assert near.added == ("three",), "beside what the command line names"

    async def given_again(stage: Stage) -> None:
        await stage.configurator.begin((write(stage, "four", 1),), allow_unavailable=False)

    async def without(stage: Stage) -> None:
        made = await stage.configurator.begin(None, allow_unavailable=False)
        assert (made.added, made.removed) == ((), ("four",))
        assert stage.store.models() == ()
        assert await stage.configurator.begin(None, allow_unavailable=False) == Configured()

    for story in (called, restarted, given, given_again, without):
        play(story)


def test_a_folder_that_is_not_there_is_waited_for(play: Any) -> None:
    async def story(stage: Stage) -> None:
        model = ConfiguredModel(name="late", base_path=str(stage.roots / "late"))
        made = await configure(stage, model)
        assert "late cannot be read: No such file or directory" in made.notes[0]
        write(stage, "late", 3)
        await stage.watch.look()
        await stage.watch.look()
        await until(lambda: stage.states("late") == {3: READY})

    play(story)


def test_a_version_that_is_no_model_is_known_and_another_stands_in(play: Any) -> None:
    async def story(stage: Stage) -> None:
        model = write(stage, "m", 1)
        (stage.roots / "m" / "2").mkdir()
        (stage.roots / "m" / "2" / "notes.txt").write_text("no model")
        await configure(stage, model)
        await until(lambda: stage.states() == {1: READY, 2: VersionState.FAILED})
        (stage.roots / "m" / "2" / "notes.txt").unlink()
        (stage.roots / "m" / "2" / "model.py").write_text("def predict(x: float) -> float:\n    return x\n")
        await stage.watch.look()
        await stage.watch.look()
        await until(lambda: stage.states() == {2: READY})

    play(story)


# The file


def test_a_file_is_applied_when_it_says_something_else(play: Any, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        one = write(stage, "one", 1)
        file = tmp_path / "models.config"
        given = GivenConfiguration(models=(one,), file=str(file), poll_s=1.0)
        await stage.configurator.begin(given.models, allow_unavailable=False)
        notes: list[str] = []
        looked_at = ConfigurationFile(given, stage.configurator, notes.append)
        line = 'config {{ name: "{0}" base_path: "{1}/{0}" model_platform: "tensorflow" }}'
        file.write_text(f"model_config_list {{ {line.format('one', stage.roots)} }}")
        await looked_at.look()
        assert notes == [], "it says what the start has read"
        write(stage, "two", 1)
        file.write_text(f"model_config_list {{ {line.format('two', stage.roots)} }}")
        await looked_at.look()
        assert notes == [f"{file} is applied: added two; removed one"]
        file.write_text("nonsense")
        await looked_at.look()
        await looked_at.look()
        assert len(notes) == 2, "a mistake is told once"
        assert notes[1].startswith(f"{file} is not applied: {file}: Error parsing text-format")
        file.unlink()
        await looked_at.look()
        assert notes[2].startswith(f"{file} is not applied: {file} cannot be read: No such file or directory.")
        assert stage.states("two") == {1: READY}

    play(story)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(LoadError, match="no text in UTF-8"):
        read_file(str(file))


def test_a_versions_folder_may_bring_its_batching_parameters(play: Any, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        write(stage, "m", 1, 2, 3)
        (stage.roots / "m" / "1" / PER_MODEL_BATCHING).write_text("max_batch_size { value: 4 }")
        (stage.roots / "m" / "2" / PER_MODEL_BATCHING).write_text("max_batch_size { value: 0 }")
        found = with_batching(stage.roots / "m", "m", tmp_path)
        sizes = {model.version: model.manifest.batching.max_batch_rows for model in found.models}
        assert sizes == {1: 4, 3: None}
        assert [failed.id.version for failed in found.failures if failed.id is not None] == [2]

    play(story)


def test_a_proposal_without_waiting_tries_nothing_out(play: Any) -> None:
    async def story(stage: Stage) -> None:
        stage.engine._on_start = None
        model = write(stage, "m", 1)
        await stage.configurator.configure(Proposal(models=(model,), by="test"))
        assert stage.states() in ({1: VersionState.QUEUED}, {1: VersionState.STARTING})
        with pytest.raises(RequestError):
            await stage.configurator.configure(Proposal(models=(model, model), by="test"))
        shutil.rmtree(stage.roots)

    play(story)


class Bucket:
    """One version after the other, each a Python file."""

    name = "m"

    def __init__(self) -> None:
        self.versions: list[int] = []
        self.is_gone = False

    async def look(self) -> tuple[Seen, ...]:
        if self.is_gone:
            raise SourceGone(Code.LOAD_FAILED, "The bucket is away.")
        return tuple(map(self._seen, self.versions))

    def _seen(self, version: int) -> Seen:
        def fetch(folder: Path) -> Path:
            (folder / "model.py").write_text(f"def predict(x: float) -> float:\n    return x + {version}\n")
            return folder

        return Seen(model="m", version=version, fetch=fetch, stamp="", source=f"s3://lake/roots/m/{version}")


def test_a_bucket_below_the_roots_is_fetched_and_served(play: Any) -> None:
    model = ConfiguredModel(name="m", base_path="s3://lake/roots/m", labels={"stable": 2})

    async def story(stage: Stage) -> None:
        bucket = stage.buckets[model.base_path] = Bucket()
        elsewhere = replace(model, base_path="s3://lake/other/m")
        assert (await refused(stage, elsewhere)).code is Code.PERMISSION_DENIED
        bucket.is_gone = True
        assert (await refused(stage, model)).message == "The bucket is away."
        bucket.is_gone, bucket.versions = False, [1, 2]
        assert (await refused(stage, replace(model, labels={"stable": 1}))).code is Code.CONFLICT
        assert await configure(stage, model) == Configured(added=("m",))
        assert stage.states() == {2: READY}
        specific = VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1,), highest_answers=True)
        assert await configure(stage, replace(model, policy=specific, labels={})) == Configured(kept=("m",))
        await stage.watch.look()
        await until(lambda: stage.states() == {1: READY})

    play(story)
