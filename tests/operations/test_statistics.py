"""Statistics add up: the times of what succeeded are those of its parts."""

from __future__ import annotations

import pytest

from salver.operations.inference import PREDICT
from salver.operations.statistics import PREDICTION, Batches, Spent, statistics_of
from salver.telemetry.counters import BatchCount, Report, RequestCount, RequestKey, SizeCount, merged
from salver.types import ModelStatus, ModelVersion, ReplicaStatus, VersionState, VersionStatus


def entry(number: int, state: VersionState = VersionState.READY) -> VersionStatus:
    replica = ReplicaStatus(id="r", pid=1, state="READY", started_at=0.0, rss_bytes=100)
    return VersionStatus(
        id=ModelVersion("m", number),
        state=state,
        runtime="echo",
        source="",
        environment="",
        replicas_wanted=1,
        replicas=(replica, replica),
    )


def model(*versions: VersionStatus) -> ModelStatus:
    return ModelStatus(name="m", versions=versions, default_version=1)


def count(wire: str, **fields: float) -> tuple[RequestKey, RequestCount]:
    codes = {"OK": 2, "OVERLOADED": 1} if wire == "native" else {"OK": 1}
    return RequestKey("models.predict", "m", 1, wire), RequestCount(codes=codes, **fields)  # type: ignore[arg-type]


def report() -> Report:
    native = count("native", seconds=3.0, failed_seconds=1.0, reading_seconds=0.25, queued_seconds=0.5, rows=5)
    other = count("openinference", seconds=1.0, reading_seconds=0.25, queued_seconds=0.0, rows=1)
    listing = (RequestKey("models.get", "m", 1, "native"), RequestCount(codes={"OK": 9}, seconds=9.0))
    batch = BatchCount(
        model="m",
        version=1,
        batches=3,
        rows=6,
        waiting_rows=4,
        flying_rows=0,
        sizes=(SizeCount(rows=1, batches=2, seconds=0.5), SizeCount(rows=4, batches=1, seconds=0.25)),
        request_seconds=1.5,
        last_at=77.0,
    )
    return Report(requests=(native, other, listing), batches=(batch,))


def test_all_wires_count_and_nothing_but_predictions() -> None:
    (found,) = statistics_of(report(), [model(entry(1))])
    assert (found.success, found.failure, found.failures) == (Spent(3, 3.0), Spent(1, 1.0), {"OVERLOADED": 1})
    assert (found.rows, found.executions, found.waiting_rows, found.memory_bytes) == (6, 3, 4, 200)
    assert found.batches == (Batches(1, Spent(2, 0.5)), Batches(4, Spent(1, 0.25)))
    assert found.last_at == 77.0
    assert PREDICT.name == PREDICTION


def test_the_parts_of_the_time_add_up() -> None:
    (found,) = statistics_of(report(), [model(entry(1))])
    parts = (found.reading, found.queue, found.model, found.writing)
    assert [part.seconds for part in parts] == [0.5, 0.5, 1.5, 0.5]
    assert sum(part.seconds for part in parts) == found.success.seconds
    assert {part.count for part in parts} == {3}


def test_several_processes_add_up() -> None:
    (found,) = statistics_of(merged([report(), report()]), [model(entry(1))])
    assert (found.success, found.executions, found.model.seconds) == (Spent(6, 6.0), 6, 3.0)
    assert found.batches == (Batches(1, Spent(4, 1.0)), Batches(4, Spent(2, 0.5)))


def test_a_version_that_nobody_asked_has_nothing() -> None:
    found = statistics_of(Report(), [model(entry(2), entry(1), entry(3, VersionState.FAILED))])
    assert [each.id.version for each in found] == [1, 2]
    assert {(each.success, each.batches, each.last_at, each.executions) for each in found} == {(Spent(), (), 0.0, 0)}


@pytest.mark.parametrize("request_seconds", [0.0, 100.0])
def test_no_part_is_longer_than_the_whole(request_seconds: float) -> None:
    """Batches whose requests failed at the last moment count, their requests do not."""
    batch = BatchCount(
        model="m", version=1, batches=1, rows=1, waiting_rows=0, flying_rows=0, request_seconds=request_seconds
    )
    (found,) = statistics_of(Report(requests=report().requests, batches=(batch,)), [model(entry(1))])
    assert found.model.seconds == min(request_seconds, 2.0)
    assert found.writing.seconds >= 0.0
