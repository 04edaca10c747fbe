"""Closes the gap between the versions that should be served and the workers that run.

What happens to workers comes in as events; the pure table of ``states.py`` says what that makes of a version. Every
change is published before anybody may act on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from salver.models.states import Event, next_state
from salver.replicas.base import Engine, Failure, Ready, ReplicaSettings, ReplicaSpec, Worker
from salver.replicas.supervisor import ReplicaGroup
from salver.types import ModelStatus, ModelVersion, PayloadKind, VersionInfo, VersionState, VersionStatus

log = logging.getLogger("salver.models")


class Publisher(Protocol):
    """Brings the present state to every front end."""

    async def publish(self) -> None:
        """Tell every front end what `Reconciler.models` says now; returns when all answer from it."""

    async def attach(self, version: ModelVersion, worker: Worker) -> None:
        """Returns when every front end can reach the worker. Raises WorkerLost."""


class Entry:
    """One wanted version: its state and its replicas."""

    def __init__(self, spec: ReplicaSpec, group: ReplicaGroup) -> None:
        self.spec = spec
        self.group = group
        self.state = VersionState.QUEUED
        self.info: VersionInfo | None = None
        self.reason = ""
        self.fix = ""

    def status(self) -> VersionStatus:
        return VersionStatus(
            id=self.spec.id,
            state=self.state,
            runtime=self.spec.runtime,
            source=self.spec.source,
            environment=self.spec.python,
            replicas_wanted=self.spec.replicas,
            replicas=self.group.statuses,
            reason=self.reason,
            fix=self.fix,
            log_tail=self.group.log_tail if self.reason else (),
            info=self.info,
        )


class Reconciler:
    """Owns the life of every version. Listens to its replica groups; one loop."""

    def __init__(
        self,
        engine: Engine,
        settings: ReplicaSettings,
        publisher: Publisher,
        on_change: Callable[[VersionStatus], None],
        explain: Callable[[ReplicaSpec, Failure], Failure],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._publisher = publisher
        self._on_change = on_change
        self._explain = explain
        self._entries: dict[ModelVersion, Entry] = {}
        self._publishing: asyncio.Task[None] | None = None
        self._is_behind = False
        """Whether something changed that no front end has been told yet."""

    # What is wanted

    def want(self, specs: Sequence[ReplicaSpec]) -> None:
        """These versions should be served: from now on they are known, as queued."""
        for spec in specs:
            group = ReplicaGroup(spec, self._engine, self._settings, self)
            self._entries[spec.id] = Entry(spec, group)

    def start(self) -> None:
        """Start the workers of every version that is wanted."""
        for entry in self._entries.values():
            entry.group.start()

    async def stop(self) -> None:
        """End every worker; returns when none is left."""
        for entry in self._entries.values():
            entry.group.retire()
            self._move(entry, Event.DRAIN)
        await asyncio.gather(*(entry.group.stop() for entry in self._entries.values()))
        for entry in self._entries.values():
            self._move(entry, Event.STOPPED)
        if self._publishing is not None:
            await self._publishing

    # What is

    def models(self) -> tuple[ModelStatus, ...]:
        by_name: dict[str, list[VersionStatus]] = {}
        for entry in self._entries.values():
            by_name.setdefault(entry.spec.id.model, []).append(entry.status())
        return tuple(_model_status(name, versions) for name, versions in sorted(by_name.items()))

    def ready_workers(self) -> list[tuple[ModelVersion, Worker]]:
        return [(id, worker) for id, entry in self._entries.items() for worker in entry.group.ready_workers()]

    def group_of(self, replica_id: str) -> ReplicaGroup | None:
        return next((entry.group for entry in self._entries.values() if entry.group.worker(replica_id)), None)

    # What happens (replicas.supervisor.Listener)

    def worker_starting(self, group: ReplicaGroup) -> None:
        """No news for the user: what counts is whether it becomes ready. It does not mend a replica that has failed."""
        entry = self._entries[group.spec.id]
        if entry.state is not VersionState.FAILED:
            self._move(entry, Event.WORKER_STARTED)
        self._publish_soon()

    async def replica_ready(self, group: ReplicaGroup, worker: Worker, ready: Ready) -> None:
        entry = self._entries[group.spec.id]
        if entry.info is None:
            entry.info = version_info(group.spec, ready)
        if entry.state in (VersionState.STARTING, VersionState.CRASHLOOP, VersionState.FAILED):
            self._move(entry, Event.READY)
        has_all = group.ready_count == group.spec.replicas
        if has_all and entry.state is VersionState.DEGRADED:
            self._move(entry, Event.RECOVERED)
        elif not has_all and entry.state is VersionState.READY:
            self._move(entry, Event.REPLICA_LOST)
        if has_all:
            entry.reason = entry.fix = ""
        await self._publisher.publish()
        await self._publisher.attach(group.spec.id, worker)
        self._on_change(entry.status())

    def replica_lost(self, group: ReplicaGroup, replica_id: str, reason: str) -> None:
        entry = self._entries[group.spec.id]
        if entry.state not in (VersionState.DRAINING, VersionState.STOPPED):
            self._note(entry, f"The worker {replica_id} ended: {reason}.", "")
            self._move(entry, Event.REPLICA_LOST if group.ready_count else Event.DIED)
            if group.has_failed and not group.ready_count:
                self._move(entry, Event.FAILED)
        self._publish_soon()

    def crash_looping(self, group: ReplicaGroup, reason: str) -> None:
        self._note(
            self._entries[group.spec.id],
            f"Its worker died again and again, the last time because {reason}.",
            "Look at the last log lines; it is tried again after a pause that grows up to a minute.",
        )
        self._happened(group, Event.CRASH_LOOPED)

    def load_failed(self, group: ReplicaGroup, failure: Failure) -> None:
        entry = self._entries[group.spec.id]
        failure = self._explain(group.spec, failure)
        entry.reason, entry.fix = failure.message, failure.fix
        log.error(
            "load_failed",
            extra={
                "model": group.spec.id.model,
                "version": group.spec.id.version,
                "reason": failure.message,
                "traceback": failure.traceback,
            },
        )
        self._happened(group, Event.FAILED)

    def changed(self, group: ReplicaGroup) -> None:
        self._publish_soon()

    def _note(self, entry: Entry, reason: str, fix: str) -> None:
        """Why a replica cannot be loaded stays: it matters more than what becomes of the others."""
        if not entry.group.has_failed:
            entry.reason, entry.fix = reason, fix

    def _happened(self, group: ReplicaGroup, event: Event) -> None:
        self._move(self._entries[group.spec.id], event)
        self._publish_soon()
        self._on_change(self._entries[group.spec.id].status())

    def _move(self, entry: Entry, event: Event) -> None:
        before, entry.state = entry.state, next_state(entry.state, event)
        if before is not entry.state:
            log.info(
                "version_state",
                extra={"version": str(entry.spec.id), "from": before.value, "to": entry.state.value},
            )

    def _publish_soon(self) -> None:
        self._is_behind = True
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.get_running_loop().create_task(self._publish_changes())

    async def _publish_changes(self) -> None:
        """What changes while front ends are told is told next, however much it is."""
        while self._is_behind:
            self._is_behind = False
            await self._publisher.publish()


def version_info(spec: ReplicaSpec, ready: Ready) -> VersionInfo:
    """What the prediction path must know, from what was wanted and what the worker found."""
    is_idempotent = ready.is_idempotent if spec.is_idempotent is None else spec.is_idempotent
    return VersionInfo(
        id=spec.id,
        runtime=spec.runtime,
        payload=ready.payload,
        signatures=ready.signatures,
        batching=spec.batching,
        has_batch_dimension=ready.has_batch_dimension or ready.payload is PayloadKind.BODY,
        is_idempotent=is_idempotent,
        deadline_s=spec.deadline_s,
        description=spec.description,
        example=spec.manifest.get("example"),
        details={**spec.details, **ready.details, "runtime": ready.runtime_version, "python": ready.python},
    )


def _model_status(name: str, versions: list[VersionStatus]) -> ModelStatus:
    versions.sort(key=lambda status: -status.id.version)
    serving = [status for status in versions if status.info is not None]
    default = next(iter(serving or versions)).id.version
    return ModelStatus(name=name, versions=tuple(versions), default_version=default)
