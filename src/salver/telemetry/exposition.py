"""The Prometheus page, made from reports and statuses when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from salver.telemetry.counters import Report, RequestCount
from salver.telemetry.live import BUCKETS_S
from salver.types import ModelStatus, VersionState, VersionStatus

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def render(report: Report, models: Iterable[ModelStatus], server_version: str, audit_lines_lost: int = 0) -> bytes:
    """The page, in the text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    versions = [version for model in models for version in model.versions]
    registry.register(_Page(report, versions, server_version, audit_lines_lost))
    return generate_latest(registry)


class _Page(Collector):
    """Yields every family once; its labels come from live versions, operations and codes, never from a request."""

    def __init__(
        self, report: Report, versions: list[VersionStatus], server_version: str, audit_lines_lost: int
    ) -> None:
        self._report = report
        self._versions = versions
        self._server_version = server_version
        self._audit_lines_lost = audit_lines_lost

    def collect(self) -> Iterator[Family]:
        yield from self._requests()
        yield from self._queues()
        yield from self._replicas()
        yield from self._server()

    def _requests(self) -> Iterator[Family]:
        total = CounterMetricFamily(
            "salver_requests",
            "Requests by outcome.",
            labels=("operation", "model", "version", "protocol", "code"),
        )
        rows = CounterMetricFamily("salver_rows", "Rows answered.", labels=("model", "version", "protocol"))
        duration = HistogramMetricFamily(
            "salver_request_duration_seconds",
            "From the whole request's arrival to its answer.",
            labels=("operation", "model", "version", "protocol"),
        )
        for key, count in self._report.requests:
            version = str(key.version) if key.version else ""
            labels = (key.operation, key.model, version, key.wire)
            for code, number in sorted(count.codes.items()):
                total.add_metric((*labels, code), number)
            if count.rows:
                rows.add_metric((key.model, version, key.wire), count.rows)
            duration.add_metric(labels, _buckets(count), count.seconds)
        yield total
        yield rows
        yield duration

    def _queues(self) -> Iterator[Family]:
        labels = ("model", "version")
        batches = CounterMetricFamily("salver_batches", "Batches that a model answered.", labels=labels)
        rows = CounterMetricFamily("salver_batched_rows", "Rows in those batches.", labels=labels)
        waiting = GaugeMetricFamily("salver_queue_rows", "Rows that wait for a replica.", labels=labels)
        flying = GaugeMetricFamily("salver_running_rows", "Rows that replicas have in hand.", labels=labels)
        for count in self._report.batches:
            values = (count.model, str(count.version))
            batches.add_metric(values, count.batches)
            rows.add_metric(values, count.rows)
            waiting.add_metric(values, count.waiting_rows)
            flying.add_metric(values, count.flying_rows)
        yield from (batches, rows, waiting, flying)

    def _replicas(self) -> Iterator[Family]:
        labels = ("model", "version")
        wanted = GaugeMetricFamily("salver_replicas_wanted", "Replicas that should run.", labels=labels)
        ready = GaugeMetricFamily("salver_replicas_ready", "Replicas that are loaded and answer.", labels=labels)
        restarts = CounterMetricFamily(
            "salver_worker_restarts", "Workers started again after they died.", labels=labels
        )
        memory = GaugeMetricFamily("salver_worker_memory_bytes", "Resident memory of the workers.", labels=labels)
        state = GaugeMetricFamily("salver_version_state", "1 for the state a version is in.", labels=(*labels, "state"))
        for version in self._versions:
            values = (version.id.model, str(version.id.version))
            wanted.add_metric(values, version.replicas_wanted)
            ready.add_metric(values, version.replicas_ready)
            restarts.add_metric(values, sum(replica.restarts for replica in version.replicas))
            memory.add_metric(values, sum(replica.rss_bytes for replica in version.replicas))
            for possible in VersionState:
                state.add_metric((*values, possible.value), float(version.state is possible))
        yield from (wanted, ready, restarts, memory, state)

    def _server(self) -> Iterator[Family]:
        yield GaugeMetricFamily("salver_connections", "Open client connections.", value=self._report.connections)
        yield CounterMetricFamily(
            "salver_connections_refused", "Connections refused at the limit.", value=self._report.refused_connections
        )
        yield CounterMetricFamily(
            "salver_log_lines_dropped",
            "Access log lines dropped because their reader was too slow.",
            value=self._report.dropped_log_lines,
        )
        yield CounterMetricFamily(
            "salver_audit_lines_lost",
            "Refusals missing in the audit log because the store failed or was too slow.",
            value=self._audit_lines_lost,
        )
        build = GaugeMetricFamily("salver_build_info", "The running release.", labels=("release",))
        build.add_metric((self._server_version,), 1)
        yield build


def _buckets(count: RequestCount) -> list[tuple[str, float]]:
    rows: list[tuple[str, float]] = []
    sum_so_far = 0
    for bound, number in zip((*map(str, BUCKETS_S), "+Inf"), count.buckets, strict=True):
        sum_so_far += number
        rows.append((bound, sum_so_far))
    return rows
