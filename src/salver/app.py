"""The composition root: settings become parts, parts become a running server. It alone names concrete classes."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvloop

from salver.access.administration import Administration
from salver.access.audit import AuditLog
from salver.access.keyfile import KeyFile
from salver.access.permit import local_admin
from salver.errors import Code, LoadError, RequestError, SalverError, StartupError
from salver.events import (
    Address,
    EnvironmentBuilding,
    FirstRunKey,
    Listening,
    ModelFailed,
    ModelFound,
    ModelReady,
    Noted,
    ServerEvent,
    Stopped,
    Stopping,
)
from salver.models.archive import remove_unfinished
from salver.models.archivesettings import read_document
from salver.models.base import ModelSettings
from salver.models.catalogue import Catalogue
from salver.models.configfile import ConfigurationFile, GivenConfiguration, discover_with_batching
from salver.models.configurator import Configurator
from salver.models.discovery import discover
from salver.models.explanation import explained
from salver.models.folders import discover_versions
from salver.models.given import GivenModels, discover_given
from salver.models.opening import Opening, open_models
from salver.models.places import Places
from salver.models.remotes.base import Source
from salver.models.remotes.folder import FolderSource
from salver.models.remotes.http import HttpFetcher, HttpLimits
from salver.models.remotes.references import Remote, parse_remotes
from salver.models.repository import Repository
from salver.models.residence import Residence
from salver.models.sources import Discovery, FailedSource, ModelSource, joined
from salver.models.specs import replica_spec
from salver.models.states import SERVING
from salver.models.stock import Stock
from salver.models.watch import Watch
from salver.net.ports import join_port
from salver.operations.catalogue import OPERATIONS
from salver.processes.base import Control, Door
from salver.processes.collector import settle_down
from salver.processes.control import ControlHalf
from salver.processes.doors import check_exposure, open_doors, url_of
from salver.processes.environments import EnvironmentOperations
from salver.processes.fleet import Fleet, FrontEndProcesses, SingleFrontEnd
from salver.processes.frontend import FrontEnd, FrontEndSettings
from salver.processes.management import Management
from salver.processes.orders import serve_front_end
from salver.processes.signals import StopSignals
from salver.processes.telling import Telling
from salver.processes.workflows import Workflows
from salver.replicas.base import ReplicaSpec
from salver.replicas.environments.base import EnvironmentSettings
from salver.replicas.environments.book import StoredLocks
from salver.replicas.environments.builder import Builder
from salver.replicas.environments.interpreters import Interpreters
from salver.replicas.environments.pipfiles import installer_variables
from salver.replicas.environments.shelf import Shelf
from salver.replicas.environments.uv import Uv
from salver.replicas.local import LocalEngine
from salver.replicas.slab import Slab
from salver.settings import Settings
from salver.store.base import Store, VersionRecord
from salver.store.directory import DataDirectory, RunningServer
from salver.store.sql import open_store
from salver.telemetry import logging as event_log
from salver.telemetry.accesslog import AccessLog
from salver.telemetry.declared import DeclaredMetric, declared_metrics
from salver.telemetry.sink import LineSink
from salver.types import BatchSettings, ModelVersion, PayloadKind, VersionState, VersionStatus
from salver.wire.base import GrpcWire, Wire
from salver.wire.native.rest import NativeWire
from salver.wire.openinference.metrics import OpenInferenceMetricsWire
from salver.wire.openinference.mlserver import MlServerWire
from salver.wire.openinference.rest import OpenInferenceWire
from salver.wire.tfserving.rest import TfServingWire
from salver.wire.torchserve.wires import handler_grpc_wires, handler_wires
from salver_worker.runtimes.specs import SPECS

BODY_RUNTIMES = frozenset(spec.name for spec in SPECS if spec.payload == PayloadKind.BODY.value)
OnEvent = Callable[[ServerEvent], None]


class FrontEndArgument(msgspec.Struct, frozen=True):
    """What a front-end process is told at its start."""

    settings: Settings
    doors: tuple[Door, ...]
    socket_path: str | None
    uploads: str


def serve(
    settings: Settings,
    paths: Sequence[str],
    *,
    on_event: OnEvent,
    given: GivenModels | None = None,
    configuration: GivenConfiguration | None = None,
) -> int:
    """Serve the models at `paths`, those given and those of a configuration, until a signal ends it; returns the exit
    status.

    Raises StartupError, and LoadError when a path means one model that cannot be served. What of `given` cannot be
    served is told, and the server goes on.
    """
    event_log.configure(settings.telemetry.log_level)
    check_exposure(settings.net)
    _declared(settings.torchserve.metrics_config)
    directory = DataDirectory(settings.processes.data_dir)
    directory.prepare()
    with directory.lock():
        artifacts = directory.folder("artifacts")
        remove_unfinished(artifacts)
        discoveries = {
            path: discover([path], artifacts, has_all_versions=settings.models.watch_s > 0) for path in paths
        }
        others = discover_given(given or GivenModels(), artifacts)
        discovery = joined([*discoveries.values(), others.discovery])
        store = open_store(settings.processes.state_url or directory.state)
        audit = AuditLog(store)
        try:
            stock = Stock(Repository(directory.folder("repository")), artifacts)
            origins = {source.id: path for path, found in discoveries.items() for source in found.models}
            origins |= {source.id: source.source for source in others.discovery.models}
            make_spec = partial(_spec, settings=settings)
            opening = open_models(store, stock, discovery.models, make_spec, origins, others.defaults)
            folders = _watched(settings.models, discoveries, artifacts)
            state = State(store, Administration(store), audit, stock, opening, folders, configuration)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_run(settings, directory, discovery, state, on_event))
        finally:
            directory.withdraw()
            audit.close()
            store.close()


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


async def _run(
    settings: Settings, directory: DataDirectory, discovery: Discovery, state: State, on_event: OnEvent
) -> int:
    signals = StopSignals(asyncio.get_running_loop())
    control, configurator = _control_half(settings, directory, discovery, state, on_event)
    await _configure(control, configurator, state.configuration, settings, on_event)
    sockets = open_doors(settings.net, share=settings.processes.processes > 1)
    fleet = _fleet(settings, control, sockets, directory)
    try:
        first = state.administration.make_first_key(local_admin(os.getuid()))
        if first is not None:  # not before the ports are ours: it is shown this once
            on_event(FirstRunKey(key=first[0]))
        control.key_file = _key_file(settings, directory, state.administration)
        if await signals.allow(fleet.start()):
            _announce(directory, tuple(sockets), on_event)
            for failed in discovery.failures:
                on_event(ModelFailed(status=_unknown_status(failed)))
            control.reconciler.start()
            settle_down()
        reason = await signals.wait()
        on_event(Stopping(reason=reason))
        fleet.stopping()
        await control.stop(
            drain_delay_s=settings.processes.drain_delay_s, drain_timeout_s=settings.processes.drain_timeout_s
        )
    except SalverError:
        await control.stop(drain_delay_s=0.0, drain_timeout_s=0.0)
        raise
    finally:
        await fleet.stop()
        for sock in sockets.values():
            sock.close()
    on_event(Stopped())
    return 0


def _key_file(settings: Settings, directory: DataDirectory, administration: Administration) -> KeyFile | None:
    """TorchServe's, with new keys, where it is asked for. Raises StartupError."""
    asked = settings.torchserve
    if not asked.token_authorization:
        return None
    path = Path(asked.token_file).expanduser() if asked.token_file else directory.path / "key_file.json"
    file = KeyFile(administration, local_admin(os.getuid()), path, valid_min=asked.token_expiration_min)
    file.begin()
    return file


