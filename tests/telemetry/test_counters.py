"""Counts of several processes add up to the sum of all calls."""

from __future__ import annotations

from salver.telemetry.counters import BatchCount, Counters, Report, RequestKey, merged


def report(codes: dict[str, int], waiting: int) -> Report:
    counters = Counters()
    count = counters.count(("models.predict", "m", 1, "native"))
    count.codes.update(codes)
    count.buckets[2] += sum(codes.values())
    count.seconds += 0.5
    count.rows += 3
    batch = BatchCount(model="m", version=1, batches=1, rows=3, waiting_rows=waiting, flying_rows=1)
    return Report(
        requests=counters.requests(), batches=(batch,), connections=2, refused_connections=1, dropped_log_lines=4
    )


def test_one_place_counts_for_each_set_of_labels() -> None:
    counters = Counters()
    assert counters.count(("o", "m", 1, "w")) is counters.count(("o", "m", 1, "w"))
    assert counters.count(("o", "m", 2, "w")) is not counters.count(("o", "m", 1, "w"))


def test_reports_add_up_and_stay_as_they_were() -> None:
    one, two = report({"OK": 2}, 5), report({"OK": 1, "OVERLOADED": 3}, 7)
    total = merged([one, two])
    ((key, count),) = total.requests
    assert key == RequestKey("models.predict", "m", 1, "native")
    assert count.codes == {"OK": 3, "OVERLOADED": 3}
    assert (count.buckets[2], count.seconds, count.rows) == (6, 1.0, 6)
    (batch,) = total.batches
    assert (batch.batches, batch.rows, batch.waiting_rows, batch.flying_rows) == (2, 6, 12, 2)
    assert (total.connections, total.refused_connections, total.dropped_log_lines) == (4, 2, 8)
    assert one.requests[0][1].codes == {"OK": 2}


def test_nothing_adds_up_to_nothing() -> None:
    assert merged([]) == Report()
