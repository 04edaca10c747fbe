"""From what happens to workers to what is said of a version."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import msgspec
import pytest

from salver.models.entry import version_info
from salver.models.reconciler import Reconciler
from salver.models.wanted import all_wanted
from salver.replicas.base import Failure, ReplicaSettings, ReplicaSpec, Worker, WorkerLost
from salver.replicas.environments.memory import MemoryEnvironments
from salver.replicas.memory import READY, MemoryEngine, MemoryWorker
from salver.types import (
    BatchSettings,
    ModelStatus,
    ModelVersion,
    PayloadKind,
    Signature,
    VersionState,
    VersionStatus,
)
from virtual_time import run, settle, until

NO_WEIGHTS = Failure(code="LOAD_FAILED", message="There are no weights.", fix="Add some.", traceback="secret")


def spec_of(model: str = "m", version: int = 1, **fields: Any) -> ReplicaSpec:
    plain: dict[str, Any] = {
        "id": ModelVersion(model, version),
        "runtime": "echo",
        "path": "/m",
        "folder": "/",
        "python": sys.executable,
        "batching": BatchSettings(),
    }
    return ReplicaSpec(**(plain | fields))


class Stage:
    """A reconciler on a twin engine; it publishes to a list."""

    def __init__(self, *specs: ReplicaSpec, on_start: Callable[[MemoryWorker], None] | None = None) -> None:
        self.engine = MemoryEngine(on_start)
        self.told: list[VersionStatus] = []
        self.published: list[tuple[ModelStatus, ...]] = []
        self.attached: list[tuple[str, int]] = []
        """Which worker was attached, and after how many publications."""
        self.reconciler = Reconciler(
            self.engine,
            ReplicaSettings(),
            self,
            self.told.append,
            lambda spec, failure: msgspec.structs.replace(failure, message=f"{spec.id}: {failure.message}"),
            MemoryEnvironments(),
        )
        self.reconciler.want(all_wanted(specs))

    async def publish(self) -> None:
        await asyncio.sleep(0)
        self.published.append(self.reconciler.models())

    async def attach(self, version: ModelVersion, worker: Worker) -> None:
        await asyncio.sleep(0)
        if not isinstance(worker, MemoryWorker) or not worker.is_alive:
            raise WorkerLost
        self.attached.append((worker.id, len(self.published)))

    async def let_go(self, replica_ids: Collection[str], timeout_s: float) -> bool:
        await asyncio.sleep(0)
        return True

    @property
    def entry(self) -> VersionStatus:
        (model,) = self.reconciler.models()
        (entry,) = model.versions
        return entry

    @property
    def state(self) -> str:
        return self.entry.state.value


def play(stage: Stage, story: Callable[[Stage], Awaitable[None]]) -> None:
    """Start, tell the story, stop."""

    async def whole() -> None:
        stage.reconciler.start()
        await settle()
        await story(stage)
        await stage.reconciler.stop()
        assert stage.engine.living == []
        for model in stage.reconciler.models():
            assert {entry.state for entry in model.versions} == {VersionState.STOPPED}

    run(whole())


def test_what_is_wanted_is_known_before_it_is_started() -> None:
    stage = Stage(spec_of(replicas=2))
    assert (stage.state, stage.entry.replicas_wanted, stage.entry.replicas_ready) == ("QUEUED", 2, 0)
    assert stage.entry.info is None


def test_a_version_is_published_as_ready_before_anybody_is_given_its_worker() -> None:
    async def story(stage: Stage) -> None:
        assert stage.state == "STARTING"
        before = len(stage.published)
        stage.engine.workers[0].become_ready()
        await settle()
        ((worker_id, published),) = stage.attached
        assert published > before
        assert stage.published[published - 1][0].versions[0].state is VersionState.READY
        assert stage.published[-1] == stage.reconciler.models()
        (told,) = stage.told
        assert (told.state, worker_id) == (VersionState.READY, "m-1-1")
        assert [worker.id for _, worker in stage.reconciler.ready_workers()] == ["m-1-1"]

    play(Stage(spec_of()), story)


def test_a_version_with_some_of_its_replicas_is_degraded() -> None:
    async def story(stage: Stage) -> None:
        one, two = stage.engine.workers
        one.become_ready()
        await settle()
        assert (stage.state, stage.entry.replicas_ready) == ("DEGRADED", 1)
        two.become_ready()
        await settle()
        assert stage.state == "READY"
        await asyncio.sleep(10)
        one.die()
        await settle()
        assert stage.state == "DEGRADED"
        assert stage.entry.reason == "The worker m-1-1 ended: it exited with status 1."
        stage.engine.workers[-1].become_ready()
        await settle()
        assert (stage.state, stage.entry.reason) == ("READY", "")

    play(Stage(spec_of(replicas=2)), story)


def test_a_version_without_a_worker_is_starting_again() -> None:
    async def story(stage: Stage) -> None:
        stage.engine.workers[0].become_ready()
        await asyncio.sleep(10)
        stage.engine.workers[0].printed = ("last words",)
        stage.engine.workers[0].die()
        await settle()
        assert stage.state == "STARTING"
        assert stage.entry.log_tail == ("last words",)
        assert stage.entry.info is not None, (
            "who asks for the model is told that it is not ready, not that it is unknown"
        )
        assert stage.published[-1] == stage.reconciler.models()
        stage.engine.workers[1].die()
        await settle()
        assert stage.entry.replicas[0].state == "LOST"
        assert stage.published[-1] == stage.reconciler.models()

    play(Stage(spec_of()), story)


def test_a_crash_loop_is_told_with_reason_and_fix_and_is_over_when_a_worker_is_ready() -> None:
    async def story(stage: Stage) -> None:
        await until(lambda: stage.state == "CRASHLOOP")
        assert "the last time because it exited with status 1" in stage.entry.reason
        assert "log" in stage.entry.fix
        assert stage.told[-1].state is VersionState.CRASHLOOP
        await settle()
        assert stage.published[-1] == stage.reconciler.models()
        stage.engine._on_start = MemoryWorker.become_ready
        await until(lambda: stage.state == "READY")
        assert (stage.entry.reason, stage.entry.fix) == ("", "")

    play(Stage(spec_of(), on_start=MemoryWorker.die), story)


def test_a_failed_load_is_explained_and_its_traceback_stays_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        assert stage.state == "FAILED"
        assert (stage.entry.reason, stage.entry.fix) == ("m/1: There are no weights.", "Add some.")
        assert [status.state for status in stage.told] == [VersionState.FAILED]

    play(Stage(spec_of(), on_start=lambda worker: worker.fail(NO_WEIGHTS)), story)
    (record,) = [record for record in caplog.records if record.getMessage() == "load_failed"]
    assert record.__dict__["traceback"] == "secret"


def test_one_replica_that_serves_proves_a_failure_wrong_but_its_reason_stays() -> None:
    async def story(stage: Stage) -> None:
        one, two = stage.engine.workers
        one.fail(NO_WEIGHTS)
        await settle()
        assert stage.state == "FAILED"
        two.die()
        await settle()
        assert (stage.state, stage.entry.reason) == ("FAILED", "m/1: There are no weights.")
        stage.engine.workers[-1].become_ready()
        await settle()
        assert (stage.state, stage.entry.reason) == ("DEGRADED", "m/1: There are no weights.")
        stage.engine.workers[-1].die()
        await settle()
        assert (stage.state, stage.entry.reason) == ("FAILED", "m/1: There are no weights.")

    play(Stage(spec_of(replicas=2)), story)


def test_a_worker_that_dies_before_it_is_attached_makes_its_version_start_again() -> None:
    async def story(stage: Stage) -> None:
        stage.engine.workers[0].become_ready()
        stage.engine.workers[0].die()
        await settle()
        assert stage.attached == []
        assert stage.told == []
        assert stage.state == "STARTING"
        assert len(stage.engine.workers) == 2

    play(Stage(spec_of()), story)


@pytest.mark.parametrize("turns", range(8))
def test_stopping_at_any_moment_of_the_start_is_no_fault(turns: int, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        stage = Stage(spec_of(replicas=2), spec_of(version=2), on_start=MemoryWorker.become_ready)
        stage.reconciler.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await stage.reconciler.stop()
        assert stage.engine.living == []
        assert {entry.state for model in stage.reconciler.models() for entry in model.versions} == {
            VersionState.STOPPED
        }

    run(story())
    assert "replica_failed" not in caplog.text


def test_what_was_never_started_can_be_stopped() -> None:
    async def story() -> None:
        stage = Stage(spec_of())
        await stage.reconciler.stop()
        assert stage.state == "STOPPED"

    run(story())


def test_changes_that_come_together_are_told_together() -> None:
    async def story(stage: Stage) -> None:
        assert len(stage.engine.workers) == 50
        assert len(stage.published) < 10
        assert stage.published[-1] == stage.reconciler.models()

    play(Stage(*(spec_of(f"m{number}") for number in range(50))), story)


def test_the_default_is_the_newest_version_that_has_ever_answered() -> None:
    async def story(stage: Stage) -> None:
        (model,) = stage.reconciler.models()
        assert [entry.id.version for entry in model.versions] == [3, 2, 1]
        assert model.default_version == 3, "none has answered yet"
        stage.engine.workers[0].become_ready()
        await settle()
        assert stage.reconciler.models()[0].default_version == 1
        stage.engine.workers[1].become_ready()
        await settle()
        assert stage.reconciler.models()[0].default_version == 2

    play(Stage(*(spec_of(version=number) for number in (1, 2, 3))), story)


def test_models_are_told_by_name() -> None:
    assert [model.name for model in Stage(spec_of("b"), spec_of("a")).reconciler.models()] == ["a", "b"]


def test_a_worker_is_found_by_its_id() -> None:
    async def story(stage: Stage) -> None:
        group = stage.reconciler.group_of("b-1-1")
        assert group is not None
        assert group.spec.id.model == "b"
        assert stage.reconciler.group_of("c-1-1") is None

    play(Stage(spec_of("a"), spec_of("b")), story)


# What the prediction path must know


def test_a_versions_facts_come_from_its_manifest_and_from_its_worker() -> None:
    spec = spec_of(
        deadline_s=3.0,
        description="What it is.",
        manifest={"example": {"inputs": {}}},
        details={"archive_version": "1.0", "python": "?"},
    )
    info = version_info(spec, msgspec.structs.replace(READY, details={"opset": "17"}))
    assert (info.id, info.runtime, info.payload) == (spec.id, "echo", PayloadKind.TENSORS)
    assert (info.deadline_s, info.description, info.example) == (3.0, "What it is.", {"inputs": {}})
    assert info.details == {"archive_version": "1.0", "opset": "17", "runtime": "none", "python": "none"}
    assert info.batching is spec.batching


@pytest.mark.parametrize(("wanted", "found", "counts"), [(None, True, True), (False, True, False), (True, False, True)])
def test_whether_requests_may_run_twice_is_the_manifests_word_before_the_runtimes(
    wanted: bool | None, found: bool, counts: bool
) -> None:
    ready = msgspec.structs.replace(READY, is_idempotent=found)
    assert version_info(spec_of(is_idempotent=wanted), ready).is_idempotent is counts


def test_bodies_can_always_share_a_batch() -> None:
    signatures = {"serving_default": Signature(inputs=(), outputs=())}
    ready = msgspec.structs.replace(READY, payload=PayloadKind.BODY, has_batch_dimension=False, signatures=signatures)
    assert version_info(spec_of(), ready).has_batch_dimension