def _control_half(
    settings: Settings, directory: DataDirectory, discovery: Discovery, state: State, on_event: OnEvent
) -> tuple[ControlHalf, Configurator]:
    """The half that knows what is to be served, before anybody can ask whether the server is ready."""
    builder = _builder(settings.environments, directory, state.store)
    control = ControlHalf(
        LocalEngine(directory.folder("run"), os.environ),
        settings.replicas,
        state.administration,
        state.audit,
        on_change=lambda status: _tell(status, on_event),
        explain=lambda spec, failure: explained(failure, catalogue.manifest_file(spec.id)),
        environments=builder,
    )
    catalogue = Catalogue(
        state.store,
        state.stock,
        control.reconciler,
        lambda source: _spec(source, settings),
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
        on_event(_found(source, _spec(source, settings)))
    for model in state.opening.models.values():
        for version in model.versions.values():
            if version.stored is not None:
                on_event(_kept(version.spec, version.stored))
    catalogue.want()
    return control, configurator


async def _configure(
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
            on_event(_found(source, _spec(source, settings)))
    if given is not None and given.file and given.poll_s:
        control.watch(ConfigurationFile(given, configurator, note).run())


def _builder(settings: EnvironmentSettings, directory: DataDirectory, store: Store) -> Builder:
    chosen = settings.environments_dir
    shelf = Shelf(Path(chosen).expanduser().absolute() if chosen else directory.folder("environments"))
    shelf.sweep()
    uv = Uv(settings, installer_variables(settings, os.environ), shelf.cache)
    interpreters = Interpreters(settings.interpreters, os.environ.get("PATH", os.defpath))
    return Builder(settings, shelf, uv, interpreters, StoredLocks(store))


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


def _watched(settings: ModelSettings, discoveries: Mapping[str, Discovery], artifacts: Path) -> list[FolderSource]:
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


def _bucket(remote: Remote, settings: ModelSettings) -> Source:
    from salver.models.remotes.s3 import S3Source  # an extra

    return S3Source(remote, os.environ, quiet_s=settings.quiet_s)


def _announce(directory: DataDirectory, doors: Sequence[Door], on_event: OnEvent) -> None:
    addresses = tuple(Address(url=url_of(door), wires=door.wires) for door in doors)
    urls = tuple(address.url for address in addresses)
    directory.announce(RunningServer(pid=os.getpid(), urls=urls, socket=str(directory.socket)))
    on_event(Listening(addresses=addresses, data_dir=str(directory.path)))


# Front ends


def _fleet(
    settings: Settings, control: ControlHalf, sockets: Mapping[Door, socket.socket], directory: DataDirectory
) -> Fleet:
    doors = tuple(sockets)
    path, uploads = str(directory.socket), str(directory.folder("uploads"))
    if settings.processes.processes == 1:
        return SingleFrontEnd(
            control,
            lambda: _front_end(
                FrontEndArgument(settings, doors, path, uploads), sockets.__getitem__, control, _slab(settings)
            ),
        )
    arguments = [
        msgspec.json.encode(FrontEndArgument(settings, doors, path if number == 0 else None, uploads)).decode()
        for number in range(settings.processes.processes)
    ]
    return FrontEndProcesses(control, arguments, lambda: _slab(settings))


def _front_end(
    argument: FrontEndArgument, open_door: Callable[[Door], socket.socket], control: Control, slab: Slab
) -> FrontEnd:
    loop = asyncio.get_running_loop()
    settings = argument.settings
    return FrontEnd(
        FrontEndSettings(
            net=settings.net,
            access=settings.access,
            deadline_s=settings.serving.deadline_s,
            deadline_grace_s=settings.replicas.deadline_grace_s,
            socket_path=argument.socket_path,
            uploads=argument.uploads,
        ),
        argument.doors,
        open_door,
        slab,
        OPERATIONS,
        control,
        partial(_wires, settings),
        AccessLog(_sink(settings.telemetry.access_log), loop),
        loop,
        make_grpc_wires=partial(_grpc_wires, settings),
    )


def _wires(settings: Settings, front_end: FrontEnd) -> Mapping[str, Wire]:
    max_body_bytes = int(front_end.settings.net.max_body_mb * 1024 * 1024)
    pipeline = front_end.pipeline

    def only_model() -> str | None:
        names = list(pipeline.models)
        return names[0] if len(names) == 1 else None

    wires: tuple[Wire, ...] = (
        TfServingWire(
            max_body_bytes=max_body_bytes,
            allow_cors=settings.tfserving.tfs_cors,
            monitoring_path=settings.tfserving.tfs_monitoring_path,
        ),
        *handler_wires(settings.torchserve, only_model, lambda: pipeline.models, _declared_names(settings)),
        OpenInferenceWire(max_body_bytes=max_body_bytes, settings=settings.openinference),
        MlServerWire(max_body_bytes=max_body_bytes, settings=settings.openinference),
        OpenInferenceMetricsWire(),
        NativeWire(max_body_bytes),
    )
    return {wire.name: wire for wire in wires}


def _grpc_wires(settings: Settings, front_end: FrontEnd) -> Mapping[str, GrpcWire]:
    """The protocols over gRPC, each imported here, so that protobuf is loaded only where there is such a door.

    Called before the library is loaded, which would otherwise want a say, and a line on standard error, in each start
    of a worker.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    from salver.wire.openinference.grpc import OpenInferenceGrpcWire
    from salver.wire.openinference.mlserver.grpc import MlServerGrpcWire
    from salver.wire.tfserving.grpc import TfServingGrpcWire

    pipeline = front_end.pipeline
    wires: tuple[GrpcWire, ...] = (
        TfServingGrpcWire(max_body_bytes=int(front_end.settings.net.max_body_mb * 1024 * 1024)),
        OpenInferenceGrpcWire(settings.openinference),
        MlServerGrpcWire(settings.openinference),
        *handler_grpc_wires(settings.torchserve, lambda: pipeline.models),
    )
    return {wire.name: wire for wire in wires}


def _sink(target: str) -> LineSink | None:
    try:
        return LineSink.open(target)
    except OSError as error:
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"The access log {target} cannot be written: {error.strerror}.",
            fix="Choose another file with --access-log, `-` for standard error, or `off`.",
        ) from error


def _slab(settings: Settings) -> Slab:
    return Slab(settings.replicas.slab_mb * 1024 * 1024)


def main() -> int:
    """A front-end process: its channel and slab are inherited, the rest comes over the channel."""
    channel_fd, slab_fd = int(sys.argv[1]), int(sys.argv[2])

    def make(argument: str, control: Control) -> FrontEnd:
        return _front_end_made_of(msgspec.json.decode(argument, type=FrontEndArgument), slab_fd, control)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_front_end(channel_fd, make))
    return 0


def _front_end_made_of(argument: FrontEndArgument, slab_fd: int, control: Control) -> FrontEnd:
    settings = argument.settings
    event_log.configure(settings.telemetry.log_level)
    settle_down()
    slab = Slab(settings.replicas.slab_mb * 1024 * 1024, inherited_fd=slab_fd)
    return _front_end(argument, lambda door: join_port(door.host, door.port), control, slab)


# Models


def _found(source: ModelSource, spec: ReplicaSpec) -> ModelFound:
    return ModelFound(
        name=source.name,
        version=source.version,
        runtime=source.recognition.runtime,
        source=source.source,
        environment=source.environment if spec.environment is None else spec.environment.label,
        label=source.recognition.label,
        notes=source.notes,
    )


def _kept(spec: ReplicaSpec, stored: VersionRecord) -> ModelFound:
    """A version of the repository."""
    return ModelFound(
        name=stored.model,
        version=stored.version,
        runtime=spec.runtime,
        source=f"the repository ({stored.source})",
        environment=spec.python if spec.environment is None else spec.environment.label,
    )


def _spec(source: ModelSource, settings: Settings) -> ReplicaSpec:
    """Handlers of other servers are given one request at a time unless their model.toml says more, as they expect."""
    serving = settings.serving
    batching = BatchSettings(
        max_batch_rows=1 if source.recognition.runtime in BODY_RUNTIMES else serving.max_batch_rows,
        max_batch_delay_s=serving.max_batch_delay_ms / 1000,
        max_queue_rows=serving.max_queue_rows,
    )
    replicas = settings.replicas
    spec = replica_spec(
        source,
        threads=replicas.threads,
        batching=batching,
        warm_up_rounds=replicas.warm_up_rounds,
        environments=settings.environments,
    )
    if spec.runtime not in BODY_RUNTIMES:
        return spec
    words = settings.torchserve
    archive = source.recognition.archive
    is_named = spec.manifest.get("handler") or (archive is not None and archive.handler)
    server = {
        "dialect": words.dialect,
        "decode_input": words.decode_input_request,
        "envelope": words.service_envelope,
        "handler": None if is_named else words.default_service_handler or None,
        "metrics": _for_worker(_declared(words.metrics_config)),
    }
    return msgspec.structs.replace(spec, manifest={**spec.manifest, "server": server})


@functools.cache
def _declared(path: str) -> tuple[DeclaredMetric, ...] | None:
    """What TorchServe's metrics.yaml declares of handlers' metrics; None without such a file. Raises StartupError."""
    if not path:
        return None
    try:
        return declared_metrics(read_document(Path(path).expanduser().read_bytes(), path, "the metrics' configuration"))
    except OSError as error:
        why = error.strerror or str(error)
    except LoadError as error:
        why = error.message
    except ValueError as error:
        why = str(error)
    raise StartupError(
        Code.SETTINGS_INVALID, f"metrics_config: {path}: {why}.", fix="Correct the file, or leave metrics_config out."
    )


def _declared_names(settings: Settings) -> tuple[str, ...] | None:
    metrics = _declared(settings.torchserve.metrics_config)
    return None if metrics is None else tuple(metric.name for metric in metrics)


def _for_worker(metrics: Sequence[DeclaredMetric] | None) -> dict[str, object]:
    """As the file has it."""
    rows: dict[str, list[dict[str, object]]] = {}
    for metric in metrics or ():
        row: dict[str, object] = {"name": metric.name, "unit": metric.unit, "dimensions": list(metric.dimensions)}
        rows.setdefault(metric.kind, []).append(row)
    return {"model_metrics": rows} if rows else {}


def _unknown_status(failed: FailedSource) -> VersionStatus:
    """Something among other models that is none: told once, and not served."""
    return VersionStatus(
        id=ModelVersion(Path(failed.source).name, 0),
        state=VersionState.FAILED,
        runtime="",
        source=failed.source,
        environment="",
        replicas_wanted=0,
        reason=failed.error.message,
        fix=failed.error.fix,
    )


def _tell(status: VersionStatus, on_event: OnEvent) -> None:
    if status.state in SERVING and status.info is not None:
        on_event(ModelReady(status=status, info=status.info))
    elif status.state is VersionState.BUILDING:
        on_event(EnvironmentBuilding(status=status))
    elif status.state in (VersionState.FAILED, VersionState.CRASHLOOP):
        on_event(ModelFailed(status=status))


if __name__ == "__main__":
    sys.exit(main())
