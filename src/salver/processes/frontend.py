"""One front end: its doors, its gate, its pipeline. It reads only memory; the control half tells it what to know."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import uvicorn
from uvicorn.server import ServerState

from salver.access.audit import AuditEvent
from salver.access.authenticator import Authenticator
from salver.access.base import AccessSettings
from salver.access.keys import KeyRing
from salver.access.limits import RateLimiter
from salver.errors import SalverError
from salver.models.workflows.base import Workflow
from salver.net.base import NetSettings
from salver.net.edge import Edge
from salver.net.http import LaneProtocol
from salver.net.ordinary import OrdinaryRoad
from salver.net.uploads import UploadProtocol, Uploads
from salver.operations.base import Call, Operation
from salver.operations.describing import Describing
from salver.operations.flows import Flows
from salver.operations.gate import Gate
from salver.operations.inference import Predictions
from salver.operations.requestids import RequestIds
from salver.operations.unread import UnreadPredictions
from salver.processes.base import Control, Door
from salver.processes.doors import open_local_door, remove_socket
from salver.processes.queries import Queries
from salver.replicas.link import Link
from salver.replicas.slab import Slab
from salver.serving.batching.queue import VersionQueue
from salver.serving.parking import Parking
from salver.serving.pipeline import Pipeline
from salver.store.base import KeyRecord
from salver.telemetry import logging as event_log
from salver.telemetry.accesslog import AccessLog
from salver.telemetry.counters import BatchCount, Counters, Report, SizeCount
from salver.telemetry.meter import Meter
from salver.types import ModelStatus, ModelVersion, VersionInfo
from salver.wire.base import GrpcWire, Wire

if TYPE_CHECKING:
    from salver.net.grpc.server import GrpcEdge

log = logging.getLogger("salver.frontend")
BACKLOG = 1024
GOODBYE_S = 0.5
"""How long the answers to requests that are given up at the end may take to leave."""


class FrontEndSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The groups that a front end acts on."""

    net: NetSettings
    access: AccessSettings
    deadline_s: float
    deadline_grace_s: float
    socket_path: str | None
    """Where this front end answers the server's own user; None when another one does."""
    uploads: str | None = None
    """The folder where it puts what is published; None: nothing is published here."""


class WireMaker(Protocol):
    def __call__(self, front_end: FrontEnd) -> Mapping[str, Wire]: ...


class GrpcWireMaker(Protocol):
    def __call__(self, front_end: FrontEnd, /) -> Mapping[str, GrpcWire]:
        """Called only where there is a door of gRPC."""


