"""The control half: it alone owns the store, the workers' lives and what is served; front ends hear of every change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from salver import __version__
from salver.access.administration import Administration
from salver.access.audit import AuditEvent, AuditLog
from salver.access.keyfile import KeyFile
from salver.errors import Code, RequestError, SalverError
from salver.models.reconciler import Reconciler
from salver.models.residence import Residence
from salver.operations import access, server
from salver.processes.audience import Audience
from salver.processes.base import ControlRequest
from salver.replicas.base import Engine, Failure, ReplicaSettings, ReplicaSpec
from salver.replicas.environments.base import Environments
from salver.store.base import AuditLine, KeyRecord
from salver.telemetry import logging as event_log
from salver.telemetry.counters import BatchCount, Report, merged
from salver.telemetry.exposition import render
from salver.telemetry.live import BUCKETS_S
from salver.telemetry.torchservepage import only, torchserve_page
from salver.types import VersionStatus

log = logging.getLogger("salver.control")
T = TypeVar("T")


class ControlHalf:
    """What front ends ask for (processes.base.Control), and what becomes of them and of the models at the end."""

    def __init__(
        self,
        engine: Engine,
        replica_settings: ReplicaSettings,
        administration: Administration,
        audit: AuditLog,
        on_change: Callable[[VersionStatus], None],
        explain: Callable[[ReplicaSpec, Failure], Failure],
        environments: Environments,
    ) -> None:
        self._administration = administration
        self._audit = audit
        self.front_ends = Audience(
            lambda: self.reconciler.models(), lambda: self.reconciler.ready_workers(), administration.keys
        )
        self.reconciler = Reconciler(engine, replica_settings, self.front_ends, on_change, explain, environments)
        self._watching: list[asyncio.Task[None]] = []
        self.key_file: KeyFile | None = None
        self._environments = environments
        self.residence: Residence | None = None
        """Wakes what is loaded on demand."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._operations: dict[str, Callable[[ControlRequest], Awaitable[Any]]] = {
            access.KEYS_CREATE.name: self._create_key,
            access.KEYS_LIST.name: self._list_keys,
            access.KEYS_REVOKE.name: self._revoke_key,
            access.KEYS_RENEW.name: self._renew_key,
            access.AUDIT_READ.name: self._read_audit,
            server.METRICS.name: self._metrics,
            server.COUNTS.name: self._counts,
            server.SET_LOGGING.name: self._set_logging,
        }

    def watch(self, watching: Coroutine[Any, Any, None]) -> None:
        """Have something looked after until the end."""
        task = asyncio.get_running_loop().create_task(watching)
        task.add_done_callback(_has_ended)
        self._watching.append(task)

    def add_operations(self, bodies: Mapping[str, Callable[[ControlRequest], Awaitable[Any]]]) -> None:
        """Further operations that are run here, by name."""
        self._operations.update(bodies)

    # processes.base.Control

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None:
        group = self.reconciler.group_of(replica_id)
        if group is not None:
            self._spawn(group.cancel(replica_id, link_number, batch_id))

    def replace_worker(self, replica_id: str, reason: str) -> None:
        group = self.reconciler.group_of(replica_id)
        if group is not None:
            group.replace(replica_id, reason)

    async def wake(self, model: str, version: int | None) -> None:
        if self.residence is None:
            raise SalverError(Code.INTERNAL, "Nothing is loaded on demand here.")
        await self.residence.wake(model, version)

    async def count_batches(self) -> Sequence[BatchCount]:
        """What the queues of all front ends did so far."""
        return await self.front_ends.batches()

    def denied(self, event: AuditEvent) -> None:
        self._audit.note_denial(event)

    async def operate(self, request: ControlRequest) -> msgspec.Raw:
        """Run a permitted operation. A change of state is in the audit log before this returns."""
        body = self._operations.get(request.operation)
        if body is None:
            raise SalverError(Code.INTERNAL, f"The control half has no operation {request.operation}.")
        return msgspec.Raw(msgspec.msgpack.encode(await body(request)))

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Operations

    async def _create_key(self, request: ControlRequest) -> access.CreatedKey:
        asked = msgspec.msgpack.decode(request.parameters, type=access.CreateKey)
        text, record = await self._change_keys(
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
        return access.CreatedKey(key=text, record=record)

    async def _list_keys(self, request: ControlRequest) -> tuple[KeyRecord, ...]:
        return await asyncio.to_thread(self._administration.keys)

    async def _revoke_key(self, request: ControlRequest) -> KeyRecord:
        asked = msgspec.msgpack.decode(request.parameters, type=access.RevokeKey)
        return await self._change_keys(request, f"key={asked.id}", lambda: self._administration.revoke_key(asked.id))

    async def _renew_key(self, request: ControlRequest) -> KeyRecord:
        asked = msgspec.msgpack.decode(request.parameters, type=access.RenewKey)
        file = self.key_file
        if file is None:
            raise RequestError(
                Code.INVALID_INPUT, "The server has no key file.", fix="Start it with --token-authorization."
            )
        return await self._change_keys(request, f"kind={asked.kind}", lambda: file.renew(asked.kind))

    async def _read_audit(self, request: ControlRequest) -> tuple[AuditLine, ...]:
        asked = msgspec.msgpack.decode(request.parameters, type=access.ReadAudit)
        return await asyncio.to_thread(self._administration.audit, asked.limit)

    async def _metrics(self, request: ControlRequest) -> bytes:
        asked = msgspec.msgpack.decode(request.parameters, type=server.GetMetrics)
        return await self._page(merged(await self.front_ends.reports()), asked)

    async def _counts(self, request: ControlRequest) -> server.Counts:
        total = merged(await self.front_ends.reports())
        calls = tuple(
            server.CallCount(
                operation=key.operation,
                model=key.model,
                version=key.version,
                wire=key.wire,
                codes=count.codes,
                buckets=tuple(count.buckets),
                seconds=count.seconds,
                rows=count.rows,
            )
            for key, count in total.requests
        )
        return server.Counts(calls=calls, bounds_s=BUCKETS_S, page=await self._page(total, server.GetMetrics()))

    async def _page(self, total: Report, asked: server.GetMetrics) -> bytes:
        models = self.reconciler.models()
        if asked.form == "torchserve":
            measures = only(self.reconciler.measures() if asked.has_measures else (), asked.declared)
            return await asyncio.to_thread(torchserve_page, total, models, measures, asked.names)
        return await asyncio.to_thread(render, total, models, __version__, self._audit.lost)

    async def _set_logging(self, request: ControlRequest) -> server.LogLevel:
        """Audited like every change, and in force in all processes when this returns."""
        asked = msgspec.msgpack.decode(request.parameters, type=server.SetLogging)
        level = asked.over(msgspec.convert(event_log.level(), server.Level))
        event_log.set_level(level)
        await self.front_ends.set_log_level(level)
        await asyncio.to_thread(self._audit.record, _event(request, "OK", f"level={level}"))
        return server.LogLevel(level)

    async def _change_keys(self, request: ControlRequest, detail: str, change: Callable[[], T]) -> T:
        """Change, audit, and spread what stands then: also when only the audit failed and the change was made."""
        try:
            return await asyncio.to_thread(self._audited, request, detail, change)
        finally:
            await self.front_ends.spread_keys()

    def _audited(self, request: ControlRequest, detail: str, change: Callable[[], T]) -> T:
        """Blocks for the disk."""
        outcome = Code.INTERNAL.value
        try:
            result = change()
            outcome = "OK"
        except SalverError as error:
            outcome = error.code.value
            raise
        finally:
            self._audit.record(_event(request, outcome, detail))
        return result

    # The end

    async def stop(self, *, drain_delay_s: float, drain_timeout_s: float) -> None:
        """Not ready, the lame-duck delay, what is in flight, then the workers."""
        await self.front_ends.drain()
        await asyncio.sleep(drain_delay_s)
        await self.front_ends.finish(drain_timeout_s)
        for task in self._watching:
            task.cancel()
        await self.reconciler.stop()
        await self._environments.stop()


def _has_ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("watch_failed", exc_info=task.exception())


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
