"""What comes to rest in a watched folder is served, what a remote lists is published; no silence unloads anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver.errors import Code, RequestError
from salver.models.catalogue import Catalogue
from salver.models.discovery import discover
from salver.models.intake import Publication
from salver.models.opening import open_models
from salver.models.outcome import Asked
from salver.models.remotes.base import Seen, SourceGone
from salver.models.remotes.folder import FolderSource
from salver.models.repository import Repository
from salver.models.sources import ModelSource
from salver.models.specs import replica_spec
from salver.models.stock import Stock
from salver.models.wanted import WantedModel
from salver.models.watch import Watch
from salver.replicas.base import ReplicaSpec
from salver.store.memory import MemoryStore
from salver.types import BatchSettings, ModelStatus, ModelVersion
from virtual_time import run

QUIET_S = 5.0
ONE = ModelVersion("adder", 1)


def spec_of(source: ModelSource) -> ReplicaSpec:
    return replica_spec(source, threads=1, batching=BatchSettings())


class Lives:
    """Remembers what is wanted; nothing runs."""

    def __init__(self) -> None:
        self.wanted: dict[str, tuple[int, ...]] = {}
        self.specs: dict[ModelVersion, ReplicaSpec] = {}

    def want(self, models: Any) -> None:
        wanted: list[WantedModel] = list(models)
        self.wanted = {model.name: tuple(spec.id.version for spec in model.specs) for model in wanted}
        self.specs = {spec.id: spec for model in wanted for spec in model.specs}

    def models(self) -> tuple[ModelStatus, ...]:
        return ()

    def model(self, name: str) -> ModelStatus | None:
        return None

    async def settled(self, ids: Any) -> None: ...


class Bucket:
    """A remote that lists what the test says."""

    name = "lake"

    def __init__(self) -> None:
        self.seen: tuple[Seen, ...] = ()
        self.is_gone = False
        self.fetched: list[ModelVersion] = []

    async def look(self) -> tuple[Seen, ...]:
        if self.is_gone:
            raise SourceGone(Code.LOAD_FAILED, "lake does not answer.", fix="Wait.")
        return self.seen

    def put(self, version: int, code: str, stamp: str = "1") -> None:
        id = ModelVersion("remote", version)

        def fetch(folder: Path) -> Path:
            self.fetched.append(id)
            path = folder / ("model.py" if "def " in code else "notes.txt")
            path.write_text(code)
            return path

        new = Seen(model="remote", version=version, fetch=fetch, stamp=stamp, source=f"s3://lake/remote/{version}")
        self.seen = (*(each for each in self.seen if each.id != id), new)


class Place:
    """A server's models, a folder that it watches, and a bucket."""

    def __init__(self, tmp_path: Path) -> None:
        artifacts = tmp_path / "artifacts"
        scratch = self.scratch = tmp_path / "scratch"
        for folder in (artifacts, scratch):
            folder.mkdir()
        self.folder = tmp_path / "models"
        self.write(1)
        self.now = 0.0
        self.notes: list[str] = []
        self.store = MemoryStore()
        self.lives = Lives()
        self.bucket = Bucket()
        name = str(self.folder)
        found = discover([name], artifacts, has_all_versions=True)
        stock = Stock(Repository(tmp_path / "repository"), artifacts)
        origins = {source.id: name for source in found.models}
        opening = open_models(self.store, stock, found.models, spec_of, origins)
        self.catalogue = Catalogue(self.store, stock, self.lives, spec_of, opening.models)
        self.catalogue.want()
        source = FolderSource(name, artifacts, quiet_s=QUIET_S, known=found, clock=lambda: self.now)
        self.watch = Watch(
            self.catalogue, [source], [self.bucket], every_s=1.0, scratch=scratch, on_note=self.notes.append
        )

    def write(self, version: int) -> Path:
        path = self.folder / "adder" / str(version) / "model.py"
        path.parent.mkdir(parents=True)
        path.write_text(f"def predict(x: float) -> float:\n    return x + {version}\n")
        return path

    async def look(self, after_s: float = QUIET_S + 1.0) -> dict[str, tuple[int, ...]]:
        """What is wanted after a look, and another one later."""
        await self.watch.look()
        self.now += after_s
        await self.watch.look()
        return self.lives.wanted


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def play(story: Callable[[], Any]) -> None:
    run(story())


def test_a_version_that_comes_to_rest_takes_over(place: Place) -> None:
    async def story() -> None:
        assert await place.look() == {"adder": (1,)}
        place.write(2)
        assert await place.look(after_s=1.0) == {"adder": (1,)}, "it may be half copied"
        assert await place.look() == {"adder": (2,)}
        assert place.store.versions() == ()

    play(story)


