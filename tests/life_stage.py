"""A reconciler whose workers a test leads, and two front ends that remember what they were told."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from salver.models.reconciler import Reconciler
from salver.models.wanted import WantedModel
from salver.processes.audience import Audience
from salver.replicas.base import Failure, ReplicaSettings, ReplicaSpec
from salver.replicas.environments.memory import MemoryEnvironments
from salver.replicas.memory import MemoryEngine, MemoryWorker
from salver.types import (
    BatchSettings,
    ModelStatus,
    ModelVersion,
    Preserve,
    VersionFailure,
    VersionPolicy,
    VersionStatus,
)
from told_front_end import ToldFrontEnd
from virtual_time import run, settle

ONE, TWO = ModelVersion("m", 1), ModelVersion("m", 2)
NO_WEIGHTS = Failure(code="LOAD_FAILED", message="There are no weights.", fix="Add some.", exception="OSError")
KEPT = VersionFailure(code="LOAD_FAILED", message="It was broken before.", fix="Mend it.", log_tail=("old words",))
DRAIN_S = 60.0
RESOURCES = VersionPolicy(preserve=Preserve.RESOURCES)
Story = Callable[["Stage"], Awaitable[None]]


def spec(version: int, path: str = "/m", replicas: int = 1, **fields: Any) -> ReplicaSpec:
    plain: dict[str, Any] = {"runtime": "echo", "folder": "/", "python": sys.executable, "batching": BatchSettings()}
    return ReplicaSpec(id=ModelVersion("m", version), path=path, replicas=replicas, **(plain | fields))


def model(*specs: ReplicaSpec, **fields: Any) -> WantedModel:
    return WantedModel(name="m", specs=specs, **({"known": (1, 2, 3, 4)} | fields))


class Stage:
    """A reconciler on a twin engine whose workers the test leads, and two front ends that remember."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.environments = MemoryEnvironments()
        self.changes: list[VersionStatus] = []
        self.failures: list[tuple[ModelVersion, VersionFailure | None]] = []
        self.audience = Audience(lambda: self.reconciler.models(), lambda: self.reconciler.ready_workers(), tuple)
        self.reconciler = Reconciler(
            self.engine,
            ReplicaSettings(version_drain_s=DRAIN_S),
            self.audience,
            self.changes.append,
            lambda spec, failure: failure,
            self.environments,
        )
        self.reconciler.on_failure = lambda *told: self.failures.append(told)
        self.front_ends = (ToldFrontEnd(turns=1), ToldFrontEnd(turns=4))

    async def want(self, *models: WantedModel) -> None:
        self.reconciler.want(models)
        await settle()

    async def served(self, *specs: ReplicaSpec, **fields: Any) -> None:
        """Want a model, and have it served."""
        await self.want(model(*specs, **fields))
        await self.come(*(each.id.version for each in specs))

    async def come(self, *versions: int) -> None:
        """The workers of these versions have loaded."""
        for worker in self.engine.living:
            if worker.spec.id.version in versions:
                worker.become_ready()
        await settle()

    async def fail(self, version: int, failure: Failure = NO_WEIGHTS) -> None:
        for worker in self.living(version):
            worker.fail(failure)
        await settle()

    def living(self, version: int, path: str | None = None) -> list[MemoryWorker]:
        return [
            worker
            for worker in self.engine.living
            if worker.spec.id.version == version and path in (None, worker.spec.path)
        ]

    @property
    def model(self) -> ModelStatus:
        """As all front ends know it."""
        one, two = (front_end.models for front_end in self.front_ends)
        assert one == two == self.reconciler.models()
        return one[0]

    @property
    def states(self) -> dict[int, str]:
        return {entry.id.version: entry.state.value for entry in self.model.versions}

    def entry(self, version: int = 1) -> VersionStatus:
        return next(entry for entry in self.model.versions if entry.id.version == version)

    def linked(self) -> set[str]:
        one, two = (set(front_end.links) for front_end in self.front_ends)
        assert one == two
        return one


def play(story: Story) -> None:
    async def whole() -> None:
        stage = Stage()
        for front_end in stage.front_ends:
            await stage.audience.add(front_end)
        stage.reconciler.start()
        await story(stage)
        await stage.audience.finish(0.0)
        await stage.reconciler.stop()
        assert stage.engine.living == []

    run(whole())
