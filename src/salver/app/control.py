"""The control half, made of its parts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from salver.access.administration import Administration
from salver.access.audit import AuditLog
from salver.access.keyfile import KeyFile
from salver.access.permit import local_admin
from salver.app.models import OnEvent, found_event, kept_event, spec_of, tell
from salver.errors import Code, RequestError, StartupError
from salver.events import (
    Noted,
)
from salver.models.base import ModelSettings
from salver.models.catalogue import Catalogue
from salver.models.configfile import ConfigurationFile, GivenConfiguration, discover_with_batching
from salver.models.configurator import Configurator
from salver.models.explanation import explained
from salver.models.folders import discover_versions
from salver.models.opening import Opening
from salver.models.places import Places
from salver.models.remotes.base import Source
from salver.models.remotes.buckets import BucketSource
from salver.models.remotes.folder import FolderSource
from salver.models.remotes.http import HttpFetcher, HttpLimits
from salver.models.remotes.mirror import Mirrors
from salver.models.remotes.references import Remote, parse_remotes
from salver.models.remotes.stores import address_store, remote_store
from salver.models.residence import Residence
from salver.models.sources import Discovery
from salver.models.stock import Stock
from salver.models.trees import TreeLimits
from salver.models.watch import Watch
from salver.processes.control import ControlHalf
from salver.processes.environments import EnvironmentOperations
from salver.processes.management import Management
from salver.processes.telling import Telling
from salver.processes.workflows import Workflows
from salver.replicas.base import ReplicaSettings
from salver.replicas.environments.base import EnvironmentSettings
from salver.replicas.environments.book import StoredLocks
from salver.replicas.environments.builder import Builder
from salver.replicas.environments.making import kinds_of
from salver.replicas.environments.shelf import Shelf
from salver.replicas.local import LocalEngine
from salver.replicas.turns import half_of_the_processors
from salver.settings import Settings
from salver.store.base import Store
from salver.store.directory import DataDirectory


class State(NamedTuple):
    """What the control half stands on."""

    store: Store
    administration: Administration
    audit: AuditLog
    stock: Stock
    opening: Opening
    folders: Sequence[FolderSource]
    """Those of the command line that are watched."""
    configuration: GivenConfiguration | None


def key_file(settings: Settings, directory: DataDirectory, administration: Administration) -> KeyFile | None:
    """TorchServe's, with new keys, where it is asked for. Raises StartupError."""
    asked = settings.torchserve
    if not asked.token_authorization:
        return None
    path = Path(asked.token_file).expanduser() if asked.token_file else directory.path / "key_file.json"
    file = KeyFile(administration, local_admin(os.getuid()), path, valid_min=asked.token_expiration_min)
    file.begin()
    return file


def _engine(settings: ReplicaSettings, directory: DataDirectory) -> LocalEngine:
    return LocalEngine(
        directory.folder("run"),
        os.environ,
        load_niceness=settings.load_niceness,
        loads_at_once=settings.loads_at_once or half_of_the_processors(),
    )


def control_half(
    settings: Settings, directory: DataDirectory, discovery: Discovery, state: State, on_event: OnEvent
) -> tuple[ControlHalf, Configurator]:
    """The half that knows what is to be served, before anybody can ask whether the server is ready."""
    builder = _builder(settings.environments, directory, state.store)
    control = ControlHalf(
        _engine(settings.replicas, directory),
        settings.replicas,
        state.administration,
        state.audit,
        on_change=lambda status: tell(status, on_event),
        explain=lambda spec, failure: explained(failure, catalogue.manifest_file(spec.id)),
        environments=builder,
    )
    catalogue = Catalogue(
        state.store,
        state.stock,
        control.reconciler,
        lambda source: spec_of(source, settings),
        state.opening.models,
        is_approved=builder.is_approved,
    )
    control.reconciler.on_failure = catalogue.note_failure
    uploads = directory.emptied("uploads")
    fetcher = HttpFetcher(os.environ, HttpLimits(max_bytes=settings.models.max_artefact_gb * 1024**3))
    watch = _watch(settings.models, directory, catalogue, state.folders, on_event)
    configuration = state.configuration
    configurator = Configurator(
        catalogue,
        watch,
        state.store,
        directory.folder("artifacts"),
        quiet_s=settings.models.quiet_s,
        roots=settings.models.model_roots,
        find=discover_with_batching
        if configuration is not None and configuration.has_own_batching
        else discover_versions,
        mirrors=Mirrors(directory.folder("mirrors"), directory.emptied("mirroring")),
        open_bucket=partial(_base_path, settings.models),
    )
    management = Management(
        catalogue,
        state.audit,
        uploads,
        _places(settings.models, fetcher),
        configurator,
        allow_unavailable=configuration is not None and configuration.allow_unavailable,
    )
    control.add_operations(management.bodies())
    flows = _workflows(settings, control, state, management, uploads)
    control.add_operations(flows.bodies())
    control.add_operations(Telling(control.front_ends.reports, control.reconciler.models).bodies())
    control.add_operations(
        EnvironmentOperations(builder, catalogue.environments, control.reconciler.environments, state.audit).bodies()
    )
    control.residence = Residence(
        catalogue,
        control.reconciler,
        control.count_batches,
        budget_bytes=settings.models.memory_budget_mb * 1024 * 1024,
    )
    control.watch(control.residence.watch())
    control.watch(_at_the_end(fetcher.stop))
    control.watch(watch.run())
    for note in (*discovery.notes, *state.opening.notes):
        on_event(Noted(text=note))
    for source in discovery.models:
        on_event(found_event(source, spec_of(source, settings)))
    for model in state.opening.models.values():
        for version in model.versions.values():
            if version.stored is not None:
                on_event(kept_event(version.spec, version.stored))
    catalogue.want()
    return control, configurator


