"""Keeps the wanted number of workers of one version alive, and says what happens to them.

One task per replica: start, load, watch, and after a death the same again, with pauses that grow. A model that says it
cannot load is not tried again; a process that dies while it loads is.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from typing import Protocol

import msgspec

from salver.errors import Code, LoadError
from salver.replicas.backoff import crashes_in_a_row, is_crash_loop, pause_s
from salver.replicas.base import Engine, Failure, LoadFailed, Ready, ReplicaSettings, ReplicaSpec, Worker, WorkerLost
from salver.types import ReplicaStatus

log = logging.getLogger("salver.replicas")
_ids = itertools.count(1)


class Listener(Protocol):
    """Who acts on what happens to replicas. Called on the supervisor's loop."""

    def worker_started(self, group: ReplicaGroup) -> None: ...

    async def replica_ready(self, group: ReplicaGroup, worker: Worker, ready: Ready) -> None:
        """The replica counts as ready when this returns: by then every front end can reach it."""

    def replica_lost(self, group: ReplicaGroup, replica_id: str, reason: str) -> None: ...

    def crash_looping(self, group: ReplicaGroup, reason: str) -> None: ...

    def load_failed(self, group: ReplicaGroup, failure: Failure) -> None: ...

    def changed(self, group: ReplicaGroup) -> None:
        """Figures changed (memory), nothing happened."""


