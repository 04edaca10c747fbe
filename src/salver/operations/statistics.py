"""How often a version was asked, how that ended and where the time went, from what was counted."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from salver.operations.base import Home, Operation, Scope
from salver.telemetry.counters import BatchCount, Report, RequestCount
from salver.types import ModelStatus, ModelVersion, VersionState, VersionStatus

OF_ONE = Operation(
    name="models.statistics",
    summary="Tell how often a model was asked, and what its batches took.",
    permission="models.get",
    scope=Scope.MODEL,
    home=Home.CONTROL,
)
OF_ALL = Operation(
    name="models.all_statistics",
    summary="Tell the same of all models that the caller may see.",
    permission="models.list",
    scope=Scope.SERVER,
    home=Home.CONTROL,
)
OPERATIONS = (OF_ONE, OF_ALL)
LOADED = (VersionState.READY, VersionState.DEGRADED, VersionState.DRAINING)
OK = "OK"
PREDICTION = "models.predict"
"""The operation whose calls count."""


class GetStatistics(msgspec.Struct, frozen=True):
    """Parameters of `models.statistics`. Its result is a Statistics. Errors: MODEL_NOT_FOUND, VERSION_NOT_FOUND."""

    model: str
    """Empty: all that the caller may see."""
    version: int | None = None
    """None: every version that is loaded."""


class GetAllStatistics(msgspec.Struct, frozen=True):
    """Parameters of `models.all_statistics`. Its result is a Statistics."""


class Spent(msgspec.Struct, frozen=True):
    """So many times, so long together."""

    count: int = 0
    seconds: float = 0.0


class Batches(msgspec.Struct, frozen=True):
    """What batches with this many rows took together, from being sent to a worker to its answer."""

    rows: int
    spent: Spent


class VersionStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One version since the server's start. The times of what succeeded add up: read, queue, model, write."""

    id: ModelVersion
    last_at: float
    """When a batch last came back, in seconds since the epoch; 0.0: never."""
    rows: int
    """Answered."""
    success: Spent
    failure: Spent
    failures: dict[str, int]
    """How many by code."""
    reading: Spent
    queue: Spent
    model: Spent
    writing: Spent
    batches: tuple[Batches, ...]
    waiting_rows: int
    memory_bytes: int

    @property
    def executions(self) -> int:
        return sum(batch.spent.count for batch in self.batches)


Statistics = tuple[VersionStatistics, ...]


def statistics_of(report: Report, models: Iterable[ModelStatus]) -> Statistics:
    """Of every version that is loaded, by name and number."""
    counts: dict[ModelVersion, list[RequestCount]] = {}
    for key, count in report.requests:
        if key.operation == PREDICTION:
            counts.setdefault(ModelVersion(key.model, key.version), []).append(count)
    batches = {ModelVersion(batch.model, batch.version): batch for batch in report.batches}
    found = sorted((entry for model in models for entry in model.versions), key=lambda entry: entry.id)
    return tuple(
        _version(entry, counts.get(entry.id, []), batches.get(entry.id)) for entry in found if entry.state in LOADED
    )


def _version(entry: VersionStatus, counts: list[RequestCount], batch: BatchCount | None) -> VersionStatistics:
    failures: dict[str, int] = {}
    for count in counts:
        for code, number in count.codes.items():
            failures[code] = failures.get(code, 0) + number
    answered = failures.pop(OK, 0)
    failed_s = sum(count.failed_seconds for count in counts)
    success_s = sum(count.seconds for count in counts) - failed_s
    reading_s = sum(count.reading_seconds for count in counts)
    queued_s = sum(count.queued_seconds for count in counts)
    model_s = min(0.0 if batch is None else batch.request_seconds, max(0.0, success_s - reading_s - queued_s))
    return VersionStatistics(
        id=entry.id,
        last_at=0.0 if batch is None else batch.last_at,
        rows=sum(count.rows for count in counts),
        success=Spent(answered, success_s),
        failure=Spent(sum(failures.values()), failed_s),
        failures=failures,
        reading=Spent(answered, reading_s),
        queue=Spent(answered, queued_s),
        model=Spent(answered, model_s),
        writing=Spent(answered, max(0.0, success_s - reading_s - queued_s - model_s)),
        batches=()
        if batch is None
        else tuple(Batches(size.rows, Spent(size.batches, size.seconds)) for size in batch.sizes),
        waiting_rows=0 if batch is None else batch.waiting_rows,
        memory_bytes=sum(replica.rss_bytes for replica in entry.replicas),
    )
