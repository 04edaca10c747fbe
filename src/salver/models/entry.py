"""One life of a version as the reconciler keeps it: its replicas, its state, and what others are told of it."""

from __future__ import annotations

import asyncio
import operator
import time

import msgspec

from salver.models.lifeline import Life
from salver.models.states import SERVING
from salver.replicas.base import Failure, Ready, ReplicaSpec
from salver.replicas.supervisor import ReplicaGroup
from salver.types import ModelVersion, PayloadKind, VersionFailure, VersionInfo, VersionState, VersionStatus


class Entry:
    """One life. `group` is started at most once."""

    def __init__(self, number: int, group: ReplicaGroup) -> None:
        self.number = number
        self.group = group
        self.state = VersionState.QUEUED
        self.info: VersionInfo | None = None
        self.reason = ""
        self.fix = ""
        self.failure: VersionFailure | None = None
        """Why it could not be loaded, in this life or in one before."""
        self.reached: set[str] = set()
        """Workers that every front end was given a link to."""
        self.has_served = False
        self.has_begun = False
        """Whether its group was started, or will be with all others."""
        self.is_failure_kept = False
        self.is_over = False
        self.environment = "" if group.spec.environment is None else group.spec.environment.label
        """What it runs in, in words; empty: the interpreter as it is."""
        self.is_waiting = False
        """Whether its environment was built, and its workers were not started yet."""
        self._asleep: tuple[tuple[object, ...], VersionStatus] | None = None
        """What was told of it last while it slept, and what of."""
        self.building: asyncio.Task[None] | None = None
        """What brings its environment about."""

    @property
    def id(self) -> ModelVersion:
        return self.group.spec.id

    @property
    def is_ending(self) -> bool:
        return self.life().is_ending

    @property
    def is_serving(self) -> bool:
        return self.state in SERVING and any(worker.id in self.reached for worker in self.group.ready_workers())

    def life(self) -> Life:
        """What counts when it is decided what to do."""
        return Life(
            number=self.number,
            spec=self.group.spec,
            state=self.state,
            is_serving=self.is_serving,
            has_served=self.has_served,
            is_failure_kept=self.is_failure_kept,
            is_waiting=self.is_waiting,
            is_over=self.is_over,
        )

    @property
    def log_tail(self) -> tuple[str, ...]:
        """The last lines of its workers' logs, or of those that failed before this life."""
        kept = () if self.failure is None else self.failure.log_tail
        return self.group.log_tail or kept

    def end_building(self) -> None:
        """Nobody waits for its environment any more."""
        if self.building is not None:
            self.building.cancel()

    def note_failure(self, failure: VersionFailure) -> None:
        self.failure = failure
        self.reason, self.fix = failure.message, failure.fix

    def status(self) -> VersionStatus:
        """The same object as before where nothing happened to a version that sleeps: most do, where there are many."""
        if self.state is not VersionState.UNLOADED or self.reason:
            return self._status()
        facts = (self.group.spec, self.info, self.environment, self.fix)
        if self._asleep is None or not all(map(operator.is_, self._asleep[0], facts)):
            self._asleep = facts, self._status()
        return self._asleep[1]

    def _status(self) -> VersionStatus:
        spec = self.group.spec
        is_at_rest = self.state is VersionState.UNLOADED or (not self.has_begun and self.state is VersionState.FAILED)
        return VersionStatus(
            id=spec.id,
            state=self.state,
            runtime=spec.runtime,
            source=spec.source,
            environment=self.environment or spec.python,
            replicas_wanted=0 if self.state is VersionState.UNLOADED else spec.replicas,
            replicas=() if is_at_rest else self.group.statuses,
            reason=self.reason,
            fix=self.fix,
            log_tail=self.log_tail if self.reason else (),
            info=self.info,
            own_name=spec.own_name,
            batching=spec.batching,
        )


def shown(entries: list[Entry]) -> VersionStatus:
    """What is told of a version: of the life that answers, else of the newest; and what keeps a newer one from it."""
    entry = max(entries, key=_prominence) if len(entries) > 1 else entries[0]
    status = entry.status()
    newest = entries[-1]
    if newest is not entry and newest.state is VersionState.FAILED:
        return msgspec.structs.replace(
            status, reason=f"Its new form cannot be loaded, the old one still answers. {newest.reason}", fix=newest.fix
        )
    return status


def _prominence(entry: Entry) -> tuple[bool, bool, bool, int]:
    return (not entry.is_ending, entry.state in SERVING, entry.has_served, entry.number)


def kept_failure(failure: Failure, log_tail: tuple[str, ...]) -> VersionFailure:
    """What a worker said, as it is kept over a restart."""
    return VersionFailure(
        code=failure.code,
        message=failure.message,
        fix=failure.fix,
        exception=failure.exception,
        log_tail=log_tail,
        at=time.time(),
    )


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
        gives_parts=ready.gives_parts,
        deadline_s=spec.deadline_s,
        description=spec.description,
        example=spec.manifest.get("example"),
        labels=spec.labels,
        config=spec.config,
        unbatched=ready.unbatched,
        signature_defs=ready.signature_defs,
        details={**spec.details, **ready.details, "runtime": ready.runtime_version, "python": ready.python},
    )
