"""Plain integers on the prediction lane; ``exposition.py`` turns them into a page when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency histogram, in seconds; one more bucket holds the rest."""


class RequestKey(msgspec.Struct, frozen=True, order=True):
    """What requests are counted by: a closed set, since only live versions and known operations are named here."""

    operation: str
    model: str
    version: int
    wire: str


class RequestCount(msgspec.Struct):
    """The requests of one key in one process. `codes` counts by outcome, `OK` or a Code's value."""

    codes: dict[str, int] = {}
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    seconds: float = 0.0
    rows: int = 0
    queued_seconds: float = 0.0
    """Of predictions that were answered: in the queue."""


class BatchCount(msgspec.Struct, frozen=True, kw_only=True):
    """What one version's queue did and holds in one process."""

    model: str
    version: int
    batches: int
    rows: int
    waiting_rows: int
    flying_rows: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that one process has counted: plain data, so that reports of several processes can be added up."""

    requests: tuple[tuple[RequestKey, RequestCount], ...] = ()
    batches: tuple[BatchCount, ...] = ()
    connections: int = 0
    refused_connections: int = 0
    dropped_log_lines: int = 0


class Counters:
    """One process's counts. Owned by its loop: no locks."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int, str], RequestCount] = {}

    def count(self, key: tuple[str, str, int, str]) -> RequestCount:
        """Where the calls of an operation, model, version and wire are counted; whoever asks counts there himself."""
        return self._counts.setdefault(key, RequestCount())

    def requests(self) -> tuple[tuple[RequestKey, RequestCount], ...]:
        return tuple((RequestKey(*key), count) for key, count in self._counts.items())


def merged(reports: Iterable[Report]) -> Report:
    """The sum of several processes' reports."""
    counts: dict[RequestKey, RequestCount] = {}
    batches: dict[tuple[str, int], BatchCount] = {}
    connections = refused = dropped = 0
    for report in reports:
        for key, count in report.requests:
            _add_count(counts.setdefault(key, RequestCount()), count)
        for batch in report.batches:
            known = batches.get((batch.model, batch.version))
            batches[batch.model, batch.version] = batch if known is None else _added(known, batch)
        connections += report.connections
        refused += report.refused_connections
        dropped += report.dropped_log_lines
    return Report(
        requests=tuple(sorted(counts.items(), key=lambda pair: pair[0])),
        batches=tuple(batches.values()),
        connections=connections,
        refused_connections=refused,
        dropped_log_lines=dropped,
    )


def _add_count(total: RequestCount, count: RequestCount) -> None:
    for code, number in count.codes.items():
        total.codes[code] = total.codes.get(code, 0) + number
    total.buckets = [one + other for one, other in zip(total.buckets, count.buckets, strict=True)]
    total.seconds += count.seconds
    total.rows += count.rows
    total.queued_seconds += count.queued_seconds


def _added(one: BatchCount, other: BatchCount) -> BatchCount:
    return BatchCount(
        model=one.model,
        version=one.version,
        batches=one.batches + other.batches,
        rows=one.rows + other.rows,
        waiting_rows=one.waiting_rows + other.waiting_rows,
        flying_rows=one.flying_rows + other.flying_rows,
    )
