"""Closes the gap between the versions that should be served and the workers that run.

What should be comes in whole, as often as somebody likes; what happens to workers comes in as events. After each of
them the pure ``lifeline.py`` says what is to be done, and this file does it, without ever waiting for it: what takes
time is a task that reports back. The pure table of ``states.py`` says what an event makes of a version.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from typing import Any, Protocol

from salver.models import lifeline
from salver.models.building import Unbuilt, build
from salver.models.cast import Cast
from salver.models.entry import Entry, kept_failure, version_info
from salver.models.lifeline import Action
from salver.models.states import SERVING, Event, next_state
from salver.models.wanted import WantedModel
from salver.replicas.base import Engine, Failure, Ready, ReplicaSettings, ReplicaSpec, Worker
from salver.replicas.environments.base import EnvironmentRequest, Environments
from salver.replicas.supervisor import ReplicaGroup
from salver.telemetry.measures import Measure
from salver.types import (
    ModelStatus,
    ModelVersion,
    VersionFailure,
    VersionState,
    VersionStatus,
)

log = logging.getLogger("salver.models")
FailureListener = Callable[[ModelVersion, VersionFailure | None], None]


class Publisher(Protocol):
    """Brings the present state to every front end."""

    async def publish(self) -> None:
        """Tell every front end what `Reconciler.models` says now; returns when all answer from it."""

    async def attach(self, version: ModelVersion, worker: Worker) -> None:
        """Returns when every front end can reach the worker. Raises WorkerLost."""

    async def let_go(self, replica_ids: Collection[str], timeout_s: float) -> bool:
        """Returns when no front end has anything left at these workers, or when the time is over; which it was."""


class Reconciler:
    """Owns the life of every version. Listens to its replica groups; one loop.

    `on_failure` is told on this loop why a version cannot be loaded, and None when it serves after that. Whoever keeps
    failures gives them back with `want`, and takes one out to have the version tried again.
    """

    def __init__(
        self,
        engine: Engine,
        settings: ReplicaSettings,
        publisher: Publisher,
        on_change: Callable[[VersionStatus], None],
        explain: Callable[[ReplicaSpec, Failure], Failure],
        environments: Environments,
    ) -> None:
        self.on_failure: FailureListener = _kept_by_nobody
        self._engine = engine
        self._settings = settings
        self._publisher = publisher
        self._on_change = on_change
        self._explain = explain
        self._environments = environments
        self._casts: dict[str, Cast] = {}
        self._entries: dict[ReplicaGroup, Entry] = {}
        self._life_numbers = itertools.count(1)
        self._worker_numbers: dict[ModelVersion, Iterator[int]] = {}
        self._is_started = False
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._publishing: asyncio.Task[None] | None = None
        self._is_behind = False
        """Whether something changed that no front end has been told yet."""
        self._news: asyncio.Future[None] | None = None
        """Who waits for something to change waits for this."""

    # What is wanted

    def want(self, models: Sequence[WantedModel]) -> None:
        """All that should be served from now on; what is not among it ends. Before `start` it is only known.

        A model that is the same object as the time before costs next to nothing.
        """
        if self._stopping.is_set():
            return
        wanted = {model.name: model for model in models}
        for name in wanted.keys() - self._casts.keys():
            self._casts[name] = Cast(WantedModel(name=name))
        changed = [cast for name, cast in self._casts.items() if wanted.get(name) is not cast.wanted]
        for cast in changed:
            before = cast.status()
            cast.wanted = wanted.get(cast.wanted.name) or WantedModel(name=cast.wanted.name)
            for entry in cast.entries:
                if entry.state is VersionState.FAILED and entry.id.version in cast.wanted.failures:
                    entry.is_failure_kept = True
            self._reconcile(cast)
            if cast.status() != before:
                self._publish_soon()

    def measures(self) -> tuple[tuple[ModelVersion, tuple[Measure, ...]], ...]:
        """What the code of each version measured."""
        return tuple((entry.id, found) for entry in self._entries.values() if (found := entry.group.measures))

    def start(self) -> None:
        """Start the workers of every version that is wanted."""
        self._is_started = True
        for entry in self._entries.values():
            if entry.has_begun:
                self._launch(entry)
            elif entry.state is VersionState.FAILED:
                self._on_change(entry.status())
        self._publish_soon()

    async def stop(self) -> None:
        """End every worker; returns when none is left. What is wanted after that does not count."""
        self._stopping.set()
        self._stir()
        ending = [entry for entry in self._entries.values() if entry.is_ending]
        for entry in self._entries.values():
            entry.group.retire()
            entry.end_building()
            if entry not in ending:
                self._move(entry, Event.DRAIN)
        await asyncio.gather(*(entry.group.stop() for entry in self._entries.values()), *self._tasks)
        for entry in self._entries.values():
            self._move(entry, Event.STOPPED)
        if self._publishing is not None:
            await self._publishing

    async def settled(self, ids: Collection[ModelVersion]) -> None:
        """Returns when each of them is where it should be for now: it serves with all replicas that can, it has failed,
        it sleeps, or it is gone.

        By then every front end leads requests as the model's signpost says.
        """
        while not all(self._is_settled(id) for id in ids):
            if self._news is None or self._news.done():
                self._news = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._news)

    def _is_settled(self, id: ModelVersion) -> bool:
        cast = self._casts.get(id.model)
        if cast is None or self._stopping.is_set():
            return True
        entries, spec = cast.of_version(id), cast.wanted.spec(id.version)
        if not entries:
            return spec is None
        newest = entries[-1]
        fits = spec is None or lifeline.is_same_form(newest.group.spec, spec)
        is_at_rest = newest.state in (VersionState.FAILED, VersionState.UNLOADED)
        has_all = newest.state is VersionState.READY or newest.group.has_failed
        is_done = has_all if newest.is_serving else is_at_rest
        return fits and is_done and cast.told == cast.signpost

    # What is

    def models(self) -> tuple[ModelStatus, ...]:
        return tuple(cast.status() for _, cast in sorted(self._casts.items()) if cast.entries)

    def model(self, name: str) -> ModelStatus | None:
        cast = self._casts.get(name)
        return cast.status() if cast is not None and cast.entries else None

    def ready_workers(self) -> list[tuple[ModelVersion, Worker]]:
        """Those that new requests may go to."""
        living = [(group, entry) for group, entry in self._entries.items() if not entry.is_ending]
        return [(entry.id, worker) for group, entry in living for worker in group.ready_workers()]

    def environments(self) -> tuple[EnvironmentRequest, ...]:
        """What workers run in, or are about to; also those of versions that end."""
        requests = (entry.group.spec.environment for entry in self._entries.values())
        return tuple(request for request in requests if request is not None)

    def group_of(self, replica_id: str) -> ReplicaGroup | None:
        return next((group for group in self._entries if group.worker(replica_id)), None)

    # What is to be done

    def _reconcile(self, cast: Cast) -> None:
        if self._stopping.is_set():
            return
        while actions := lifeline.decide(cast.situation()):
            for action in actions:
                self._act(cast, action)
            self._publish_soon()
        if not cast.entries and not cast.wanted.specs and self._casts.get(cast.wanted.name) is cast:
            del self._casts[cast.wanted.name]
        self._stir()

    def _act(self, cast: Cast, action: Action) -> None:
        match action:
            case lifeline.Point(signpost):
                cast.signpost = signpost
            case lifeline.Start(spec):
                self._begin(self._add(cast, spec))
            case lifeline.Rest(spec, failure):
                self._rest(self._add(cast, spec), failure)
            case lifeline.Wake(number, spec):
                entry = cast.entry(number)
                entry.group.scale(spec.replicas)
                self._move(entry, Event.WOKEN)
                self._begin(entry)
            case lifeline.Launch(number):
                entry = cast.entry(number)
                entry.is_waiting = False
                entry.group.start()
            case lifeline.Scale(number, replicas):
                self._scale(cast.entry(number), replicas)
            case lifeline.Drain(number):
                self._drain(cast, cast.entry(number))
            case lifeline.Forget(number):
                entry = cast.entry(number)
                cast.entries.remove(entry)
                del self._entries[entry.group]

    def _add(self, cast: Cast, spec: ReplicaSpec) -> Entry:
        numbers = self._worker_numbers.setdefault(spec.id, itertools.count(1))
        group = ReplicaGroup(spec, self._engine, self._settings, self, numbers)
        entry = self._entries[group] = Entry(next(self._life_numbers), group)
        cast.entries.append(entry)
        return entry

    def _begin(self, entry: Entry) -> None:
        entry.has_begun = True
        if self._is_started:
            self._launch(entry)

    def _launch(self, entry: Entry) -> None:
        """Start its workers; where it needs an environment, when that is there."""
        request = entry.group.spec.environment
        if request is None:
            entry.group.start()
            return
        self._move(entry, Event.BUILD)
        entry.reason = "Its environment is being built."
        entry.building = self._spawn(self._build(entry, request))

    async def _build(self, entry: Entry, request: EnvironmentRequest) -> None:
        outcome = await build(self._environments, request, lambda text: self._building(entry, text))
        if entry.is_ending or outcome is None:
            return
        if isinstance(outcome, Unbuilt):
            self._cannot_load(entry, outcome.failure, outcome.lines)
            return
        spec = entry.group.spec
        entry.group.python, entry.environment, entry.reason = outcome.python or spec.python, outcome.label, ""
        entry.group.variables = {**spec.variables, **outcome.variables}
        entry.is_waiting = True
        self._move(entry, Event.BUILT)
        self._reconcile(self._casts[entry.id.model])

    def _building(self, entry: Entry, text: str) -> None:
        """How far its environment is."""
        if entry.state is VersionState.BUILDING:
            entry.reason = f"Its environment is being built: {text}."
            self._on_change(entry.status())
            self._publish_soon()

    def _rest(self, entry: Entry, failure: VersionFailure | None) -> None:
        if failure is None:
            self._move(entry, Event.ASLEEP)
        else:
            entry.note_failure(failure)
            entry.is_failure_kept = True
            self._move(entry, Event.FAILED)
            if self._is_started:
                self._on_change(entry.status())

    def _scale(self, entry: Entry, replicas: int) -> None:
        leaving = entry.group.scale(replicas)
        self._judge(entry)
        if self._is_started:
            self._spawn(self._see_off(entry, leaving))

    async def _see_off(self, entry: Entry, worker_ids: Sequence[str]) -> None:
        """End replicas that are one too many, once they have answered what they had."""
        await self._let_go(worker_ids)
        await entry.group.end(worker_ids)
        self._publish_soon()

    def _drain(self, cast: Cast, entry: Entry) -> None:
        entry.group.retire()
        entry.end_building()
        self._move(entry, Event.DRAIN)
        if self._is_started and entry.has_begun:
            self._spawn(self._end(cast, entry))
        else:
            self._move(entry, Event.STOPPED)
            entry.is_over = True

    async def _end(self, cast: Cast, entry: Entry) -> None:
        """Once every front end knows that the version ends, and has the answers it waited for, its workers stop."""
        if entry.info is not None:  # front ends were told of it, and may have links already
            await self._publisher.publish()
            await self._let_go(entry.group.worker_ids)
        await entry.group.stop()
        self._move(entry, Event.STOPPED)
        entry.is_over = True
        self._reconcile(cast)

    async def _let_go(self, worker_ids: Collection[str]) -> None:
        """When the server stops there is nothing to wait for: front ends have finished."""
        going = asyncio.ensure_future(self._publisher.let_go(worker_ids, self._settings.version_drain_s))
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([going, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (going, stopping):
            task.cancel()
        await asyncio.wait([going, stopping])

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # What happens (replicas.supervisor.Listener)

    def worker_starting(self, group: ReplicaGroup) -> None:
        """No news for the user: what counts is whether it becomes ready. It does not mend a replica that has failed."""
        entry = self._entries[group]
        if entry.state is not VersionState.FAILED:
            self._move(entry, Event.WORKER_STARTED)
        self._publish_soon()

    async def replica_ready(self, group: ReplicaGroup, worker: Worker, ready: Ready) -> None:
        entry = self._entries[group]
        if entry.is_ending:
            return
        if entry.info is None:
            entry.info = version_info(group.spec, ready)
        if entry.state in (VersionState.STARTING, VersionState.CRASHLOOP, VersionState.FAILED):
            self._move(entry, Event.READY)
        self._judge(entry)
        await self._publisher.publish()
        if entry.is_ending or worker not in group.ready_workers():
            return
        await self._publisher.attach(group.spec.id, worker)
        self._now_serves(entry, worker)

    def _now_serves(self, entry: Entry, worker: Worker) -> None:
        cast = self._casts[entry.id.model]
        entry.reached.add(worker.id)
        is_news = not entry.has_served or entry.is_failure_kept
        entry.has_served, entry.is_failure_kept = True, False
        self._on_change(entry.status())
        if is_news and not entry.is_ending:
            self.on_failure(entry.id, None)
        self._reconcile(cast)

    def replica_lost(self, group: ReplicaGroup, replica_id: str, reason: str) -> None:
        entry = self._entries[group]
        entry.reached.discard(replica_id)
        if not entry.is_ending:
            self._note(entry, f"The worker {replica_id} ended: {reason}.", "")
            self._move(entry, Event.REPLICA_LOST if group.ready_count else Event.DIED)
            if group.has_failed and not group.ready_count:
                self._fail(entry)
            self._reconcile(self._casts[entry.id.model])
        self._publish_soon()

    def crash_looping(self, group: ReplicaGroup, reason: str) -> None:
        self._note(
            self._entries[group],
            f"Its worker died again and again, the last time because {reason}.",
            "Look at the last log lines; it is tried again after a pause that grows up to a minute.",
        )
        self._happened(group, Event.CRASH_LOOPED)

    def is_hopeless(self, group: ReplicaGroup) -> bool:
        """So is a version that never served while another of its model does: each attempt costs the neighbours memory.

        What has served, or is all there is, comes back by itself once what ends it has passed.
        """
        entry = self._entries[group]
        others = self._casts[entry.id.model].entries
        return not entry.has_served and any(each.life().can_answer for each in others if each is not entry)

    def load_failed(self, group: ReplicaGroup, failure: Failure) -> None:
        self._cannot_load(self._entries[group], failure, group.log_tail)

    def _cannot_load(self, entry: Entry, failure: Failure, log_tail: tuple[str, ...]) -> None:
        """It cannot be loaded, whoever found out."""
        group = entry.group
        failure = self._explain(group.spec, failure)
        entry.note_failure(kept_failure(failure, log_tail))
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
        if entry.state is VersionState.FAILED:
            self.on_failure(entry.id, entry.failure)
            self._reconcile(self._casts[entry.id.model])

    def _fail(self, entry: Entry) -> None:
        """No replica serves that could prove wrong the one that cannot be loaded."""
        before = entry.state
        self._move(entry, Event.FAILED)
        if before is not entry.state:
            self.on_failure(entry.id, entry.failure)

    def changed(self, group: ReplicaGroup) -> None:
        self._publish_soon()

    def _note(self, entry: Entry, reason: str, fix: str) -> None:
        """Why a replica cannot be loaded stays: it matters more than what becomes of the others."""
        if not entry.group.has_failed:
            entry.reason, entry.fix = reason, fix

    def _happened(self, group: ReplicaGroup, event: Event) -> None:
        entry = self._entries[group]
        self._move(entry, event)
        self._publish_soon()
        if not entry.is_ending:
            self._on_change(entry.status())

    def _judge(self, entry: Entry) -> None:
        """Whether as many replicas serve as are wanted."""
        if entry.state not in SERVING:
            return
        if entry.group.ready_count == entry.group.spec.replicas:
            self._move(entry, Event.RECOVERED)
            entry.reason = entry.fix = ""
        else:
            self._move(entry, Event.REPLICA_LOST)

    def _move(self, entry: Entry, event: Event) -> None:
        before, entry.state = entry.state, next_state(entry.state, event)
        if before is not entry.state:
            log.info(
                "version_state",
                extra={"version": str(entry.id), "from": before.value, "to": entry.state.value},
            )

    # News

    def _stir(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _publish_soon(self) -> None:
        if not self._is_started:
            return
        self._is_behind = True
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.get_running_loop().create_task(self._publish_changes())

    async def _publish_changes(self) -> None:
        """What changes while front ends are told is told next, however much it is."""
        while self._is_behind:
            self._is_behind = False
            telling = [(cast, cast.signpost) for cast in self._casts.values()]
            await self._publisher.publish()
            for cast, signpost in telling:
                if cast.told != signpost:
                    cast.told = signpost
                    self._reconcile(cast)


def _kept_by_nobody(_id: ModelVersion, _failure: VersionFailure | None) -> None:
    """Failures are forgotten when the server ends."""
