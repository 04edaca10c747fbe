"""A group of replicas on the engine's twin in memory, and a listener that remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from salver.replicas.base import Failure, Ready, ReplicaSettings, ReplicaSpec, Worker
from salver.replicas.memory import MemoryEngine, MemoryWorker
from salver.replicas.supervisor import ReplicaGroup
from virtual_time import run, settle, until

SETTINGS = ReplicaSettings(
    load_timeout_s=60.0,
    heartbeat_s=1.0,
    heartbeat_timeout_s=5.0,
    stop_grace_s=10.0,
    backoff_min_s=1.0,
    backoff_max_s=60.0,
)
NO_WEIGHTS = Failure(code="LOAD_FAILED", message="There are no weights.", fix="Add some.")
Story = Callable[["Stage"], Awaitable[None]]


class Notes:
    """A listener that writes down what it hears, with the time."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.times: list[float] = []
        self.changes = 0
        self.is_tired = False
        self.when_ready: Callable[[Worker], Coroutine[Any, Any, None]] | None = None

    def note(self, what: str) -> None:
        self.heard.append(what)
        self.times.append(asyncio.get_running_loop().time())

    def worker_starting(self, group: ReplicaGroup) -> None:
        self.note("starting")

    async def replica_ready(self, group: ReplicaGroup, worker: Worker, ready: Ready) -> None:
        self.note(f"{worker.id} ready")
        if self.when_ready is not None:
            await self.when_ready(worker)

    def replica_lost(self, group: ReplicaGroup, replica_id: str, reason: str) -> None:
        self.note(f"{replica_id} lost: {reason}")

    def is_hopeless(self, group: ReplicaGroup) -> bool:
        return self.is_tired

    def crash_looping(self, group: ReplicaGroup, reason: str) -> None:
        self.note(f"crash loop: {reason}")

    def load_failed(self, group: ReplicaGroup, failure: Failure) -> None:
        self.note(f"failed: {failure.message}")

    def changed(self, group: ReplicaGroup) -> None:
        self.changes += 1


class Stage:
    """A group on a twin engine, and whoever listens to it."""

    def __init__(self, spec: ReplicaSpec, on_start: Callable[[MemoryWorker], None] | None) -> None:
        self.engine = MemoryEngine(on_start)
        self.notes = Notes()
        self.group = ReplicaGroup(spec, self.engine, SETTINGS, self.notes)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def states(self) -> list[str]:
        return [status.state for status in self.group.statuses]

    @property
    def last(self) -> MemoryWorker:
        return self.engine.workers[-1]

    async def started(self, count: int) -> None:
        """Until so many workers were started in all."""
        await until(lambda: len(self.engine.workers) >= count)
        await settle()


def tell(
    make_spec: Callable[..., ReplicaSpec],
    story: Story,
    *,
    replicas: int = 1,
    on_start: Callable[[MemoryWorker], None] | None = MemoryWorker.become_ready,
) -> None:
    """Run a story with a group that was started, stop the group, and see that no worker is left."""

    async def whole() -> None:
        stage = Stage(make_spec(replicas=replicas), on_start)
        stage.group.start()
        await settle()
        await story(stage)
        await stage.group.stop()
        assert stage.engine.living == []

    run(whole())
