"""Serves a configuration: the one list of models with their folders, replaced whole. Owned by the catalogue's loop.

What is refused changes nothing. Models that come are loaded before those that go end; when one of them cannot be
loaded, everything stays as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from salver.errors import Code, LoadError, RequestError, StartupError
from salver.models.catalogue import Catalogue
from salver.models.configured import (
    Configuration,
    Configured,
    ConfiguredModel,
    check_configuration,
    check_labels,
    check_roots,
    configured,
    in_bucket,
    local_path,
    unconfigured,
)
from salver.models.folders import discover_versions
from salver.models.policy import policy_versions
from salver.models.remotes.base import Source, SourceGone
from salver.models.remotes.folder import FolderSource
from salver.models.remotes.mirror import MirroredFolder, Mirrors
from salver.models.sources import Discovery
from salver.models.states import SERVING
from salver.models.watch import Watch
from salver.store.base import ModelRecord, Store
from salver.types import VersionState

KEPT = "configuration"
"""The name under which the store has it."""
FindVersions = Callable[[Path, str, Path], Discovery]
OpenBucket = Callable[[str, str], Source]
"""Of a model's name and the address of its versions. Raises StartupError."""
UNUSED = (VersionState.FAILED, VersionState.STOPPED, VersionState.UNLOADED)
"""States in which nobody needs a version's files."""


class KeptConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """What is served by configuration, as the store has it."""

    models: Configuration = ()
    is_given: bool = True
    """Whether the command line gave it: then it does again at each start, or nobody does."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that somebody wants served."""

    models: Configuration
    by: str
    allow_unavailable: bool = False
    """Whether a new label may lead to a version that cannot answer yet."""
    wait_s: float = 0.0
    """How long models that come may take to be loaded; 0: nobody waits, and none is given up."""
    is_given: bool = False
    """Whether it is the command line's, or its file's."""


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, checked."""

    added: tuple[ConfiguredModel, ...]
    kept: tuple[ConfiguredModel, ...]
    removed: tuple[ConfiguredModel, ...]
    folders: Mapping[str, FolderSource]
    """New ones, of models that come or move."""

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(note for folder in self.folders.values() for note in folder.found.notes)


class Configurator:
    """One change after the other."""

    def __init__(
        self,
        catalogue: Catalogue,
        watch: Watch,
        store: Store,
        artifacts: Path,
        *,
        quiet_s: float,
        roots: Sequence[str] = (),
        find: FindVersions = discover_versions,
        mirrors: Mirrors,
        open_bucket: OpenBucket,
    ) -> None:
        """Reads the store. `roots` are the folders and buckets below which callers may name base paths."""
        kept = store.get_value(KEPT)
        self.kept = KeptConfiguration() if kept is None else msgspec.json.decode(kept, type=KeptConfiguration)
        self._catalogue = catalogue
        self._watch = watch
        self._artifacts = artifacts
        self._quiet_s = quiet_s
        self._roots = tuple(map(_real, roots))
        self._find = find
        self._mirrors = mirrors
        self._open_bucket = open_bucket
        self._folders: dict[str, FolderSource] = {}
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Configured]] = set()

    @property
    def found(self) -> tuple[Discovery, ...]:
        """What the folders of the models have."""
        return tuple(folder.found for folder in self._folders.values())

    async def begin(self, given: Configuration | None, *, allow_unavailable: bool) -> Configured:
        """Serve what the command line gives, else what somebody configured before. Raises RequestError."""
        if given is None and not self.kept.models:
            return Configured()
        models = given if given is not None else () if self.kept.is_given else self.kept.models
        proposal = Proposal(
            models=models,
            by="command line",
            allow_unavailable=allow_unavailable or given is None,
            is_given=given is not None or self.kept.is_given,
        )
        if given is not None:
            self._roots = (*self._roots, *await asyncio.to_thread(_around, given))
        places = {model.name: url for model in models if (url := in_bucket(model.base_path)) is not None}
        await asyncio.to_thread(self._mirrors.keep, places)
        return await self.configure(proposal)

    async def reconfigure(self, proposal: Proposal) -> Configured:
        """What a caller wants: its folders must lie where callers may name some. Raises RequestError."""
        check_configuration(proposal.models, self.kept.models)
        paths = {model.base_path for model in proposal.models} - {model.base_path for model in self.kept.models}
        real = {path: await asyncio.to_thread(_real, path) for path in paths}
        check_roots(tuple(model for model in proposal.models if model.base_path in paths), self._roots, real)
        return await self.configure(proposal)

    async def configure(self, proposal: Proposal) -> Configured:
        """Raises RequestError: INVALID_INPUT, CONFLICT, and LOAD_FAILED when a model that comes cannot be loaded."""
        task = asyncio.get_running_loop().create_task(self._configure(proposal))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)  # what is begun is finished, whoever stops waiting for it

    async def _configure(self, proposal: Proposal) -> Configured:
        async with self._changing:
            check_configuration(proposal.models, self.kept.models)
            change = await self._checked(proposal)
            if proposal.wait_s:
                await self._try_out(change, proposal.wait_s)
            await self._take_over(change, proposal)
            return Configured(
                added=_names(change.added), removed=_names(change.removed), kept=_names(change.kept), notes=change.notes
            )

    async def _checked(self, proposal: Proposal) -> _Change:
        before = {model.name: model for model in self.kept.models if model.name in self._folders}
        wanted = {model.name: model for model in proposal.models}
        moved = [model for model in proposal.models if _place(before.get(model.name)) != _place(model)]
        folders = {model.name: await asyncio.to_thread(self._folder, model) for model in moved}
        for model in proposal.models:
            old = before.get(model.name)
            check_labels(
                model,
                {} if old is None else old.labels,
                await self._able(model, folders.get(model.name)) if model.labels else (),
                allow_unavailable=proposal.allow_unavailable,
            )
        return _Change(
            added=tuple(model for model in proposal.models if model.name not in before),
            kept=tuple(model for model in proposal.models if model.name in before),
            removed=tuple(model for model in self.kept.models if model.name not in wanted),
            folders=folders,
        )

    async def _able(self, model: ConfiguredModel, folder: FolderSource | None) -> set[int]:
        """The versions that serve, and those that will when nothing goes wrong."""
        status = self._catalogue.status(model.name)
        versions = () if status is None else status.versions
        serving = {each.id.version for each in versions if each.state in SERVING}
        if folder is None:
            known: Iterable[int] = self._catalogue.known_versions(model.name)
        else:
            with _told():
                known = await folder.expected()
        return serving | set(policy_versions(tuple(known), model.policy))

    def _folder(self, model: ConfiguredModel) -> FolderSource:
        """Reads the disk. Raises RequestError(INVALID_INPUT) for a bucket that cannot be opened."""
        url = in_bucket(model.base_path)
        if url is not None:
            return self._mirrored(model, url)
        root = Path(local_path(model.base_path))
        find = functools.partial(self._find, root, model.name, self._artifacts)
        try:
            known = find()
        except LoadError as error:  # it may come, or come back
            known = Discovery(notes=(f"{error.message}; {model.name} is served when its versions are there",))
        return FolderSource(_origin(model), self._artifacts, quiet_s=self._quiet_s, known=known, root=root, find=find)

    def _mirrored(self, model: ConfiguredModel, url: str) -> FolderSource:
        try:
            bucket = self._open_bucket(model.name, url)
        except StartupError as error:
            raise RequestError(Code.INVALID_INPUT, error.message, fix=error.fix) from error
        mirror = self._mirrors.mirror(bucket, url, model.policy, functools.partial(self._is_used, model.name))
        find = functools.partial(self._find, mirror.folder, model.name, self._artifacts)
        return MirroredFolder(mirror, _origin(model), self._artifacts, quiet_s=self._quiet_s, find=find)

    def _is_used(self, name: str, version: int) -> bool:
        status = self._catalogue.status(name)
        versions = () if status is None else status.versions
        return any(each.id.version == version and each.state not in UNUSED for each in versions)

    async def _try_out(self, change: _Change, wait_s: float) -> None:
        """Load what comes beside what is there. Raises RequestError when that fails, and takes it away again."""
        tried = [model for model in change.added if self._catalogue.stage(_record(model))]
        try:
            for model in tried:
                with _told():
                    await change.folders[model.name].prepare()
                await self._watch.replace(None, change.folders[model.name])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._catalogue.settled(_names(tried))
            failed = [model.name for model in tried if self._failure(model)]
            if failed:
                reasons = " ".join(filter(None, (self._failure(model) for model in tried)))
                raise RequestError(
                    Code.LOAD_FAILED,
                    f"Some models did not become available: {{{', '.join(failed)}}}. {reasons}",
                    fix="Mend them, or leave them out. Nothing was changed.",
                )
        except BaseException:
            for model in tried:
                await self._watch.replace(change.folders[model.name], None)
                self._catalogue.unstage(model.name)
            raise

    def _failure(self, model: ConfiguredModel) -> str:
        """Why none of its versions serves; empty when one does, or when there is none yet."""
        status = self._catalogue.status(model.name)
        if status is None or any(version.state in SERVING for version in status.versions):
            return ""
        reasons = [f"{each.id}: {each.reason or each.state.value}" for each in status.versions]
        return " ".join(reasons)

    async def _take_over(self, change: _Change, proposal: Proposal) -> None:
        """Store and memory change together; then folders are looked at, which loads and unloads."""
        old = {model.name: model for model in self.kept.models}
        make = {
            model.name: functools.partial(configured, wanted=model, old=old.get(model.name))
            for model in proposal.models
        }
        make |= {model.name: functools.partial(unconfigured, old=model) for model in change.removed}
        kept = KeptConfiguration(models=proposal.models, is_given=proposal.is_given)
        for name in [model.name for model in change.removed if model.name in self._folders]:
            await self._watch.replace(self._folders.pop(name), None)
        await self._catalogue.configure(
            proposal.by,
            make,
            {model.name: _origin(model) for model in change.removed},
            {KEPT: msgspec.json.encode(kept).decode()},
        )
        self.kept = kept
        for name, folder in change.folders.items():
            await self._watch.replace(self._folders.get(name), folder)
            self._folders[name] = folder


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A bucket that does not answer, as what it is to who waits for it."""
    try:
        yield
    except SourceGone as error:
        raise RequestError(Code.LOAD_FAILED, error.message, fix=error.fix) from error


