"""The composition root: settings become parts, parts become a running server. It alone names concrete classes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import uvloop

from salver.access.administration import Administration
from salver.access.audit import AuditLog
from salver.access.permit import local_admin
from salver.errors import Code, LoadError, SalverError, StartupError
from salver.events import (
    Address,
    FirstRunKey,
    Listening,
    ModelFailed,
    ModelFound,
    ModelReady,
    ServerEvent,
    Stopped,
    Stopping,
)
from salver.models.archive import remove_unfinished
from salver.models.discovery import discover
from salver.models.explanation import explained
from salver.models.sources import Discovery, FailedSource, ModelSource
from salver.net.edge import is_loopback
from salver.net.ports import join_port, open_port
from salver.operations import access, inference, models, server
from salver.processes.base import Control, Door
from salver.processes.control import ControlHalf
from salver.processes.fleet import Fleet
from salver.processes.frontend import FrontEnd, FrontEndSettings
from salver.processes.remote import serve_front_end
from salver.replicas.base import ReplicaSpec
from salver.replicas.environments import interpreter
from salver.replicas.local import LocalEngine
from salver.replicas.slab import Slab
from salver.serving.base import ServingSettings
from salver.settings import Settings
from salver.store.directory import DataDirectory, RunningServer
from salver.store.sql import open_store
from salver.telemetry import logging as event_log
from salver.telemetry.accesslog import AccessLog
from salver.telemetry.sink import LineSink
from salver.types import BatchSettings, ModelVersion, PayloadKind, VersionState, VersionStatus
from salver.wire.base import Wire
from salver.wire.native.rest import NativeWire
from salver.wire.tfserving.rest import TfServingWire
from salver.wire.torchserve.inference import MmsWire
from salver.wire.torchserve.management import MmsManagementWire
from salver_worker.runtimes.specs import SPECS

log = logging.getLogger("salver")

OPERATIONS = (*inference.OPERATIONS, *models.OPERATIONS, *server.OPERATIONS, *access.OPERATIONS)
ALL_WIRES = ("tfserving", "mms", "native")
COMPAT_PORTS: dict[str, tuple[tuple[int, tuple[str, ...]], ...]] = {
    "tfserving": ((8501, ("tfserving",)),),
    "mms": ((8080, ("mms",)), (8081, ("mms-management",))),
}
BODY_RUNTIMES = frozenset(spec.name for spec in SPECS if spec.payload == PayloadKind.BODY.value)
OnEvent = Callable[[ServerEvent], None]


class FrontEndArgument(msgspec.Struct, frozen=True):
    """What a front-end process is told at its start."""

    settings: Settings
    doors: tuple[Door, ...]
    socket_path: str | None


def serve(settings: Settings, paths: Sequence[str], *, on_event: OnEvent) -> int:
    """Serve the models at `paths` until a signal ends it; returns the exit status. Raises StartupError."""
    event_log.configure(settings.telemetry.log_level)
    _check_exposure(settings)
    directory = DataDirectory(settings.processes.data_dir)
    directory.prepare()
    with directory.lock():
        artifacts = directory.folder("artifacts")
        remove_unfinished(artifacts)
        discovery = discover(paths, artifacts)
        store = open_store(directory.state)
        audit = AuditLog(store)
        try:
            administration = Administration(store)
            first = administration.make_first_key(local_admin(os.getuid()))
            if first is not None:
                on_event(FirstRunKey(key=first[0]))
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_run(settings, directory, discovery, administration, audit, on_event))
        finally:
            directory.withdraw()
            audit.close()
            store.close()


async def _run(
    settings: Settings,
    directory: DataDirectory,
    discovery: Discovery,
    administration: Administration,
    audit: AuditLog,
    on_event: OnEvent,
) -> int:
    stopping = _Stop(asyncio.get_running_loop())
    engine = LocalEngine(directory.folder("run"), os.environ)
    manifests = {source.id: source.manifest_file for source in discovery.models}
    control = ControlHalf(
        engine,
        settings.replicas,
        administration,
        audit,
        on_change=lambda status: _tell(status, on_event),
        explain=lambda spec, failure: explained(failure, manifests.get(spec.id)),
    )
    doors, sockets = _open_doors(settings)
    specs = [spec for source in discovery.models if (spec := _spec(source, settings, on_event)) is not None]
    control.reconciler.want(specs)  # before anybody can ask whether the server is ready
    fleet = _fleet(settings, control, doors, sockets, str(directory.socket))
    await fleet.start()
    addresses = tuple(Address(url=f"http://{_shown(door)}", wires=door.wires) for door in doors)
    directory.announce(
        RunningServer(pid=os.getpid(), urls=tuple(address.url for address in addresses), socket=str(directory.socket))
    )
    on_event(Listening(addresses=addresses, data_dir=str(directory.path)))
    for failed in discovery.failures:
        on_event(ModelFailed(status=_unknown_status(failed)))
    control.reconciler.start()
    reason = await stopping.wait()
    on_event(Stopping(reason=reason))
    fleet.stopping()
    await control.stop(
        drain_delay_s=settings.processes.drain_delay_s, drain_timeout_s=settings.processes.drain_timeout_s
    )
    await fleet.stop()
    on_event(Stopped())
    return 0


class _Stop:
    """The first signal asks for an orderly end; the second ends the process at once, and its workers with it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._reason = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        if self._reason.done():
            os._exit(128 + number)
        self._reason.set_result(f"{signal.Signals(number).name} was received")

    async def wait(self) -> str:
        return str(await self._reason)


