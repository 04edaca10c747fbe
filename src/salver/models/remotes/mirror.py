"""A folder that is kept as one model's versions in a bucket are: each fetched whole before it can be seen there."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from salver.errors import LoadError
from salver.models.policy import policy_versions
from salver.models.remotes.base import Seen, Source, SourceGone
from salver.models.remotes.folder import FolderSource
from salver.models.remotes.quiet import COMPLETE
from salver.models.sources import Discovery, FailedSource
from salver.models.versions import numbered
from salver.types import VersionPolicy

IsUsed = Callable[[int], bool]


class Mirror:
    """Owned by one loop. Versions that the policy picks are fetched; the others go once nobody uses them."""

    def __init__(self, bucket: Source, folder: Path, scratch: Path, policy: VersionPolicy, is_used: IsUsed) -> None:
        """`scratch` is on the disk of `folder`: what is complete moves from one to the other."""
        self.folder = folder
        self.failures: tuple[FailedSource, ...] = ()
        """Of versions that could not be fetched as the bucket lists them."""
        self._bucket = bucket
        self._scratch = scratch
        self._policy = policy
        self._is_used = is_used
        self._refused: dict[int, tuple[str, FailedSource]] = {}
        """With the stamps of what was no good: that is not fetched again before it changes."""

    async def listed(self) -> dict[int, Seen]:
        """All versions at rest in the bucket. Raises SourceGone."""
        return {seen.version: seen for seen in await self._bucket.look()}

    async def refresh(self) -> None:
        """Raises SourceGone, with what was fetched before it in place."""
        seen = await self.listed()
        wanted = {version: seen[version] for version in policy_versions(seen, self._policy)}
        try:
            await asyncio.to_thread(self._bring, wanted)
        finally:
            self.failures = tuple(failure for _, failure in self._refused.values())
        gone = [version for version in self._here() if version not in seen]
        unwanted = [version for version in self._here() if version not in wanted and not self._is_used(version)]
        await asyncio.to_thread(self._remove, {*gone, *unwanted})

    def _here(self) -> list[int]:
        return list(numbered(path.name for path in self.folder.iterdir()))

    def _bring(self, wanted: Mapping[int, Seen]) -> None:
        self._refused = {version: kept for version, kept in self._refused.items() if version in wanted}
        for version, seen in wanted.items():
            place = self.folder / str(version)
            refused = self._refused.get(version)
            if _stamp(place) == seen.stamp or (refused is not None and refused[0] == seen.stamp):
                continue
            try:
                self._take(seen, place)
                self._refused.pop(version, None)
            except SourceGone:
                raise
            except LoadError as error:
                failure = FailedSource(source=str(place), error=error, id=seen.id)
                self._refused[version] = (seen.stamp, failure)

    def _take(self, seen: Seen, place: Path) -> None:
        """Raises LoadError; what was in the place is there until the whole of the new is."""
        with tempfile.TemporaryDirectory(dir=self._scratch) as scratch:
            made = Path(scratch, "made")
            made.mkdir()
            seen.fetch(made)
            (made / COMPLETE).write_text(seen.stamp)
            if place.exists():
                place.rename(Path(scratch, "old"))
            made.rename(place)

    def _remove(self, versions: set[int]) -> None:
        for version in versions:
            with tempfile.TemporaryDirectory(dir=self._scratch) as scratch:
                (self.folder / str(version)).rename(Path(scratch, "old"))


def _stamp(place: Path) -> str | None:
    """What the version there was fetched from; None where there is none."""
    try:
        return (place / COMPLETE).read_text()
    except FileNotFoundError:
        return None


class MirroredFolder(FolderSource):
    """Watches a mirror. Its first look is at what was fetched before: the bucket may take its time, or be away."""

    def __init__(
        self, mirror: Mirror, name: str, artifacts: Path, *, quiet_s: float, find: Callable[[], Discovery]
    ) -> None:
        super().__init__(name, artifacts, quiet_s=quiet_s, known=find(), root=mirror.folder, find=find)
        self._mirror = mirror
        self._has_looked = False

    @property
    def found(self) -> Discovery:
        """Without words about the mirror's own folder."""
        found = super().found
        return replace(found, failures=(*found.failures, *self._mirror.failures), notes=())

    async def prepare(self) -> None:
        await self._mirror.refresh()

    async def expected(self) -> set[int]:
        return {*await super().expected(), *await self._mirror.listed()}

    async def look(self) -> tuple[Seen, ...]:
        if self._has_looked:
            await self._mirror.refresh()
        self._has_looked = True
        return await super().look()


class Mirrors:
    """Where the mirrors of base paths are."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder = folder
        self._scratch = scratch

    def mirror(self, bucket: Source, url: str, policy: VersionPolicy, is_used: IsUsed) -> Mirror:
        """Reads the disk."""
        folder = self._folder / self._name(bucket.name, url)
        folder.mkdir(exist_ok=True)
        return Mirror(bucket, folder, self._scratch, policy, is_used)

    def keep(self, places: Mapping[str, str]) -> None:
        """Remove all mirrors but those of these models, with their addresses. Nothing of the others may be in use."""
        kept = {self._name(model, url) for model, url in places.items()}
        for path in self._folder.iterdir():
            if path.name not in kept:
                shutil.rmtree(path)

    @staticmethod
    def _name(model: str, url: str) -> str:
        return f"{model}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
