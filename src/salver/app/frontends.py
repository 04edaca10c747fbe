"""Front ends: in this process, or each a process of its own that begins at `main`."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial

import msgspec
import uvloop

from salver.app.declared import declared_names
from salver.errors import Code, StartupError
from salver.net.ports import join_port
from salver.operations.catalogue import OPERATIONS
from salver.processes.base import Control, Door
from salver.processes.collector import settle_down
from salver.processes.control import ControlHalf
from salver.processes.fleet import Fleet, FrontEndProcesses, SingleFrontEnd
from salver.processes.frontend import FrontEnd, FrontEndSettings
from salver.processes.orders import serve_front_end
from salver.replicas.slab import Slab
from salver.settings import Settings
from salver.store.directory import DataDirectory
from salver.telemetry import logging as event_log
from salver.telemetry.accesslog import AccessLog
from salver.telemetry.sink import LineSink
from salver.wire.base import GrpcWire, Wire
from salver.wire.native.rest import NativeWire
from salver.wire.openinference.metrics import OpenInferenceMetricsWire
from salver.wire.openinference.mlserver import MlServerWire
from salver.wire.openinference.mlserver.metrics import MlServerMetricsWire
from salver.wire.openinference.rest import OpenInferenceWire
from salver.wire.tfserving.rest import TfServingWire
from salver.wire.torchserve.wires import handler_grpc_wires, handler_wires


class FrontEndArgument(msgspec.Struct, frozen=True):
    """What a front-end process is told at its start."""

    settings: Settings
    doors: tuple[Door, ...]
    socket_path: str | None
    uploads: str


def fleet_of(
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
        *handler_wires(settings.torchserve, only_model, lambda: pipeline.models, declared_names(settings)),
        OpenInferenceWire(max_body_bytes=max_body_bytes, settings=settings.openinference),
        MlServerWire(max_body_bytes=max_body_bytes, settings=settings.openinference),
        OpenInferenceMetricsWire(),
        MlServerMetricsWire(),
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


if __name__ == "__main__":
    sys.exit(main())
