"""A folder of models that is watched: what comes to rest in it is seen, what is half copied is not."""

from __future__ import annotations

import asyncio
import functools
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from salver.errors import Code, LoadError, SalverError
from salver.models.discovery import discover, place_of
from salver.models.formats import HIDDEN
from salver.models.remotes.base import Seen, SourceGone
from salver.models.remotes.checksums import check_sums
from salver.models.remotes.quiet import COMPLETE, Mark, Snapshot, is_stable, snapshot
from salver.models.sources import Discovery, FailedSource, ModelSource

MAX_FILES = 100_000
"""Files of one watched folder that are looked at."""

_UNREADABLE = -1
"""The size of what is there and cannot be read: nothing there is at rest."""
_DANGLING = -2
"""The size of a link to what is not there: what it led to may come back, and what lies beside it may be taken."""
_NOTHING = Discovery()


class _Told(msgspec.Struct, frozen=True):
    """A version that was answered, and the stamp under which it was."""

    model: ModelSource
    stamp: str


class FolderSource:
    """Watches what one argument of `salver serve` means, with all its numbered versions. Served where they lie."""

    def __init__(
        self,
        argument: str,
        artifacts: Path,
        *,
        quiet_s: float,
        known: Discovery = _NOTHING,
        root: Path | None = None,
        find: Callable[[], Discovery] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`known` is served already and stays until its files are gone or others. Raises StartupError for no path.

        With `root` and `find` it watches that folder, and `find` says what is in it: `argument` is its name alone.
        """
        self.name = argument
        self._root = place_of(argument) if root is None else root
        self._find = find or (lambda: discover([argument], artifacts, has_all_versions=True))
        self._quiet_s = quiet_s
        self._clock = clock
        self._snapshots: dict[str, Snapshot] = {}
        self._told: dict[str, _Told] = {model.source: _Told(model, "") for model in known.models}
        self._found = known
        self._whole: tuple[Mark, ...] | None = None
        """Everything, when it was last at rest; while it stays so, nothing is looked at again."""

    @property
    def found(self) -> Discovery:
        """What the last look came to: the versions it answered, and what was at rest and cannot be served."""
        return self._found

    async def prepare(self) -> None:
        """Have everything where the next look sees it. Raises SourceGone."""

    async def expected(self) -> set[int]:
        """The versions that there are, seen or not yet. Raises SourceGone."""
        return {model.version for model in self._found.models}

    async def look(self) -> tuple[Seen, ...]:
        """All versions at rest, the ones before where files are changing. Raises SourceGone."""
        await asyncio.to_thread(self._look)
        return tuple(_seen(told) for told in self._told.values())

    def _look(self) -> None:
        if self._whole is not None and self._whole == tuple(sorted(self._marks().values())):
            return
        found = self._discovered()
        marks, now = self._marks(), self._clock()  # after it: what changed meanwhile is not at rest
        places: dict[str, ModelSource | FailedSource | None] = dict.fromkeys(self._told)
        places |= {failed.source: failed for failed in found.failures}
        places |= {model.source: model for model in found.models}
        is_at_rest = self._observe(places, marks, now)
        failed = [os.path.abspath(failure.source) for failure in found.failures]
        told = {path: self._decided(path, place, is_at_rest[path], failed) for path, place in places.items()}
        failures = [place for path, place in places.items() if isinstance(place, FailedSource) and is_at_rest[path]]
        self._told = {path: each for path, each in told.items() if each is not None}
        self._found = Discovery(
            models=tuple(each.model for each in self._told.values()), failures=tuple(failures), notes=found.notes
        )
        self._whole = tuple(sorted(marks.values())) if all(is_at_rest.values()) else None

    def _observe(
        self, places: Mapping[str, ModelSource | FailedSource | None], marks: Mapping[str, Mark], now: float
    ) -> dict[str, bool]:
        """Take a snapshot of every place; whether each is at rest."""
        is_at_rest: dict[str, bool] = {}
        snapshots: dict[str, Snapshot] = {}
        for path, place in places.items():
            previous = self._snapshots.get(path)
            current = snapshots[path] = snapshot(previous, _marks_of(path, place, marks), now)
            is_readable = all(mark.size != _UNREADABLE for mark in current.marks)
            is_at_rest[path] = is_readable and is_stable(previous, current, self._quiet_s, now)
        self._snapshots = snapshots
        return is_at_rest

    def _decided(
        self, path: str, place: ModelSource | FailedSource | None, is_at_rest: bool, failed: Sequence[str]
    ) -> _Told | None:
        """What is answered for a place. Bad files in the place of a version that serves do not end it."""
        before, current = self._told.get(path), self._snapshots[path]
        is_first = before is not None and not before.stamp
        if isinstance(place, ModelSource) and (is_at_rest or is_first):
            return _Told(place, current.stamp)
        is_hidden = any(mark.size < 0 for mark in current.marks)
        is_bad = any(_are_related(os.path.abspath(path), other) for other in failed)
        if is_at_rest and not current.marks:
            return None
        if is_at_rest and place is None and not is_hidden and not is_bad:
            return None  # its files are part of something else now
        return _Told(before.model, current.stamp) if before is not None and is_first else before

    def _discovered(self) -> Discovery:
        try:
            return self._find()
        except LoadError as error:
            return Discovery(failures=(FailedSource(source=str(self._root), error=error),))
        except SalverError as error:
            raise SourceGone(error.code, error.message, fix=error.fix) from error
        except OSError as error:
            raise self._gone(error.strerror or "unreadable") from error

    # Looking

    def _marks(self) -> dict[str, Mark]:
        """Every file that matters, by its path. Raises SourceGone."""
        root = os.path.abspath(self._root)
        try:
            status = os.stat(root)
            if stat.S_ISDIR(status.st_mode):
                os.scandir(root).close()
        except OSError as error:
            raise self._gone(error.strerror or "unreadable") from error
        if not stat.S_ISDIR(status.st_mode):
            return {root: _mark(root, status), **self._manifests()}
        marks: dict[str, Mark] = {}
        for mark in _walk(root):
            marks[mark.name] = mark
            if len(marks) > MAX_FILES:
                raise self._gone(f"it has more than {MAX_FILES} files")
        if root in marks:
            raise self._gone(marks[root].tag)
        if not marks and self._told:
            raise self._gone("it is empty")
        return {**marks, **self._manifests()}

    def _manifests(self) -> dict[str, Mark]:
        """The model.toml of each version that was answered; it may lie beside the version, or above the folder."""
        paths = {path for told in self._told.values() if (path := _manifest_of(told.model)) is not None}
        return {mark.name: mark for path in paths for mark in _looked_at(path)}

    def _gone(self, reason: str) -> SourceGone:
        message = f"The watched folder {self._root} cannot be read: {reason}; what was found in it stays as it was."
        fix = "Bring the folder back; to take its models away, restart the server without it."
        return SourceGone(Code.LOAD_FAILED, message, fix=fix)


def _seen(told: _Told) -> Seen:
    model = told.model
    fetch = functools.partial(_checked, Path(model.source).absolute())
    return Seen(model=model.name, version=model.version, fetch=fetch, stamp=told.stamp, source=model.source)


def _checked(path: Path, _folder: Path) -> Path:
    """The place itself, when its SHA256SUMS agrees."""
    if path.is_dir():
        check_sums(path)
    return path


def _marks_of(path: str, place: ModelSource | FailedSource | None, marks: Mapping[str, Mark]) -> list[Mark]:
    """The files of one place, named from there, the model.toml about it, and what above it hides it."""
    own = os.path.abspath(path)
    below = own.rstrip("/") + "/"
    about = _manifest_of(place) if isinstance(place, ModelSource) else None
    return [
        msgspec.structs.replace(mark, name=full.removeprefix(below))
        for full, mark in marks.items()
        if full in (own, about) or full.startswith(below) or (mark.size < 0 and own.startswith(f"{full}/"))
    ]


def _manifest_of(model: ModelSource) -> str | None:
    """Where the model.toml lies that may be changed; a package has its own inside."""
    is_inside = model.manifest_file is None or "package" in model.details
    return None if is_inside or model.manifest_file is None else os.path.abspath(model.manifest_file.path)


def _are_related(one: str, other: str) -> bool:
    """Whether one path is the other, or lies below it."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _walk(folder: str) -> Iterable[Mark]:
    """Every file below, also behind links; a folder that cannot be read is a mark itself."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield _hidden(folder, error)
        return
    for entry in entries:
        is_seen = not entry.name.startswith(HIDDEN) or entry.name == COMPLETE
        if not is_seen or (entry.is_symlink() and _is_loop(folder, entry.path)):
            continue
        if os.path.isdir(entry.path):
            yield from _walk(entry.path)
        else:
            yield from _looked_at(entry.path)


def _looked_at(path: str) -> Iterable[Mark]:
    """The mark of a file; none where it has gone meanwhile, which is not so when a link to it is left."""
    try:
        yield _mark(path, os.stat(path))
    except OSError as error:
        if os.path.lexists(path) or not isinstance(error, FileNotFoundError):
            yield _hidden(path, error)


def _is_loop(folder: str, link: str) -> bool:
    """Whether a link in a folder leads to the folder, or to one above it."""
    return f"{os.path.realpath(folder)}/".startswith(f"{os.path.realpath(link)}/")


def _hidden(path: str, error: OSError) -> Mark:
    size = _DANGLING if isinstance(error, FileNotFoundError) else _UNREADABLE
    return Mark(path, size, 0, error.strerror or "unreadable")


def _mark(name: str, status: os.stat_result) -> Mark:
    return Mark(name, status.st_size, status.st_mtime_ns)
