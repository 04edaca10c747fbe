"""Plain integers on the prediction lane; ``exposition.py`` turns them into a page when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from salver.telemetry.live import BUCKETS_S, LiveCount


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
    failed_seconds: float = 0.0
    """What those of them took that were not answered `OK`."""
    reading_seconds: float = 0.0
    """Of predictions that were answered: from the arrival to the queue."""
    queued_seconds: float = 0.0
    """Of predictions that were answered: in the queue."""


class SizeCount(msgspec.Struct, frozen=True, kw_only=True):
    """The batches with one number of rows, and what they took together."""

    rows: int
    batches: int
    seconds: float


class BatchCount(msgspec.Struct, frozen=True, kw_only=True):
    """What one version's queue did and holds in one process."""

    model: str
    version: int
    batches: int
    rows: int
    waiting_rows: int
    flying_rows: int
    sizes: tuple[SizeCount, ...] = ()
    request_seconds: float = 0.0
    """The sum over all requests of what their batches took."""
    last_at: float = 0.0
    """When the last batch came back, in seconds since the epoch; 0.0: never."""


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
        self._counts: dict[tuple[str, str, int, str], LiveCount] = {}

    def count(self, key: tuple[str, str, int, str]) -> LiveCount:
        """Where the calls of an operation, model, version and wire are counted; whoever asks counts there himself."""
        return self._counts.setdefault(key, LiveCount())

    def requests(self) -> tuple[tuple[RequestKey, RequestCount], ...]:
        """What has been counted so far."""
        return tuple((RequestKey(*key), _so_far(count)) for key, count in self._counts.items())


def _so_far(live: LiveCount) -> RequestCount:
    codes = {"OK": live.answered} if live.answered else {}
    return RequestCount(
        codes={**codes, **live.codes},
        buckets=list(live.buckets),
        seconds=live.seconds,
        rows=live.rows,
        failed_seconds=live.failed_seconds,
        reading_seconds=live.reading_seconds,
        queued_seconds=live.queued_seconds,
    )


def merged(reports: Iterable[Report]) -> Report:
    """The sum of several processes' reports."""
    counts: dict[RequestKey, RequestCount] = {}
    connections = refused = dropped = 0
    told = tuple(reports)
    for report in told:
        for key, count in report.requests:
            _add_count(counts.setdefault(key, RequestCount()), count)
        connections += report.connections
        refused += report.refused_connections
        dropped += report.dropped_log_lines
    return Report(
        requests=tuple(sorted(counts.items(), key=lambda pair: pair[0])),
        batches=merged_batches(report.batches for report in told),
        connections=connections,
        refused_connections=refused,
        dropped_log_lines=dropped,
    )


def merged_batches(told: Iterable[tuple[BatchCount, ...]]) -> tuple[BatchCount, ...]:
    """The sum of what several processes' queues did."""
    batches: dict[tuple[str, int], BatchCount] = {}
    for counts in told:
        for batch in counts:
            known = batches.get((batch.model, batch.version))
            batches[batch.model, batch.version] = batch if known is None else _added(known, batch)
    return tuple(batches.values())


def _add_count(total: RequestCount, count: RequestCount) -> None:
    for code, number in count.codes.items():
        total.codes[code] = total.codes.get(code, 0) + number
    total.buckets = [one + other for one, other in zip(total.buckets, count.buckets, strict=True)]
    total.seconds += count.seconds
    total.rows += count.rows
    total.failed_seconds += count.failed_seconds
    total.reading_seconds += count.reading_seconds
    total.queued_seconds += count.queued_seconds


def _added(one: BatchCount, other: BatchCount) -> BatchCount:
    return BatchCount(
        model=one.model,
        version=one.version,
        batches=one.batches + other.batches,
        rows=one.rows + other.rows,
        waiting_rows=one.waiting_rows + other.waiting_rows,
        flying_rows=one.flying_rows + other.flying_rows,
        sizes=_merged_sizes((*one.sizes, *other.sizes)),
        request_seconds=one.request_seconds + other.request_seconds,
        last_at=max(one.last_at, other.last_at),
    )


def _merged_sizes(sizes: Iterable[SizeCount]) -> tuple[SizeCount, ...]:
    totals: dict[int, SizeCount] = {}
    for size in sizes:
        known = totals.get(size.rows)
        totals[size.rows] = (
            size
            if known is None
            else SizeCount(rows=size.rows, batches=known.batches + size.batches, seconds=known.seconds + size.seconds)
        )
    return tuple(totals[rows] for rows in sorted(totals))
