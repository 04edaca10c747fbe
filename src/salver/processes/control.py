"""The control half: it alone owns the store, the workers' lives and what is served; front ends hear of every change."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from salver import __version__
from salver.access.administration import Administration
from salver.access.audit import AuditEvent, AuditLog
from salver.errors import SalverError
from salver.models.reconciler import Reconciler
from salver.operations import access, server
from salver.processes.base import ControlRequest, FrontEndHandle
from salver.replicas.base import Engine, Failure, ReplicaSettings, ReplicaSpec, Worker, WorkerLost
from salver.telemetry.counters import merged
from salver.telemetry.exposition import render
from salver.types import ModelVersion, VersionStatus

log = logging.getLogger("salver.control")


class ControlHalf:
    """Serves front ends (processes.base.Control) and listens to the reconciler (models.reconciler.Publisher)."""

    def __init__(
        self,
        engine: Engine,
        replica_settings: ReplicaSettings,
        administration: Administration,
        audit: AuditLog,
        on_change: Callable[[VersionStatus], None],
        explain: Callable[[ReplicaSpec, Failure], Failure],
    ) -> None:
        self._administration = administration
        self._audit = audit
        self.reconciler = Reconciler(engine, replica_settings, self, on_change, explain)
        self._front_ends: list[FrontEndHandle] = []
        self._link_numbers = itertools.count(1)
        self._publish_lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._operations: dict[str, Callable[[ControlRequest], Awaitable[Any]]] = {
            access.KEYS_CREATE.name: self._create_key,
            access.KEYS_LIST.name: self._list_keys,
            access.KEYS_REVOKE.name: self._revoke_key,
            access.AUDIT_READ.name: self._read_audit,
            server.METRICS.name: self._metrics,
        }

    # Front ends

    async def add_front_end(self, front_end: FrontEndHandle) -> None:
        """Bring a new front end up to date; from then on it hears of every change."""
        async with self._publish_lock:
            await front_end.set_keys(await asyncio.to_thread(self._administration.keys))
            await front_end.publish(self.reconciler.models())
            self._front_ends.append(front_end)
        for version, worker in self.reconciler.ready_workers():
            try:
                await self._attach(front_end, version, worker)
            except WorkerLost:
                continue

    def remove_front_end(self, front_end: FrontEndHandle) -> None:
        if front_end in self._front_ends:
            self._front_ends.remove(front_end)

    @property
    def front_ends(self) -> Sequence[FrontEndHandle]:
        return tuple(self._front_ends)

    # models.reconciler.Publisher

    async def publish(self) -> None:
        async with self._publish_lock:
            current = self.reconciler.models()
            await self._tell_all(lambda front_end: front_end.publish(current))

    async def attach(self, version: ModelVersion, worker: Worker) -> None:
        for front_end in self.front_ends:
            await self._attach(front_end, version, worker)

    async def _attach(self, front_end: FrontEndHandle, version: ModelVersion, worker: Worker) -> None:
        number = next(self._link_numbers)
        sock = await worker.attach(number, front_end.slab_fd, front_end.slab_bytes)
        await front_end.attach(version, worker.id, number, sock)

    async def _tell_all(self, tell: Callable[[FrontEndHandle], Awaitable[None]]) -> None:
        """A front end that is gone is somebody else's concern here: it is replaced and brought up to date."""
        results = await asyncio.gather(*(tell(each) for each in self.front_ends), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                log.warning("front_end_missed_a_change", extra={"error": repr(result)})

    # processes.base.Control

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None:
        group = self.reconciler.group_of(replica_id)
        if group is not None:
            self._spawn(group.cancel(replica_id, link_number, batch_id))

    def replace_worker(self, replica_id: str, reason: str) -> None:
        group = self.reconciler.group_of(replica_id)
        if group is not None:
            group.replace(replica_id, reason)

    def denied(self, event: AuditEvent) -> None:
        self._audit.note_denial(event)

    async def operate(self, request: ControlRequest) -> msgspec.Raw:
        """Run a permitted operation. A change of state is in the audit log before this returns."""
        result = await self._operations[request.operation](request)
        return msgspec.Raw(msgspec.msgpack.encode(result))

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Operations

    async def _create_key(self, request: ControlRequest) -> access.CreatedKey:
        asked = msgspec.msgpack.decode(request.parameters, type=access.CreateKey)
        text, record = await self._audited(
            request,
            f"role={asked.role} label={asked.label}",
            lambda: self._administration.create_key(
                request.principal,
                label=asked.label,
                role=asked.role,
                models=asked.models,
                expires_in_days=asked.expires_in_days,
                requests_per_second=asked.requests_per_second,
            ),
        )
        await self._spread_keys()
        return access.CreatedKey(key=text, record=record)

    async def _list_keys(self, request: ControlRequest) -> Any:
        return await asyncio.to_thread(self._administration.keys)

    async def _revoke_key(self, request: ControlRequest) -> Any:
        asked = msgspec.msgpack.decode(request.parameters, type=access.RevokeKey)
        record = await self._audited(request, f"key={asked.id}", lambda: self._administration.revoke_key(asked.id))
        await self._spread_keys()
        return record

    async def _read_audit(self, request: ControlRequest) -> Any:
        asked = msgspec.msgpack.decode(request.parameters, type=access.ReadAudit)
        return await asyncio.to_thread(self._administration.audit, asked.limit)

    async def _metrics(self, request: ControlRequest) -> bytes:
        reports = await asyncio.gather(*(each.report() for each in self.front_ends), return_exceptions=True)
        total = merged(report for report in reports if not isinstance(report, BaseException))
        models = self.reconciler.models()
        return await asyncio.to_thread(render, total, models, __version__)

    async def _spread_keys(self) -> None:
        keys = await asyncio.to_thread(self._administration.keys)
        await self._tell_all(lambda front_end: front_end.set_keys(keys))

    async def _audited(self, request: ControlRequest, detail: str, change: Callable[[], Any]) -> Any:
        def run() -> Any:
            outcome = "OK"
            try:
                return change()
            except SalverError as error:
                outcome = error.code.value
                raise
            finally:
                self._audit.record(_event(request, outcome, detail))

        return await asyncio.to_thread(run)

    # The end

    async def stop(self, *, drain_delay_s: float, drain_timeout_s: float) -> None:
        """Not ready, the lame-duck delay, what is in flight, then the workers."""
        await self._tell_all(lambda front_end: front_end.drain())
        await asyncio.sleep(drain_delay_s)
        await self._tell_all(lambda front_end: front_end.finish(drain_timeout_s))
        await self.reconciler.stop()


def _event(request: ControlRequest, outcome: str, detail: str) -> AuditEvent:
    return AuditEvent(
        principal=request.principal.id,
        operation=request.operation,
        outcome=outcome,
        is_allowed=outcome != "PERMISSION_DENIED",
        request_id=request.request_id,
        peer=request.peer,
        detail=detail,
    )
