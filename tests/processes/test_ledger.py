from salver.processes.ledger import Ledger
from salver.telemetry.counters import BatchCount, Report, RequestCount, RequestKey, merged

KEY = RequestKey(operation="models.predict", model="m", version=1, wire="native")


def report(requests: int, *, connections: int = 1, waiting_rows: int = 2) -> Report:
    batch = BatchCount(model="m", version=1, batches=requests, rows=requests, waiting_rows=waiting_rows, flying_rows=3)
    return Report(requests=((KEY, RequestCount(codes={"OK": requests})),), batches=(batch,), connections=connections)


def total(ledger: Ledger) -> tuple[int, int, int]:
    """Requests, connections and waiting rows of the sum."""
    whole = merged(ledger.reports())
    requests = sum(count.codes.get("OK", 0) for _, count in whole.requests)
    return requests, whole.connections, sum(batch.waiting_rows for batch in whole.batches)


def test_a_ledger_without_front_ends_has_no_reports():
    assert Ledger().reports() == []


def test_of_each_front_end_the_last_report_counts():
    ledger = Ledger()
    ledger.note("one", report(5))
    ledger.note("one", report(7))
    ledger.note("two", report(10))
    assert total(ledger) == (17, 2, 4)


def test_what_a_front_end_has_counted_outlives_it_and_what_it_held_does_not():
    ledger = Ledger()
    ledger.note("one", report(7))
    ledger.note("two", report(10))
    ledger.close("one")
    assert total(ledger) == (17, 1, 2)
    ledger.close("two")
    assert total(ledger) == (17, 0, 0)
    ledger.note("three", report(1))
    assert total(ledger) == (18, 1, 2)


def test_a_front_end_that_never_told_anything_leaves_nothing():
    ledger = Ledger()
    ledger.close("one")
    assert ledger.reports() == []
