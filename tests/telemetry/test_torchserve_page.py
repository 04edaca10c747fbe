"""TorchServe's metrics page: its names, the counts of handlers, and what is left out."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from salver.telemetry.counters import Report, RequestCount, RequestKey
from salver.telemetry.measures import Measure, added_up, lasting
from salver.telemetry.torchservepage import torchserve_page
from salver.types import ModelStatus, ModelVersion, VersionState, VersionStatus

VERSION = ModelVersion("m", 2)
MODEL = ModelStatus(
    name="m",
    versions=(
        VersionStatus(
            id=VERSION,
            state=VersionState.READY,
            runtime="mar",
            source="",
            environment="",
            replicas_wanted=1,
            own_name="2.0-beta",
        ),
    ),
    default_version=2,
)
COUNT = RequestCount(codes={"OK": 3, "INVALID_INPUT": 1, "MODEL_ERROR": 2}, seconds=0.6, queued_seconds=0.06)
REPORT = Report(
    requests=(
        (RequestKey("models.predict", "m", 2, "torchserve"), COUNT),
        (RequestKey("models.list", "", 0, "native"), RequestCount(codes={"OK": 9})),
    )
)
LINE = re.compile(r'(\w+)\{.*?(?:le="([^"]*)")?,\} (\S+)')
LABELS = (("Level", "Model"), ("odd name", 'a "quoted"\\text'))


def values(*measures: Measure, names: tuple[str, ...] = ()) -> dict[str, float]:
    page = torchserve_page(REPORT, [MODEL], [(VERSION, measures)], names).decode()
    assert list(text_string_to_metric_families(page)), "Prometheus can read it"
    lines = [LINE.fullmatch(line) for line in page.splitlines() if not line.startswith("#")]
    return {f"{line[1]}{line[2] or ''}": float(line[3]) for line in lines if line is not None}


def test_requests_are_counted_under_the_originals_names() -> None:
    found = values()
    assert (found["Requests2XX"], found["Requests4XX"], found["Requests5XX"]) == (3, 1, 2)
    assert found["ts_inference_requests_total"] == 6
    assert round(found["ts_inference_latency_microseconds"]) == 600_000
    assert round(found["ts_queue_latency_microseconds"]) == 60_000
    assert (round(found["QueueTime"]), round(found["WorkerThreadTime"])) == (10, 90)
    assert found["DiskUtilization"] <= 100.0


def test_a_version_is_called_as_its_archive_calls_it() -> None:
    assert b'model_version="2.0-beta"' in torchserve_page(REPORT, [MODEL], [], ())


def test_only_what_is_named_is_shown() -> None:
    assert set(values(names=("Requests2XX", "nothing"))) == {"Requests2XX"}


def test_what_handlers_count_is_there() -> None:
    found = values(
        Measure("Words", "Count", "counter", LABELS, 3.0),
        Measure("Size", "Bytes", "histogram", LABELS, 0.5, (1, 0, 2)),
        Measure("1st of-all", "Count", "gauge", (), 7.0),
        Measure("Words", "Count", "gauge", (), 8.0),
        Measure("Requests2XX", "Count", "counter", (), 8.0),
    )
    assert (found["Words"], found["_1st_of_all"], found["Requests2XX"]) == (3, 7, 3)
    assert (found["Size_count"], found["Size_sum"]) == (3, 0.5)
    assert (found["Size_bucket0.005"], found["Size_bucket0.01"], found["Size_bucket0.025"]) == (1, 1, 3)


def test_counts_of_several_workers_add_up_and_gauges_do_not_outlive_theirs() -> None:
    counter = Measure("a", "Count", "counter", (), 1.0)
    gauge = Measure("b", "Count", "gauge", (), 5.0)
    histogram = Measure("c", "Count", "histogram", (), 1.0, (1, 0))
    longer = Measure("c", "Count", "histogram", (), 2.0, (1, 1, 1))
    newer = Measure("b", "Count", "gauge", (), 6.0)
    assert added_up([counter, gauge, histogram, counter, newer, longer]) == (
        Measure("a", "Count", "counter", (), 2.0),
        newer,
        Measure("c", "Count", "histogram", (), 3.0, (2, 1, 1)),
    )
    assert lasting([counter, gauge, histogram]) == (counter, histogram)
