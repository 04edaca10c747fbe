"""Keeps the wanted number of workers of one version alive, and says what happens to them.

One task per replica: start, load, watch, and after a death the same again, with pauses that grow. A model that says it
cannot load is not tried again; a process that dies while it loads is. Time is the loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Collection, Iterator
from typing import Protocol

import msgspec

from salver.errors import Code, LoadError
from salver.replicas.backoff import crashes_in_a_row, is_crash_loop, pause_s
from salver.replicas.base import Engine, Failure, LoadFailed, Ready, ReplicaSettings, ReplicaSpec, Worker, WorkerLost
from salver.replicas.slot import Slot
from salver.telemetry.measures import Measure, added_up, lasting
from salver.types import ReplicaStatus

log = logging.getLogger("salver.replicas")
LAST_WORDS_S = 2.0
"""A worker that closes its link is about to end, and how it ends is worth knowing; it is killed if it does not."""


class Listener(Protocol):
    """Who acts on what happens to replicas. Called on the supervisor's loop."""

    def worker_starting(self, group: ReplicaGroup) -> None: ...

    async def replica_ready(self, group: ReplicaGroup, worker: Worker, ready: Ready) -> None:
        """When this returns, every front end can reach the replica. Raises WorkerLost."""

    def replica_lost(self, group: ReplicaGroup, replica_id: str, reason: str) -> None: ...

    def crash_looping(self, group: ReplicaGroup, reason: str) -> None: ...

    def is_hopeless(self, group: ReplicaGroup) -> bool:
        """Whether workers that die again and again are not to be tried any more."""

    def load_failed(self, group: ReplicaGroup, failure: Failure) -> None: ...

    def changed(self, group: ReplicaGroup) -> None:
        """Something of `statuses` changed that changes nothing else: a process id, its memory."""


