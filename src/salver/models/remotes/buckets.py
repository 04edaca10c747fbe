"""Models in a bucket: `prefix/model/version/files`, as a folder of models has them, or one model's `version/files`."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from salver.errors import Code, LoadError
from salver.models.archiverules import plain_parts
from salver.models.naming import is_name
from salver.models.remotes.base import Seen, SourceGone
from salver.models.remotes.checksums import check_sums
from salver.models.remotes.quiet import COMPLETE, Mark, Snapshot, is_stable, snapshot
from salver.models.trees import TreeLimits
from salver.models.versions import numbered
from salver.types import ModelVersion

if TYPE_CHECKING:
    from obstore.store import GCSStore, S3Store

    Store: TypeAlias = S3Store | GCSStore

MAX_OBJECTS = 1_000_000
"""Objects below one prefix that are looked at."""

_CHUNK_BYTES = 1024 * 1024
_MD5_DIGITS = 32


class _Version(msgspec.Struct, frozen=True):
    """A version's objects, named from its prefix."""

    prefix: str
    marks: tuple[Mark, ...]


class BucketSource:
    """Lists a bucket's prefix. A version counts when none of its objects has changed for a while."""

    def __init__(
        self,
        name: str,
        url: str,
        store: Store,
        *,
        quiet_s: float,
        model: str | None = None,
        limits: TreeLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """With `model` the prefix is that model's, with numbered versions; without, the models are folders in it.

        `clock` gives seconds since the epoch, as the store's own times do.
        """
        self.name = name
        self._url = url
        self._store = store
        self._model = model
        self._quiet_s = quiet_s
        self._limits = limits or TreeLimits()
        self._clock = clock
        self._snapshots: dict[ModelVersion, Snapshot] = {}
        self._told: dict[ModelVersion, Seen] = {}

    async def look(self) -> tuple[Seen, ...]:
        """All versions at rest, the ones before where objects are changing. Raises SourceGone."""
        marks = await self._listed()
        if not marks and self._told:
            raise self._gone("it lists nothing any more")
        versions = _versions(marks, self._model)
        now = self._clock()
        told: dict[ModelVersion, Seen] = {}
        snapshots: dict[ModelVersion, Snapshot] = {}
        for id in versions.keys() | self._told.keys():
            version = versions.get(id)
            current = snapshots[id] = self._snapshot(id, version, now)
            previous = self._snapshots.get(id) or current  # the store's own times say since when it has been so
            if not is_stable(previous, current, self._quiet_s, now):
                if id in self._told:
                    told[id] = self._told[id]
            elif version is not None:
                told[id] = self._seen(id, version, current.stamp)
        self._snapshots, self._told = snapshots, told
        return tuple(told[id] for id in sorted(told))

    def _snapshot(self, id: ModelVersion, version: _Version | None, now: float) -> Snapshot:
        marks = version.marks if version is not None else ()
        previous = self._snapshots.get(id)
        if previous is None and marks:
            return Snapshot(tuple(sorted(marks)), min(now, max(mark.changed_ns for mark in marks) / 1e9))
        return snapshot(previous, marks, now)

    async def _listed(self) -> list[Mark]:
        """Every object, or none of them. Raises SourceGone."""
        marks: list[Mark] = []
        with self._asking():
            async for batch in self._store.list():
                for found in batch:
                    changed_ns = int(found["last_modified"].timestamp() * 1e9)
                    marks.append(Mark(found["path"], found["size"], changed_ns, found["e_tag"] or ""))
                if len(marks) > MAX_OBJECTS:
                    raise self._gone(f"it has more than {MAX_OBJECTS} objects")
        return marks

    def _seen(self, id: ModelVersion, version: _Version, stamp: str) -> Seen:
        return Seen(
            model=id.model,
            version=id.version,
            fetch=functools.partial(self._fetch, version),
            stamp=stamp,
            source=f"{self._url}/{version.prefix}",
        )

    # Fetching

    def _fetch(self, version: _Version, folder: Path) -> Path:
        """Every object as a file, its size and ETag checked, and SHA256SUMS where there is one."""
        marks = [mark for mark in version.marks if mark.name != COMPLETE]
        total = sum(mark.size for mark in marks)
        where = f"{self._url}/{version.prefix}"
        if len(marks) > self._limits.max_files or total > self._limits.max_bytes:
            fix = "Raise the settings `max_artefact_gb` and `max_artefact_files`."
            message = f"{where} has {len(marks)} objects and {total} bytes, more than one artefact may."
            raise LoadError(Code.LOAD_FAILED, message, fix=fix)
        for mark in marks:
            if plain_parts(mark.name) is None:
                fix = "Give the object another name."
                raise LoadError(Code.LOAD_FAILED, f"{where} has the unsafe name {mark.name!r}.", fix=fix)
            try:
                self._fetch_object(version, mark, folder / mark.name)
            except OSError as error:
                fix = "Make room in the data directory."
                raise LoadError(Code.LOAD_FAILED, f"{where} cannot be stored: {error.strerror}.", fix=fix) from error
        check_sums(folder)
        return folder

    def _fetch_object(self, version: _Version, mark: Mark, path: Path) -> None:
        key = f"{version.prefix}/{mark.name}"
        digest, size = hashlib.md5(usedforsecurity=False), 0
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for chunk in self._chunks(key, mark):
                size += len(chunk)
                if size > mark.size:
                    break
                digest.update(chunk)
                file.write(chunk)
        tag = mark.tag.strip('"')
        is_md5 = len(tag) == _MD5_DIGITS and "-" not in tag
        if size != mark.size or (is_md5 and digest.hexdigest() != tag):
            fix = "Upload the object again."
            message = f"{self._url}/{key} came with other bytes than its ETag and size say."
            raise LoadError(Code.LOAD_FAILED, message, fix=fix)

    def _chunks(self, key: str, mark: Mark) -> Iterator[bytes]:
        from obstore.exceptions import PreconditionError

        with self._asking():
            try:
                answer = self._store.get(key, options={"if_match": mark.tag} if mark.tag else {})
                for chunk in answer.stream(_CHUNK_BYTES):
                    yield bytes(chunk)
            except (FileNotFoundError, PreconditionError) as error:
                fix = "Nothing, if somebody is uploading: the next look sees the new one."
                message = f"{self._url}/{key} changed or went away while it was fetched."
                raise LoadError(Code.LOAD_FAILED, message, fix=fix) from error

    @contextmanager
    def _asking(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise self._gone("it does not answer as it should", log_detail=str(error)) from error

    def _gone(self, reason: str, log_detail: str = "") -> SourceGone:
        message = (
            f"The bucket of {self.name} ({self._url}) cannot be read: {reason}; what was found in it stays as it was."
        )
        fix = "Check its endpoint, its bucket and its credentials; the server's log has the store's own words."
        return SourceGone(Code.LOAD_FAILED, message, fix=fix, log_detail=log_detail)


def _versions(marks: list[Mark], model: str | None) -> dict[ModelVersion, _Version]:
    """The objects that lie as model/version/file, by version. An object that stands for a folder is none."""
    folders = {mark.name[:at] for mark in marks for at, sign in enumerate(mark.name) if sign == "/"}
    by_place: dict[str, dict[str, list[Mark]]] = {}
    for mark in marks:
        place, _, rest = mark.name.partition("/") if model is None else (model, "", mark.name)
        number, _, name = rest.partition("/")
        if name and is_name(place) and not (mark.size == 0 and mark.name in folders):
            own = msgspec.structs.replace(mark, name=name)
            by_place.setdefault(place, {}).setdefault(number, []).append(own)
    return {
        ModelVersion(place, version): _Version(
            number if model is not None else f"{place}/{number}", tuple(sorted(places[number]))
        )
        for place, places in by_place.items()
        for version, number in numbered(places).items()
    }