def test_a_version_that_is_removed_goes_and_a_folder_that_is_gone_keeps_all(place: Place, tmp_path: Path) -> None:
    async def story() -> None:
        new = place.write(2)
        assert await place.look() == {"adder": (2,)}
        new.unlink()
        new.parent.rmdir()
        assert await place.look() == {"adder": (1,)}
        place.folder.rename(tmp_path / "elsewhere")
        assert await place.look() == {"adder": (1,)}
        assert len(place.notes) == 1, "it is told once"
        assert "stays as it was" in place.notes[0]

    play(story)


def test_what_a_remote_lists_is_published_once(place: Place) -> None:
    async def story() -> None:
        place.bucket.put(3, "def predict(x: float) -> float:\n    return x\n")
        assert (await place.look())["remote"] == (3,)
        (record,) = place.store.versions()
        assert (record.version, record.source, record.created_by) == (3, "s3://lake/remote/3", "remote:lake")
        assert len(place.bucket.fetched) == 1
        place.bucket.is_gone = True
        assert (await place.look())["remote"] == (3,)
        assert place.notes == ["lake does not answer. Wait."]
        assert list(place.scratch.iterdir()) == []

    play(story)


def test_what_is_no_model_is_told_and_not_fetched_again_before_it_changes(place: Place) -> None:
    async def story() -> None:
        place.bucket.put(1, "nothing = 1\n")
        assert "remote" not in await place.look()
        assert len(place.bucket.fetched) == 1
        assert "s3://lake/remote/1 is not served" in place.notes[0]
        place.bucket.put(1, "def predict(x: float) -> float:\n    return x\n", stamp="2")
        assert (await place.look())["remote"] == (1,)

    play(story)


def test_a_remote_that_cannot_be_taken_in_for_now_is_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        place.bucket.put(3, "def predict(x: float) -> float:\n    return x\n")

        def full(_: object) -> None:
            raise RequestError(Code.OVERLOADED, "The disk is full.", fix="Make room.")

        with monkeypatch.context() as patch:
            patch.setattr(place.store, "change_catalogue", full)
            assert "remote" not in await place.look()
        assert place.notes == ["s3://lake/remote/3 waits: The disk is full. Make room."]
        assert (await place.look())["remote"] == (3,)

    play(story)


def test_one_bad_look_is_not_the_last_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        def broken(**_: object) -> str:
            raise OSError("no room for a folder")

        place.bucket.put(3, "def predict(x: float) -> float:\n    return x\n")
        with monkeypatch.context() as patch:
            patch.setattr("tempfile.mkdtemp", broken)
            assert "remote" not in await place.look()
        assert place.notes == ["lake could not be looked at: OSError; the server's log has more."]
        assert (await place.look())["remote"] == (3,)

    play(story)


def test_a_folder_with_the_number_of_a_version_from_elsewhere_is_told(place: Place, tmp_path: Path) -> None:
    async def story() -> None:
        pushed = tmp_path / "pushed.py"
        pushed.write_text("def predict(x: float) -> float:\n    return x * 9\n")
        await place.catalogue.publish(
            Asked(model="adder", by="key:1"), Publication(artefact=pushed, file_name="pushed.py", version=2)
        )
        place.write(2)
        assert await place.look() == {"adder": (2,)}
        await place.look()
        (note,) = place.notes
        assert "adder has a version 2 already, from elsewhere" in note
        (record,) = place.store.versions()
        assert record.version == 2

    play(story)


def test_files_that_change_in_their_place_are_another_form_once_they_rest(place: Place) -> None:
    async def story() -> None:
        path = place.folder / "adder" / "1" / "model.py"
        await place.look()
        before = place.lives.specs[ONE]
        path.write_text("def predict(x: float) -> float:\n    return x + 100\n")
        await place.look(after_s=1.0)
        assert place.lives.specs[ONE] == before, "it may be half written"
        await place.look()
        after = place.lives.specs[ONE]
        assert (after.path, after.stamp != before.stamp) == (before.path, True)
        path.with_name("SHA256SUMS").write_text(f"{'0' * 64}  model.py\n")
        await place.look()
        assert place.lives.specs[ONE] == after, "what is no good does not end what was there"
        assert any("is not served" in note for note in place.notes)

    play(story)


def test_checksums_that_do_not_agree_keep_a_version_out(place: Place) -> None:
    async def story() -> None:
        path = place.write(2)
        path.with_name("SHA256SUMS").write_text(f"{'0' * 64}  model.py\n")
        assert await place.look() == {"adder": (1,)}
        assert any("is not served" in note for note in place.notes)

    play(story)