async def configure(
    control: ControlHalf,
    configurator: Configurator,
    given: GivenConfiguration | None,
    settings: Settings,
    on_event: OnEvent,
) -> None:
    """Have the list of models served that the command was given. Raises StartupError."""

    def note(text: str) -> None:
        on_event(Noted(text=text))

    try:
        made = await configurator.begin(
            None if given is None else given.models, allow_unavailable=given is not None and given.allow_unavailable
        )
    except RequestError as error:
        raise StartupError(Code.SETTINGS_INVALID, error.message, fix=error.fix) from error
    for text in made.notes:
        note(text)
    for found in configurator.found:
        for source in found.models:
            on_event(found_event(source, spec_of(source, settings)))
    if given is not None and given.file and given.poll_s:
        control.watch(ConfigurationFile(given, configurator, note).run())


def _builder(settings: EnvironmentSettings, directory: DataDirectory, store: Store) -> Builder:
    chosen = settings.environments_dir
    shelf = Shelf(Path(chosen).expanduser().absolute() if chosen else directory.folder("environments"))
    shelf.sweep()
    return Builder(settings, shelf, kinds_of(settings, shelf, os.environ), StoredLocks(store))


async def _at_the_end(stop: Callable[[], None]) -> None:
    """Stop what would go on in a thread."""
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        stop()


def _workflows(
    settings: Settings, control: ControlHalf, state: State, management: Management, uploads: Path
) -> Workflows:
    """What workflows there are, which front ends hear of when they come."""
    folder = settings.torchserve.workflow_store or settings.models.model_store
    bodies = management.bodies()
    flows = Workflows(
        state.store,
        state.audit,
        lambda request: bodies[request.operation](request),
        control.front_ends.set_workflows,
        uploads,
        Path(folder).expanduser() if folder else None,
    )
    control.front_ends.workflows = flows.known
    return flows


def _places(settings: ModelSettings, fetcher: HttpFetcher) -> Places:
    folder = Path(settings.model_store).expanduser() if settings.model_store else None
    return Places(folder, parse_remotes(settings.remotes), fetcher, allow_urls=settings.allow_urls)


def watched(settings: ModelSettings, discoveries: Mapping[str, Discovery], artifacts: Path) -> list[FolderSource]:
    if not settings.watch_s:
        return []
    return [FolderSource(path, artifacts, quiet_s=settings.quiet_s, known=found) for path, found in discoveries.items()]


def _watch(
    settings: ModelSettings,
    directory: DataDirectory,
    catalogue: Catalogue,
    folders: Sequence[FolderSource],
    on_event: OnEvent,
) -> Watch:
    stores = [remote for remote in parse_remotes(settings.remotes).values() if remote.scheme == "s3"]
    return Watch(
        catalogue,
        folders,
        [_bucket(remote, settings) for remote in stores],
        every_s=settings.watch_s,
        scratch=directory.folder("uploads"),
        on_note=lambda text: on_event(Noted(text=text)),
    )


def _base_path(settings: ModelSettings, model: str, url: str) -> Source:
    """Where one model's versions are. Raises StartupError."""
    limits = TreeLimits(max_files=settings.max_artefact_files, max_bytes=settings.max_artefact_gb * 1024**3)
    return BucketSource(
        model, url, address_store(url, os.environ), quiet_s=settings.quiet_s, model=model, limits=limits
    )


def _bucket(remote: Remote, settings: ModelSettings) -> Source:
    store = remote_store(remote, os.environ)
    return BucketSource(remote.name, remote.url, store, quiet_s=settings.quiet_s)
