"""The metrics that a handler counts."""

from __future__ import annotations

from typing import Any

import pytest

from salver_worker.runtimes.context import RequestProcessor
from salver_worker.runtimes.handler_metrics import Dimension, Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("m", {0: "a", 1: "b"})


def heads(metrics: Metrics) -> list[str]:
    return [line.partition("|")[0] for line in metrics.lines()]


def test_every_kind_of_metric_has_its_unit(metrics: Metrics) -> None:
    metrics.add_counter("Words", 3)
    metrics.add_time("Took", 1.5)
    metrics.add_time("Waited", 2, unit="s")
    metrics.add_size("Read", 4)
    metrics.add_size("Wrote", 5, unit="kB")
    metrics.add_percent("Load", 50)
    metrics.add_metric("Heat", 36.6, unit="celsius")
    metrics.add_metric("Plain", 1)
    assert heads(metrics) == [
        "Words.Count:3",
        "Took.Milliseconds:1.5",
        "Waited.Seconds:2",
        "Read.Megabytes:4",
        "Wrote.Kilobytes:5",
        "Load.Percent:50",
        "Heat.celsius:36.6",
        "Plain.unit:1",
    ]


def test_counters_count_on_and_others_are_replaced(metrics: Metrics) -> None:
    for value in (1, 2):
        metrics.add_counter("Words", value)
        metrics.add_counter("Words", value, 0)
        metrics.add_time("Took", value)
    assert heads(metrics) == ["Words.Count:3", "Words.Count:3", "Took.Milliseconds:2"]


def test_a_metric_belongs_to_one_request_or_to_all(metrics: Metrics) -> None:
    metrics.add_counter("One", 1, 1)
    metrics.add_counter("All", 1)
    metrics.add_counter("Unknown", 1, 7)
    assert [line.rpartition("|")[2].split(",", 2)[2] for line in metrics.lines()] == ["b", "a,b", "a,b"]


def test_dimensions_come_before_the_models_own(metrics: Metrics) -> None:
    metrics.add_counter("Words", 1, dimensions=[Dimension("Language", "en")])
    assert "|#Language:en,ModelName:m,Level:Model|#hostname:" in metrics.lines()[0]


@pytest.mark.parametrize(("method", "unit"), [("add_time", "min"), ("add_size", "ms")])
def test_an_unknown_unit_is_refused(metrics: Metrics, method: str, unit: str) -> None:
    with pytest.raises(ValueError, match="the unit of a"):
        getattr(metrics, method)("X", 1, unit=unit)


def test_a_request_processor_keeps_what_a_handler_reports() -> None:
    processor: Any = RequestProcessor({"Accept": "x"})
    processor.report_status(201, reason_phrase="Made")
    processor.add_response_property("X-A", "1")
    assert processor.get_response_status_code() == 201
    assert processor.get_response_status_phrase() == "Made"
    assert processor.get_response_header("X-A") == "1"
    assert processor.get_response_header("X-B") is None
    assert processor.get_request_properties() == {"Accept": "x"}