class ReplicaGroup:
    """The replicas of one version. `start` is called once, `stop` at the end, even when nothing was started."""

    def __init__(
        self,
        spec: ReplicaSpec,
        engine: Engine,
        settings: ReplicaSettings,
        listener: Listener,
        numbers: Iterator[int] | None = None,
    ) -> None:
        """`numbers` are for the names of workers; groups of one version that live at the same time share them."""
        self.spec = spec
        self.python = spec.python
        self.variables = spec.variables
        """The interpreter that its workers are started in: the environment's, once that is built."""
        self._engine = engine
        self._settings = settings
        self._listener = listener
        self._slots = [Slot() for _ in range(spec.replicas)]
        self._leaving: list[Slot] = []
        """Of replicas that are one too many: they count no more, and finish what they have."""
        self._numbers = numbers or itertools.count(1)
        self._is_started = False
        self._past_measures: tuple[Measure, ...] = ()
        """Of workers that have ended."""

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What the model's code measured in all workers, those that have ended included."""
        living = [slot.worker.measures for slot in self._all_slots() if slot.worker is not None]
        return added_up(itertools.chain(self._past_measures, *living))

    @property
    def statuses(self) -> tuple[ReplicaStatus, ...]:
        return tuple(slot.status() for slot in self._slots)

    @property
    def ready_count(self) -> int:
        return sum(slot.is_ready for slot in self._slots)

    @property
    def has_failed(self) -> bool:
        """Whether a replica was given up because the model cannot be loaded."""
        return any(slot.state == "FAILED" for slot in self._slots)

    @property
    def log_tail(self) -> tuple[str, ...]:
        """The last lines of a replica's log; of one that is not ready, where there is one."""
        slots = sorted(self._slots, key=lambda slot: slot.is_ready)
        return next((slot.log_tail for slot in slots if slot.log_tail), ())

    def worker(self, replica_id: str) -> Worker | None:
        """The living worker of this id."""
        workers = (slot.worker for slot in self._all_slots() if slot.worker is not None)
        return next((worker for worker in workers if worker.id == replica_id), None)

    @property
    def worker_ids(self) -> tuple[str, ...]:
        """Of all workers that live, those that are on their way out included."""
        return tuple(slot.worker.id for slot in self._all_slots() if slot.worker is not None)

    def _all_slots(self) -> list[Slot]:
        return [*self._slots, *self._leaving]

    def ready_workers(self) -> list[Worker]:
        return [slot.worker for slot in self._slots if slot.worker is not None and slot.is_ready]

    def start(self) -> None:
        self._is_started = True
        for slot in self._slots:
            self._start(slot)

    def _start(self, slot: Slot) -> None:
        slot.task = asyncio.get_running_loop().create_task(self._keep_alive(slot))

    def scale(self, replicas: int) -> tuple[str, ...]:
        """Want another number of replicas: more are started, of too many some leave, those that are not ready first.

        Returns the workers of those that leave: they count no more, and live until `end`.
        """
        self.spec = msgspec.structs.replace(self.spec, replicas=replicas)
        added = [Slot() for _ in range(replicas - len(self._slots))]
        staying = sorted(self._slots, key=lambda slot: not slot.is_ready)[:replicas]
        leaving = [slot for slot in self._slots if slot not in staying]
        self._slots = [slot for slot in self._slots if slot in staying] + added
        if self._is_started:
            for slot in added:
                self._start(slot)
            self._leaving += leaving
        for slot in leaving:
            slot.stopping.set()
        return tuple(slot.worker.id for slot in leaving if slot.worker is not None)

    async def end(self, worker_ids: Collection[str]) -> None:
        """End these workers of replicas that leave: what runs may finish within the grace."""
        await self._end([slot for slot in self._leaving if slot.replica_id in worker_ids])
        self._leaving = [slot for slot in self._leaving if slot.task is not None and not slot.task.done()]

    def retire(self) -> None:
        """From now on no worker is started."""
        for slot in self._all_slots():
            slot.stopping.set()

    async def stop(self) -> None:
        """End every worker: what runs may finish within the grace. No worker is left when this returns."""
        self.retire()
        await self._end(self._all_slots())

    async def _end(self, slots: Collection[Slot]) -> None:
        workers = [slot.worker for slot in slots if slot.worker is not None]
        await asyncio.gather(*(worker.stop(self._settings.stop_grace_s) for worker in workers))
        tasks = [slot.task for slot in slots if slot.task is not None]
        if tasks:
            await asyncio.wait(tasks)

    def replace(self, replica_id: str, reason: str) -> None:
        """Kill one worker; its task starts the next. Nothing happens when it is gone already."""
        for slot in self._all_slots():
            if slot.worker is not None and slot.worker.id == replica_id:
                self._kill(slot, slot.worker, reason)

    async def cancel(self, replica_id: str, link_number: int, batch_id: int) -> None:
        worker = self.worker(replica_id)
        if worker is not None:
            with contextlib.suppress(WorkerLost):
                await worker.cancel(link_number, batch_id)

    # One replica's life

    async def _keep_alive(self, slot: Slot) -> None:
        try:
            while not slot.stopping.is_set():
                lived_s = await self._one_life(slot)
                if not slot.stopping.is_set():
                    self._count_crash(slot, lived_s)
                    await self._pause(slot)
        except LoadFailed as failed:
            self._give_up(slot, failed.failure)
        except Exception:  # the boundary of the task: a fault here must not look like a worker at rest
            log.exception("replica_failed", extra={"version": str(self.spec.id)})
            self._give_up(slot, Failure(code=Code.INTERNAL.value, message=FAULT, fix=Code.INTERNAL.fix))

    async def _one_life(self, slot: Slot) -> float:
        """From start to death; how long the worker was ready, in seconds. Raises LoadFailed."""
        replica_id = f"{self.spec.id.model}-{self.spec.id.version}-{next(self._numbers)}"
        slot.begin(replica_id)
        self._listener.worker_starting(self)
        try:
            spec = msgspec.structs.replace(self.spec, python=self.python, variables=self.variables)
            worker = await self._engine.start(spec, replica_id, slot.stopping)
        except LoadError as error:
            raise LoadFailed(Failure(code=error.code.value, message=error.message, fix=error.fix)) from error
        except WorkerLost as lost:
            self._lost(slot, str(lost))
            return 0.0
        slot.worker = worker
        self._listener.changed(self)
        reason = await self._until_death(worker, slot)
        lived_s = slot.ready_for(self._now())
        self._lost(slot, reason)
        return lived_s

    async def _until_death(self, worker: Worker, slot: Slot) -> str:
        """Load and watch the worker; how it ended, in words. It has ended whatever is raised."""
        death = asyncio.get_running_loop().create_task(worker.wait())
        try:
            if slot.stopping.is_set():
                worker.kill()
            else:
                await self._load(worker, slot)
                await self._watch(worker, slot, death)
        except WorkerLost:
            if not slot.stopping.is_set():
                await asyncio.wait([death], timeout=LAST_WORDS_S)
                worker.kill()
        except BaseException:
            worker.kill()
            await death
            slot.end("")
            raise
        how = await death
        return slot.killed_because or how

    async def _load(self, worker: Worker, slot: Slot) -> None:
        limit = self._settings.load_timeout_s
        try:
            async with asyncio.timeout(limit):
                ready = await worker.load()
        except TimeoutError:
            raise LoadFailed(
                Failure(
                    code=Code.LOAD_FAILED.value,
                    message=f"The model was not loaded within {limit:g} s.",
                    fix="Look at the model's log for what it waits for, or raise --load-timeout-s.",
                )
            ) from None
        slot.become_ready(ready.rss, self._now())
        if slot not in self._leaving:
            await self._listener.replica_ready(self, worker, ready)

    async def _watch(self, worker: Worker, slot: Slot, death: asyncio.Task[str]) -> None:
        """Ask for signs of life until the worker ends; one that gives none is killed."""
        while True:
            await asyncio.wait([death], timeout=self._settings.heartbeat_s)
            if death.done():
                return
            try:
                async with asyncio.timeout(self._settings.heartbeat_timeout_s):
                    rss = await worker.ping()
            except TimeoutError:
                self._kill(slot, worker, "it gave no sign of life")
            else:
                if slot.note_memory(rss):
                    self._listener.changed(self)

    def _kill(self, slot: Slot, worker: Worker, reason: str) -> None:
        log.warning("worker_killed", extra={"replica": worker.id, "reason": reason})
        slot.killed_because = f"it was killed because {reason}"
        worker.kill()

    def _lost(self, slot: Slot, reason: str) -> None:
        level = logging.INFO if slot.stopping.is_set() else logging.WARNING
        log.log(level, "worker_ended", extra={"replica": slot.replica_id, "reason": reason, "was_ready": slot.is_ready})
        if slot.worker is not None:
            self._past_measures = added_up(itertools.chain(self._past_measures, lasting(slot.worker.measures)))
        slot.end(reason)
        if slot in self._leaving:
            self._listener.changed(self)
        else:
            self._listener.replica_lost(self, slot.replica_id, reason)

    def _count_crash(self, slot: Slot, lived_s: float) -> None:
        slot.crashes = crashes_in_a_row(slot.crashes, lived_s)
        slot.restarts += 1
        if is_crash_loop(slot.crashes):
            if self._listener.is_hopeless(self):
                raise LoadFailed(_killed_at_birth(slot))
            slot.state = "CRASHLOOP"
            self._listener.crash_looping(self, slot.reason)

    async def _pause(self, slot: Slot) -> None:
        """Until it is time for the next start, or for the end."""
        settings = self._settings
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s(slot.crashes, settings.backoff_min_s, settings.backoff_max_s)):
                await slot.stopping.wait()

    def _give_up(self, slot: Slot, failure: Failure) -> None:
        slot.state = "FAILED"
        slot.reason = failure.message
        if slot not in self._leaving:
            self._listener.load_failed(self, failure)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _killed_at_birth(slot: Slot) -> Failure:
    return Failure(
        code=Code.LOAD_FAILED.value,
        message=f"Its worker died {slot.crashes} times in a row, the last time because {slot.reason}.",
        fix="Look at the last log lines. Where the memory did not suffice, make room for it.",
    )


FAULT = "The server failed while it looked after this replica; its log has the reason."