# Front ends


def _fleet(
    settings: Settings, control: ControlHalf, doors: tuple[Door, ...], sockets: dict[Door, socket.socket], path: str
) -> Fleet:
    if settings.processes.processes == 1:
        return Fleet.in_this_process(
            control,
            lambda: _front_end(settings, doors, sockets.__getitem__, control, _slab(settings), path),
        )
    arguments = [
        msgspec.json.encode(FrontEndArgument(settings, doors, path if number == 0 else None)).decode()
        for number in range(settings.processes.processes)
    ]
    return Fleet.of_processes(control, arguments, lambda: _slab(settings), tuple(sockets.values()))


def _front_end(
    settings: Settings,
    doors: Sequence[Door],
    open_door: Callable[[Door], socket.socket],
    control: Control,
    slab: Slab,
    socket_path: str | None,
) -> FrontEnd:
    loop = asyncio.get_running_loop()
    return FrontEnd(
        FrontEndSettings(
            net=settings.net,
            access=settings.access,
            deadline_s=settings.serving.deadline_s,
            deadline_grace_s=settings.replicas.deadline_grace_s,
            socket_path=socket_path,
        ),
        doors,
        open_door,
        slab,
        OPERATIONS,
        control,
        _wires,
        AccessLog(LineSink.open(settings.telemetry.access_log), loop),
        loop,
    )


def _wires(front_end: FrontEnd) -> Mapping[str, Wire]:
    max_body_bytes = int(front_end.settings.net.max_body_mb * 1024 * 1024)
    pipeline = front_end.pipeline

    def only_model() -> str | None:
        names = list(pipeline.models)
        return names[0] if len(names) == 1 else None

    wires: tuple[Wire, ...] = (
        TfServingWire(max_body_bytes=max_body_bytes),
        MmsWire(only_model),
        MmsManagementWire(),
        NativeWire(max_body_bytes),
    )
    return {wire.name: wire for wire in wires}


def _slab(settings: Settings) -> Slab:
    return Slab(settings.replicas.slab_mb * 1024 * 1024)


def main() -> int:
    """A front-end process: its channel and slab are inherited, the rest comes over standard input."""
    channel_fd, slab_fd = int(sys.argv[1]), int(sys.argv[2])
    argument = msgspec.json.decode(sys.stdin.buffer.read(), type=FrontEndArgument)
    settings = argument.settings
    event_log.configure(settings.telemetry.log_level)
    slab = Slab(settings.replicas.slab_mb * 1024 * 1024, inherited_fd=slab_fd)

    async def run() -> None:
        await serve_front_end(
            socket.socket(fileno=channel_fd),
            lambda control: _front_end(
                settings,
                argument.doors,
                lambda door: join_port(door.host, door.port),
                control,
                slab,
                argument.socket_path,
            ),
        )

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    return 0


