"""A mirror has what the policy picks, whole, and nothing that is used goes from it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from salver.errors import Code, LoadError
from salver.models.remotes.base import Seen, SourceGone
from salver.models.remotes.mirror import Mirror, Mirrors
from salver.types import PolicyKind, VersionPolicy


class Bucket:
    """Versions by number, each one file; one whose text is `broken` cannot be fetched whole."""

    name = "m"

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.is_gone = False
        self.fetched: list[int] = []

    async def look(self) -> tuple[Seen, ...]:
        if self.is_gone:
            raise SourceGone(Code.LOAD_FAILED, "away")
        return tuple(self._seen(version, text) for version, text in self.texts.items())

    def _seen(self, version: int, text: str) -> Seen:
        def fetch(folder: Path) -> Path:
            self.fetched.append(version)
            (folder / "model").write_text(text)
            if text == "broken":
                raise LoadError(Code.LOAD_FAILED, "other bytes")
            if text == "away":
                raise SourceGone(Code.LOAD_FAILED, "away")
            return folder

        return Seen(model="m", version=version, fetch=fetch, stamp=text, source=f"s3://bucket/{version}")


class Stage:
    def __init__(self, folder: Path, policy: VersionPolicy) -> None:
        self.bucket = Bucket()
        self.used: set[int] = set()
        (folder / "mirrors").mkdir()
        (folder / "scratch").mkdir()
        self.mirrors = Mirrors(folder / "mirrors", folder / "scratch")
        self.mirror: Mirror = self.mirrors.mirror(self.bucket, "s3://bucket", policy, self.used.__contains__)

    def refresh(self) -> dict[str, str]:
        asyncio.run(self.mirror.refresh())
        return self.held()

    def held(self) -> dict[str, str]:
        return {path.name: (path / "model").read_text() for path in self.mirror.folder.iterdir()}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, VersionPolicy(kind=PolicyKind.LATEST, count=1))


def test_what_the_policy_picks_is_fetched_once(stage: Stage) -> None:
    stage.bucket.texts = {1: "one", 2: "two"}
    assert stage.refresh() == {"2": "two"}
    assert stage.refresh() == {"2": "two"}
    assert stage.bucket.fetched == [2]


def test_what_is_used_stays_until_it_is_not(stage: Stage) -> None:
    stage.bucket.texts = {1: "one"}
    stage.refresh()
    stage.used.add(1)
    stage.bucket.texts[2] = "two"
    assert stage.refresh() == {"1": "one", "2": "two"}
    stage.used.clear()
    assert stage.refresh() == {"2": "two"}


def test_what_the_bucket_has_no_more_goes(stage: Stage) -> None:
    stage.bucket.texts = {1: "one"}
    stage.refresh()
    stage.used.add(1)
    stage.bucket.texts = {2: "two"}
    assert stage.refresh() == {"2": "two"}


def test_what_changed_takes_the_place(stage: Stage) -> None:
    stage.bucket.texts = {1: "one"}
    stage.refresh()
    stage.bucket.texts = {1: "other"}
    assert stage.refresh() == {"1": "other"}


def test_what_cannot_be_fetched_whole_is_a_failure_until_it_changes(stage: Stage) -> None:
    stage.bucket.texts = {1: "broken"}
    assert stage.refresh() == {}
    (failure,) = stage.mirror.failures
    assert (str(failure.id), failure.error.message) == ("m/1", "other bytes")
    stage.refresh()
    assert stage.bucket.fetched == [1]
    stage.bucket.texts = {1: "one"}
    assert stage.refresh() == {"1": "one"}
    assert stage.mirror.failures == ()


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_bucket_that_is_away_changes_nothing(stage: Stage, is_gone: bool) -> None:
    """Whether it cannot be listed, or not be read in the middle of a version."""
    stage.bucket.texts = {1: "one"}
    stage.refresh()
    stage.bucket.texts = {2: "away"}
    stage.bucket.is_gone = is_gone
    with pytest.raises(SourceGone):
        stage.refresh()
    assert stage.held() == {"1": "one"}


def test_mirrors_of_what_is_not_served_any_more_go(stage: Stage) -> None:
    other = stage.mirrors.mirror(stage.bucket, "s3://other", VersionPolicy(), stage.used.__contains__)
    stage.mirrors.keep({"m": "s3://bucket"})
    assert stage.mirror.folder.is_dir()
    assert not other.folder.exists()
