"""The Prometheus page: what its own parser reads, and no more series for anything that strangers send."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from salver.errors import Code, RequestError
from salver.telemetry.accesslog import AccessLog
from salver.telemetry.counters import BatchCount, Counters, Report
from salver.telemetry.exposition import render
from salver.telemetry.live import BUCKETS_S
from salver.telemetry.meter import Meter
from salver.types import ModelStatus, ModelVersion, ReplicaStatus, VersionState, VersionStatus


def status() -> ModelStatus:
    replicas = (
        ReplicaStatus(id="a", pid=1, state="READY", started_at=0.0, restarts=2, rss_bytes=1000),
        ReplicaStatus(id="b", pid=2, state="STARTING", started_at=0.0, restarts=1, rss_bytes=500),
    )
    version = VersionStatus(
        id=ModelVersion("m", 3),
        state=VersionState.DEGRADED,
        runtime="onnx",
        source="",
        environment="",
        replicas_wanted=2,
        replicas=replicas,
    )
    return ModelStatus(name="m", versions=(version,), default_version=3)


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def finish(meter: Meter, error: Any = None, *, model: str = "m", version: int = 3, seconds: float = 0.002) -> None:
    call = SimpleNamespace(
        operation=SimpleNamespace(name="models.predict"),
        principal=SimpleNamespace(id="anonymous"),
        request_id="id",
        model=model,
        version=version,
        wire="native",
        peer="",
        rows=2,
        queued_at=0.0,
        queued_s=0.0,
        started_at=0.0,
    )
    meter.record(meter.tally(call), call, error, seconds)


def test_the_page_says_what_was_counted() -> None:
    counters = Counters()
    meter = Meter(counters, AccessLog(None, None))  # type: ignore[arg-type]
    finish(meter)
    finish(meter, seconds=100.0)
    finish(meter, RequestError(Code.OVERLOADED, "Later."))
    batch = BatchCount(model="m", version=3, batches=5, rows=9, waiting_rows=1, flying_rows=2)
    report = Report(
        requests=counters.requests(), batches=(batch,), connections=7, refused_connections=8, dropped_log_lines=9
    )
    found = samples(render(report, [status()], "1.2.3"))

    def value(name: str, **labels: str) -> float:
        return found[name, tuple(sorted(labels.items()))]

    call = {"operation": "models.predict", "model": "m", "version": "3", "protocol": "native"}
    assert value("salver_requests_total", **call, code="OK") == 2
    assert value("salver_requests_total", **call, code="OVERLOADED") == 1
    assert value("salver_rows_total", model="m", version="3", protocol="native") == 6
    assert value("salver_request_duration_seconds_count", **call) == 3
    assert value("salver_request_duration_seconds_bucket", **call, le="0.001") == 0
    assert value("salver_request_duration_seconds_bucket", **call, le="0.0025") == 2
    assert value("salver_request_duration_seconds_bucket", **call, le="+Inf") == 3
    assert value("salver_request_duration_seconds_sum", **call) == pytest.approx(100.004)
    version = {"model": "m", "version": "3"}
    assert value("salver_batches_total", **version) == 5
    assert value("salver_batched_rows_total", **version) == 9
    assert value("salver_queue_rows", **version) == 1
    assert value("salver_running_rows", **version) == 2
    assert value("salver_replicas_wanted", **version) == 2
    assert value("salver_replicas_ready", **version) == 1
    assert value("salver_worker_restarts_total", **version) == 3
    assert value("salver_worker_memory_bytes", **version) == 1500
    assert value("salver_version_state", **version, state="DEGRADED") == 1
    assert value("salver_version_state", **version, state="READY") == 0
    assert value("salver_connections") == 7
    assert value("salver_connections_refused_total") == 8
    assert value("salver_log_lines_dropped_total") == 9
    assert value("salver_build_info", release="1.2.3") == 1


def test_an_empty_server_has_a_page() -> None:
    found = samples(render(Report(), [], "1"))
    assert found["salver_connections", ()] == 0


def test_every_bound_of_the_histogram_is_a_series_and_they_grow() -> None:
    counters = Counters()
    meter = Meter(counters, AccessLog(None, None))  # type: ignore[arg-type]
    for bound in BUCKETS_S:
        finish(meter, seconds=bound)
    found = samples(render(Report(requests=counters.requests()), [], "1"))
    buckets = [value for (name, _), value in found.items() if name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert len(buckets) == len(BUCKETS_S) + 1


def test_twenty_thousand_names_that_strangers_made_up_add_no_series() -> None:
    counters = Counters()
    meter = Meter(counters, AccessLog(None, None))  # type: ignore[arg-type]
    error = RequestError(Code.MODEL_NOT_FOUND, "There is none.")
    finish(meter)
    finish(meter, error, model="first", version=0)
    before = len(samples(render(Report(requests=counters.requests()), [status()], "1")))
    for number in range(20_000):
        finish(meter, error, model=f'model-{number}\n"', version=0)
    begun = time.perf_counter()
    page = render(Report(requests=counters.requests()), [status()], "1")
    print(f"a scrape took {(time.perf_counter() - begun) * 1000:.1f} ms")
    assert len(samples(page)) == before
