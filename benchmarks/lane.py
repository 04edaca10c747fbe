"""The whole way of a prediction in one thread: a real front end and a real worker, and clients without sockets."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.models import model_path
from benchmarks.workloads import Prepared
from salver.access.base import AccessSettings
from salver.models.entry import version_info
from salver.net.base import NetSettings
from salver.operations.catalogue import OPERATIONS
from salver.processes.base import Door
from salver.processes.frontend import FrontEnd, FrontEndSettings
from salver.replicas.base import Ready, ReplicaSpec
from salver.replicas.slab import Slab
from salver.telemetry.accesslog import AccessLog
from salver.telemetry.sink import LineSink
from salver.types import BatchSettings, ModelStatus, ModelVersion, VersionState, VersionStatus
from salver.wire.base import Wire
from salver.wire.native import NativeWire
from salver.wire.tfserving import TfServingWire
from salver_worker import frames
from salver_worker.activity import Activity
from salver_worker.host import Host
from salver_worker.inbox import Inbox
from salver_worker.interrupt import Interrupt
from salver_worker.links import DataLink
from salver_worker.loading import load

if TYPE_CHECKING:
    from salver.access.audit import AuditEvent

MAX_TURNS = 1000
BATCH_BYTES = 1024 * 1024
"""The socket must hold a whole batch: its sender and its reader are one thread."""
MAX_BODY_BYTES = 64 * 1024 * 1024
MANIFESTS: dict[str, Any] = {"iris": {"outputs": [{"reads": "label"}]}}


class Client:
    """A connection's transport that keeps nothing but the last answer."""

    def __init__(self, protocol: Any, request: bytes) -> None:
        self._request = request
        self._protocol = protocol
        self._receive = protocol.data_received
        self._is_open = True
        self.answer = b""
        protocol.connection_made(self)

    def ask(self) -> None:
        self.answer = b""
        self._receive(self._request)

    def write(self, data: bytes) -> None:
        self.answer = data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def is_closing(self) -> bool:
        return not self._is_open

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._protocol.connection_lost(None)


class NoControl:
    """The control half has no part in predictions that succeed."""

    async def operate(self, request: Any) -> msgspec.Raw:
        raise RuntimeError("nothing is managed here")

    async def wake(self, model: str, version: int | None) -> None: ...

    def denied(self, event: AuditEvent) -> None: ...

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None: ...

    def replace_worker(self, replica_id: str, reason: str) -> None: ...


class Lane:
    """A front end, and the worker of one model on the other end of a real socket."""

    def __init__(self, front_end: FrontEnd, link: DataLink, serve: Callable[[], None], clients: list[Client]) -> None:
        """`link` is the worker's end, and `serve` answers what has come there."""
        self._front_end = front_end
        self._link = link
        self._serve = serve
        self.clients = clients

    @classmethod
    async def open(cls, prepared: Prepared, folder: Path, log: Path, connections: int) -> Lane:
        """A lane for a workload; `log` is the access log."""
        loop = asyncio.get_running_loop()
        settings = FrontEndSettings(
            net=NetSettings(), access=AccessSettings(), deadline_s=30.0, deadline_grace_s=5.0, socket_path=None
        )
        access_log = AccessLog(LineSink.open(str(log)), loop)
        front_end = FrontEnd(
            settings, (), _open_no_door, Slab(1 << 20), OPERATIONS, NoControl(), _wires, access_log, loop
        )
        model = prepared.workload.model
        loaded = load(_load_header(model, folder))
        id = ModelVersion(model, 1)
        await front_end.publish([_status(id, loaded.ready)])
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BATCH_BYTES)
        await front_end.attach(id, "replica", 1, ours)
        connect = front_end._door_protocol(tuple(front_end.wires))  # noqa: SLF001  what a listener calls; here nobody listens
        request = _request(prepared)
        clients = [Client(connect(), request) for _ in range(connections)]
        link = DataLink(1, theirs)
        return cls(front_end, link, _worker(loaded.predictor, link), clients)

    async def ask_all(self) -> None:
        """Every client asks once and has its answer."""
        for client in self.clients:
            client.ask()
        for _ in range(MAX_TURNS):
            await asyncio.sleep(0)
            self._serve()
            if self.clients[-1].answer:
                return
        raise RuntimeError("there is no answer")

    async def close(self) -> None:
        await self._front_end.finish(1.0)
        self._front_end.close()
        self._link.close()


def _worker(predictor: Any, link: DataLink) -> Callable[[], None]:
    """A worker's loop that returns when nothing more is there to be answered."""
    inbox = Inbox()
    inbox.put_link(link)
    inbox.is_stopping = True
    return Host(predictor, inbox, Interrupt(), Activity()).run


def _open_no_door(door: Door) -> socket.socket:
    raise RuntimeError(f"{door} is not opened: this front end listens nowhere")


def _wires(front_end: FrontEnd) -> dict[str, Wire]:  # noqa: ARG001  a wire may need to know its front end
    wires: tuple[Wire, ...] = (TfServingWire(max_body_bytes=MAX_BODY_BYTES), NativeWire(MAX_BODY_BYTES))
    return {wire.name: wire for wire in wires}


def _load_header(model: str, folder: Path) -> dict[str, Any]:
    path = model_path(folder, model)
    return {
        "protocol": frames.PROTOCOL_VERSION,
        "model": model,
        "version": 1,
        "runtime": "onnx",
        "path": str(path),
        "folder": str(path.parent),
        "manifest": MANIFESTS.get(model, {}),
    }


def _status(id: ModelVersion, ready: dict[str, Any]) -> ModelStatus:
    spec = ReplicaSpec(id=id, runtime="onnx", path="", folder="", python=sys.executable, batching=BatchSettings())
    info = version_info(spec, msgspec.convert(ready, Ready))
    status = VersionStatus(
        id=id,
        state=VersionState.READY,
        runtime="onnx",
        source="",
        environment="",
        replicas_wanted=1,
        info=info,
    )
    return ModelStatus(name=id.model, versions=(status,), default_version=1)


def _request(prepared: Prepared) -> bytes:
    """What wrk sends."""
    workload, body = prepared.workload, prepared.examples[0].body
    lines = (
        f"POST {workload.salver_path} HTTP/1.1",
        "Host: 127.0.0.1:8080",
        f"Content-Type: {workload.content_type}",
        f"Content-Length: {len(body)}",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body
