"""What comes to rest in a watched folder is served, what a remote lists is published; no silence unloads anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver.errors import Code
from salver.models.catalogue import Catalogue
from salver.models.discovery import discover
from salver.models.opening import open_models
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


def spec_of(source: ModelSource) -> ReplicaSpec:
    return replica_spec(source, threads=1, batching=BatchSettings())


class Lives:
    """Remembers what is wanted; nothing runs."""

    def __init__(self) -> None:
        self.wanted: dict[str, tuple[int, ...]] = {}
        self.stamps: dict[ModelVersion, str] = {}

    def want(self, models: Any) -> None:
        wanted: list[WantedModel] = list(models)
        self.stamps = {spec.id: spec.stamp for model in wanted for spec in model.specs}
        self.wanted = {model.name: tuple(spec.id.version for spec in model.specs) for model in wanted}

    def models(self) -> tuple[ModelStatus, ...]:
        return ()

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


def test_checksums_that_do_not_agree_keep_a_version_out(place: Place) -> None:
    async def story() -> None:
        path = place.write(2)
        path.with_name("SHA256SUMS").write_text(f"{'0' * 64}  model.py\n")
        assert await place.look() == {"adder": (1,)}
        assert any("is not served" in note for note in place.notes)

    play(story)


def test_a_version_that_is_changed_in_its_place_is_another_form_once_it_is_at_rest(place: Place) -> None:
    id = ModelVersion("adder", 1)
    run(place.watch.look())
    assert place.lives.stamps == {id: ""}
    path = place.folder / "adder" / "1" / "model.py"
    path.write_text("def predict(x: float) -> float:\n    return x + 100\n")
    run(place.watch.look())
    assert place.lives.stamps == {id: ""}, "it may still be written"
    place.now += QUIET_S + 1
    run(place.watch.look())
    changed = place.lives.stamps[id]
    assert changed
    place.now += QUIET_S + 1
    run(place.watch.look())
    assert place.lives.stamps == {id: changed}, "nothing has changed since"


def test_a_change_with_other_sums_is_told_and_the_old_form_stays(place: Place) -> None:
    id = ModelVersion("adder", 1)
    run(place.watch.look())
    folder = place.folder / "adder" / "1"
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  model.py\n")
    for _ in range(3):
        run(place.watch.look())
        place.now += QUIET_S + 1
    assert place.lives.stamps == {id: ""}
    assert len(place.notes) == 1
    assert "SHA256SUMS has another digest" in place.notes[0]