class Slot:
    """One wanted replica: its present worker and what is known of it."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self.state = "STARTING"
        self.started_at = time.time()
        self.restarts = 0
        self.crashes = 0
        self.rss_bytes = 0
        self.reason = ""
        self.last_words: tuple[str, ...] = ()
        """The end of the log of the worker before the present one."""

    @property
    def log_tail(self) -> tuple[str, ...]:
        """What its worker printed last; what the one before printed as long as the present one says nothing."""
        return (self.worker.log_tail if self.worker is not None else ()) or self.last_words

    def status(self) -> ReplicaStatus:
        worker = self.worker
        return ReplicaStatus(
            id=worker.id if worker is not None else "",
            pid=worker.pid if worker is not None else None,
            state=self.state,
            started_at=self.started_at,
            restarts=self.restarts,
            rss_bytes=self.rss_bytes,
            reason=self.reason,
        )


class ReplicaGroup:
    """The replicas of one version. `start` and `stop` are called once each."""

    def __init__(self, spec: ReplicaSpec, engine: Engine, settings: ReplicaSettings, listener: Listener) -> None:
        self.spec = spec
        self._engine = engine
        self._settings = settings
        self._listener = listener
        self._slots = [Slot() for _ in range(spec.replicas)]
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False

    @property
    def statuses(self) -> tuple[ReplicaStatus, ...]:
        return tuple(slot.status() for slot in self._slots)

    @property
    def ready_count(self) -> int:
        return sum(slot.state == "READY" for slot in self._slots)

    @property
    def log_tail(self) -> tuple[str, ...]:
        return next((slot.log_tail for slot in self._slots if slot.log_tail), ())

    def worker(self, replica_id: str) -> Worker | None:
        return next((slot.worker for slot in self._slots if slot.worker and slot.worker.id == replica_id), None)

    def ready_workers(self) -> list[Worker]:
        return [slot.worker for slot in self._slots if slot.worker is not None and slot.state == "READY"]

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep_alive(slot)) for slot in self._slots]

    async def stop(self) -> None:
        """End every worker: what runs may finish within the grace. No worker is left when this returns."""
        self._is_stopping = True
        workers = [slot.worker for slot in self._slots if slot.worker is not None]
        await asyncio.gather(*(worker.stop(self._settings.stop_grace_s) for worker in workers))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # One replica's life

    async def _keep_alive(self, slot: Slot) -> None:
        try:
            while True:
                ready_at = await self._one_life(slot)
                if self._is_stopping:
                    return
                lived_s = time.monotonic() - ready_at if ready_at else 0.0
                slot.crashes = crashes_in_a_row(slot.crashes, lived_s)
                slot.restarts += 1
                if is_crash_loop(slot.crashes):
                    slot.state = "CRASHLOOP"
                    self._listener.crash_looping(self, slot.reason)
                await asyncio.sleep(pause_s(slot.crashes, self._settings.backoff_min_s, self._settings.backoff_max_s))
        except LoadFailed as failed:
            slot.state = "FAILED"
            slot.reason = failed.failure.message
            self._listener.load_failed(self, failed.failure)

    async def _one_life(self, slot: Slot) -> float:
        """From start to death; returns when the worker became ready, on the monotonic clock, or 0.0 if it never did."""
        slot.started_at = time.time()
        replica_id = f"{self.spec.id.model}-{self.spec.id.version}-{next(_ids)}"
        try:
            worker = await self._engine.start(self.spec, replica_id)
        except LoadError as error:
            raise LoadFailed(Failure(code=error.code.value, message=error.message, fix=error.fix)) from error
        slot.worker = worker
        if slot.state != "CRASHLOOP":
            slot.state = "STARTING"
        self._listener.worker_started(self)
        ready_at = 0.0
        death = asyncio.get_running_loop().create_task(worker.wait())
        try:
            await self._load(worker, slot)
            ready_at = time.monotonic()
            await self._watch(worker, slot, death)
        except WorkerLost:
            pass
        except BaseException:
            worker.kill()
            await death
            raise
        slot.reason = await death
        slot.last_words = worker.log_tail or slot.last_words
        was_ready = bool(ready_at)
        slot.state = "LOST"
        level = logging.INFO if self._is_stopping else logging.WARNING
        log.log(level, "worker_ended", extra={"replica": worker.id, "reason": slot.reason, "was_ready": was_ready})
        self._listener.replica_lost(self, worker.id, slot.reason)
        return ready_at

    async def _load(self, worker: Worker, slot: Slot) -> None:
        limit = self._settings.load_timeout_s
        try:
            ready = await asyncio.wait_for(worker.load(), limit)
        except TimeoutError:
            worker.kill()
            raise LoadFailed(
                Failure(
                    code=Code.LOAD_FAILED.value,
                    message=f"The model was not loaded within {limit:g} s.",
                    fix="Look at the model's log for what it waits for, or raise --load-timeout-s.",
                )
            ) from None
        except msgspec.ValidationError as error:
            worker.kill()
            message = f"The worker broke the protocol: {error}."
            raise LoadFailed(Failure(code=Code.LOAD_FAILED.value, message=message)) from error
        slot.rss_bytes = ready.rss
        slot.reason = ""
        slot.state = "READY"
        await self._listener.replica_ready(self, worker, ready)

    async def _watch(self, worker: Worker, slot: Slot, death: asyncio.Task[str]) -> None:
        """Ask for signs of life until the worker ends; one that gives none is killed."""
        while not death.done():
            await asyncio.wait([death], timeout=self._settings.heartbeat_s)
            if death.done():
                return
            try:
                slot.rss_bytes = await asyncio.wait_for(worker.ping(), self._settings.heartbeat_timeout_s)
            except TimeoutError:
                log.warning("worker_killed", extra={"replica": worker.id, "reason": "it gave no sign of life"})
                worker.kill()
            self._listener.changed(self)

    def replace(self, replica_id: str, reason: str) -> None:
        """Kill one worker; its task starts the next."""
        worker = self.worker(replica_id)
        if worker is not None:
            log.warning("worker_killed", extra={"replica": replica_id, "reason": reason})
            worker.kill()

    async def cancel(self, replica_id: str, link_number: int, batch_id: int) -> None:
        worker = self.worker(replica_id)
        if worker is not None:
            with contextlib.suppress(WorkerLost):
                await worker.cancel(link_number, batch_id)