def _around(models: Configuration) -> list[str]:
    """The folders in which the base paths are, and the prefixes in buckets."""
    return sorted({_real(each.base_path, of_folder=True) for each in models})


def _real(path: str, *, of_folder: bool = False) -> str:
    """A base path, or the folder in which it is, without links; a bucket is in no other folder."""
    url = in_bucket(path)
    if url is None:
        own = local_path(path)
        return os.path.realpath(os.path.dirname(os.path.normpath(own)) if of_folder else own)
    return url.rpartition("/")[0] if of_folder and url.count("/") > 2 else url


def _origin(model: ConfiguredModel) -> str:
    """What the versions of a configured model are known by: the same wherever their folder is."""
    return f"{model.name}: configured"


def _record(model: ConfiguredModel) -> ModelRecord:
    nothing = ModelRecord(name=model.name, revision=0, updated_at=0.0, updated_by="")
    return configured(nothing, model, None)


def _place(model: ConfiguredModel | None) -> object:
    """What a watch is of; of a bucket those versions alone are brought that the policy picks."""
    if model is None:
        return None
    return model.base_path if in_bucket(model.base_path) is None else (model.base_path, model.policy)


def _names(models: Iterable[ConfiguredModel]) -> tuple[str, ...]:
    return tuple(model.name for model in models)