class FrontEnd:
    """Answers clients on one event loop. Made once; `listen`, then `drain`, then `finish`, then `close`."""

    def __init__(
        self,
        settings: FrontEndSettings,
        doors: Sequence[Door],
        open_door: Callable[[Door], socket.socket],
        slab: Slab,
        operations: tuple[Operation, ...],
        control: Control,
        make_wires: WireMaker,
        access_log: AccessLog,
        loop: asyncio.AbstractEventLoop,
        *,
        make_grpc_wires: GrpcWireMaker | None = None,
    ) -> None:
        self.settings = settings
        self._doors = doors
        self._open_door = open_door
        self._control = control
        self._loop = loop
        self._slab = slab
        self.slab_fd = slab.fd
        self.slab_bytes = slab.size_bytes
        self.counters = Counters()
        self._access_log = access_log
        self.pipeline = Pipeline(loop, self, deadline_grace_s=settings.deadline_grace_s)
        self._authenticator = Authenticator(settings.access, server_uid=os.getuid(), keys=KeyRing(()))
        self.new_request_id: Callable[[], str] = RequestIds().next
        self.is_draining = False
        queries = self._queries = Queries(
            self.pipeline,
            control,
            lambda: self.is_draining,
            workflows=lambda: self.flows.known,
            describe=lambda version, call: self._describing.ask(version, call),
        )
        self.gate = Gate(
            operations,
            queries.bodies(),
            authenticator=self._authenticator,
            limiter=RateLimiter(),
            auditor=self,
            meter=Meter(self.counters, access_log),
            new_request_id=self.new_request_id,
        )
        self._predictions = Predictions(
            self.gate,
            self.pipeline,
            loop,
            default_deadline_s=settings.deadline_s,
            waker=Parking(control.wake, loop),
        )
        self.flows = Flows(self.gate, self._predictions.start_as)
        self._predictions.others = self.flows
        self._describing = Describing(self._predictions.start_as, loop)
        self.wires = make_wires(self)
        queries.wire_names = tuple(sorted(self.wires))
        self._make_grpc_wires = make_grpc_wires
        self._edges: list[Edge] = []
        self._grpc_edges: list[GrpcEdge] = []
        self._servers: list[asyncio.Server] = []
        self._own_sockets: list[str] = []
        """The paths of the sockets that this front end answers at."""

    # What the control half says (processes.base.FrontEndHandle)

    async def publish(self, models: Sequence[ModelStatus]) -> None:
        self.pipeline.apply(models)
        for edge in self._edges:
            edge.forget_routes()

    async def set_keys(self, keys: Sequence[KeyRecord]) -> None:
        self._authenticator.keys = KeyRing(tuple(keys))

    async def set_workflows(self, workflows: Sequence[Workflow]) -> None:
        self.flows.known = {workflow.name: workflow for workflow in workflows}

    async def set_log_level(self, level: str) -> None:
        event_log.set_level(level)

    async def attach(self, version: ModelVersion, replica_id: str, link_number: int, sock: socket.socket) -> None:
        sock.setblocking(False)
        link = Link(replica_id, link_number, self.pipeline)
        try:
            await self._loop.create_unix_connection(lambda: link, sock=sock)
        except BaseException:
            sock.close()
            raise
        self.pipeline.attach(version, link)

    async def let_go(self, replica_ids: Collection[str]) -> bool:
        return self.pipeline.let_go(replica_ids)

    async def report(self) -> Report:
        return Report(
            requests=self.counters.requests(),
            batches=await self.batches(),
            connections=sum(len(edge.connections) for edge in self._edges),
            refused_connections=sum(edge.refused_connections for edge in self._edges),
            dropped_log_lines=self._access_log.dropped_lines,
        )

    async def batches(self) -> tuple[BatchCount, ...]:
        return tuple(_batch_count(id, queue) for id, queue in self.pipeline.queues.items())

    async def listen(self) -> None:
        for door in self._doors:
            if door.is_grpc:
                await self._listen_grpc(door)
                continue
            protocol = self._door_protocol(door.wires)
            sock = self._open_door(door)
            if door.path:
                self._own_sockets.append(door.path)
                self._servers.append(await self._loop.create_unix_server(protocol, sock=sock, backlog=BACKLOG))
            else:
                self._servers.append(await self._loop.create_server(protocol, sock=sock, backlog=BACKLOG))
        if self.settings.socket_path is not None:
            await self._listen_locally(self.settings.socket_path)

    async def _listen_grpc(self, door: Door) -> None:
        assert self._make_grpc_wires is not None
        wires = self._make_grpc_wires(self)
        from salver.net.grpc.server import GrpcEdge  # the library is loaded only where it is asked for

        edge = GrpcEdge(
            self.settings.net,
            self.gate,
            UnreadPredictions(self.gate, self._predictions),
            [wires[name] for name in door.wires],
            lambda: self._queries.health(may_know=False).is_ready,
            self._loop,
        )
        self._grpc_edges.append(edge)
        await edge.listen(door.host, door.port)

    async def _listen_locally(self, path: str) -> None:
        """The door of the server's own user: the kernel says who is at the other end."""
        protocol = self._door_protocol(tuple(self.wires))
        sock = open_local_door(path)
        self._own_sockets.append(path)
        self._servers.append(await self._loop.create_unix_server(protocol, sock=sock, backlog=BACKLOG))

    def _door_protocol(self, names: Sequence[str]) -> Callable[[], LaneProtocol]:
        wires = [self.wires[name] for name in names]
        net = self.settings.net
        edge = Edge(net, self._predictions, wires, self._loop, self._slab, hosts=_hosts(net, self._doors))
        self._edges.append(edge)
        max_upload_bytes = int(net.max_upload_mb * 1024 * 1024)
        folder = self.settings.uploads
        uploads = None if folder is None else Uploads(Path(folder), max_upload_bytes)
        road = OrdinaryRoad(self.gate, wires, uploads, new_request_id=self.new_request_id)
        config = uvicorn.Config(
            road,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
            server_header=False,
            timeout_keep_alive=int(net.keep_alive_s),
        )
        config.load()
        state = ServerState()
        return lambda: UploadProtocol(edge, config, state, road.takes_upload, max_upload_bytes)

    async def drain(self) -> None:
        self.is_draining = True
        for edge in self._edges:
            edge.drain()

    async def finish(self, timeout_s: float) -> None:
        for server in self._servers:
            server.close()
        await self.drain()
        for edge in self._edges:
            edge.close_idle()
        async with asyncio.TaskGroup() as ending:
            for grpc_edge in self._grpc_edges:
                ending.create_task(grpc_edge.finish(timeout_s + GOODBYE_S))
            await self._wait_until_idle(timeout_s)
            self.pipeline.close()
            await self._wait_until_idle(GOODBYE_S)
        for edge in self._edges:
            edge.close()
        self._access_log.close()
        for path in self._own_sockets:
            remove_socket(path)

    def abandon(self, reason: str) -> None:
        """In this process there is nobody who could take its place, so it goes on as well as it can."""
        log.error("front_end_is_out_of_date", extra={"reason": reason})

    def close(self) -> None:
        """Let go of the slab, once no worker can be given it any more."""
        self._slab.close()

    async def _wait_until_idle(self, timeout_s: float) -> None:
        deadline = self._loop.time() + timeout_s
        while self._loop.time() < deadline and self._is_busy():
            await asyncio.sleep(0.01)
            for edge in self._edges:
                edge.close_idle()

    def _is_busy(self) -> bool:
        edges: tuple[Edge | GrpcEdge, ...] = (*self._edges, *self._grpc_edges)
        return not self.pipeline.is_idle or any(edge.is_busy for edge in edges)

    # What the pipeline and the gate ask for

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None:
        self._control.cancel_batch(replica_id, link_number, batch_id)

    def replace_worker(self, replica_id: str, reason: str) -> None:
        self._control.replace_worker(replica_id, reason)

    def log_model_error(self, version: VersionInfo, request_id: str, header: dict[str, Any]) -> None:
        log.warning(
            "model_error",
            extra={
                "version": str(version.id),
                "request_id": request_id,
                "code": header.get("code"),
                "exception": header.get("exception"),
                "detail": header.get("detail"),
            },
        )

    def denied(self, call: Call, error: SalverError) -> None:
        self._control.denied(
            AuditEvent(
                principal=call.principal.id,
                operation=call.operation.name,
                outcome=error.code.value,
                is_allowed=False,
                scope=f"model/{call.model}" if call.model else "server",
                request_id=call.request_id,
                peer=call.peer,
                detail=error.log_detail,
            )
        )


def _batch_count(id: ModelVersion, queue: VersionQueue) -> BatchCount:
    times = queue.times
    return BatchCount(
        model=id.model,
        version=id.version,
        batches=times.batches,
        rows=times.rows,
        waiting_rows=queue.waiting_rows,
        flying_rows=queue.flying_rows,
        sizes=tuple(
            SizeCount(rows=rows, batches=size.batches, seconds=size.seconds)
            for rows, size in sorted(times.by_rows.items())
        ),
        request_seconds=times.request_seconds,
        last_at=time.time() - (time.monotonic() - times.last_at) if times.last_at else 0.0,
    )


def _hosts(net: NetSettings, doors: Sequence[Door]) -> frozenset[str]:
    own = {door.host.lower() for door in doors}
    return frozenset({"localhost", net.host.lower(), *own, *(host.lower() for host in net.allowed_hosts)})