# Doors


def _check_exposure(settings: Settings) -> None:
    """Plain HTTP on an address that other machines reach must be asked for."""
    host = settings.net.host
    if host != "localhost" and not is_loopback(host) and not settings.net.insecure:
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"--host {host} can be reached from other machines, and the server has no TLS.",
            fix="Put a TLS proxy in front and listen on 127.0.0.1, or accept plain HTTP with --insecure.",
        )


def _open_doors(settings: Settings) -> tuple[tuple[Door, ...], dict[Door, socket.socket]]:
    """Every listening address with its socket, the one for all protocols first. Raises StartupError(PORT_TAKEN)."""
    share = settings.processes.processes > 1
    host = settings.net.host
    sockets: dict[Door, socket.socket] = {}
    for port, wires in _wanted_ports(settings):
        sock = open_port(host, port, share=share)
        sockets[Door(host=host, port=sock.getsockname()[1], wires=wires)] = sock
    return tuple(sockets), sockets


def _wanted_ports(settings: Settings) -> list[tuple[int, tuple[str, ...]]]:
    ports: list[tuple[int, tuple[str, ...]]] = [(settings.net.port, ALL_WIRES)]
    for name in settings.net.compat:
        if name not in COMPAT_PORTS:
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"--compat {name} is not known.",
                fix=f"Choose from {', '.join(sorted(COMPAT_PORTS))}.",
            )
        ports.extend(row for row in COMPAT_PORTS[name] if row[0] != settings.net.port)
    return ports


def _shown(door: Door) -> str:
    host = f"[{door.host}]" if ":" in door.host else door.host
    return f"{host}:{door.port}"


# Models


def _spec(source: ModelSource, settings: Settings, on_event: OnEvent) -> ReplicaSpec | None:
    """What is to run for a source; None, and told, when that cannot be known."""
    on_event(
        ModelFound(
            name=source.name,
            version=source.version,
            runtime=source.recognition.runtime,
            source=source.source,
            environment=source.environment,
            label=source.recognition.label,
            notes=source.notes,
        )
    )
    try:
        return replica_spec(source, settings)
    except LoadError as error:
        on_event(ModelFailed(status=_failed_status(source, error)))
        return None


def replica_spec(source: ModelSource, settings: Settings) -> ReplicaSpec:
    """Raises LoadError(ENVIRONMENT_BROKEN)."""
    manifest = source.manifest
    environment = manifest.environment
    return ReplicaSpec(
        id=source.id,
        runtime=source.recognition.runtime,
        path=str(source.recognition.artifact),
        folder=str(source.folder),
        manifest=source.worker_manifest(),
        python=interpreter(environment.python),
        threads=environment.threads or settings.replicas.threads,
        variables=environment.variables,
        replicas=manifest.replicas,
        batching=manifest.batching.over(_batch_defaults(settings.serving, source)),
        deadline_s=manifest.deadline_s,
        is_idempotent=manifest.idempotent,
        description=manifest.description,
        details=source.details,
        source=source.source,
    )


def _batch_defaults(serving: ServingSettings, source: ModelSource) -> BatchSettings:
    """Handlers of other servers are given one request at a time unless their model.toml says more, as they expect."""
    return BatchSettings(
        max_batch_rows=1 if source.recognition.runtime in BODY_RUNTIMES else serving.max_batch_rows,
        max_batch_delay_s=serving.max_batch_delay_ms / 1000,
        max_queue_rows=serving.max_queue_rows,
    )


def _failed_status(source: ModelSource, error: SalverError) -> VersionStatus:
    return VersionStatus(
        id=source.id,
        state=VersionState.FAILED,
        runtime=source.recognition.runtime,
        source=source.source,
        environment=source.environment,
        replicas_wanted=source.manifest.replicas,
        reason=error.message,
        fix=error.fix,
    )


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
    if status.state in (VersionState.READY, VersionState.DEGRADED) and status.info is not None:
        on_event(ModelReady(status=status, info=status.info))
    elif status.state in (VersionState.FAILED, VersionState.CRASHLOOP):
        on_event(ModelFailed(status=status))


if __name__ == "__main__":
    sys.exit(main())
