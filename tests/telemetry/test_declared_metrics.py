"""What TorchServe's metrics.yaml declares."""

from __future__ import annotations

from typing import Any

import pytest

from salver.telemetry.declared import DeclaredMetric, declared_metrics
from salver.telemetry.measures import Measure
from salver.telemetry.torchservepage import only
from salver.types import ModelVersion

ROW = {"name": "Words", "unit": "count", "dimensions": ["ModelName"]}


def test_each_metric_has_its_kind_and_the_last_one_of_a_name_counts() -> None:
    found = declared_metrics({"model_metrics": {"counter": [ROW], "gauge": [{**ROW, "unit": "ms"}]}, "ts_metrics": 1})
    assert found == (DeclaredMetric(name="Words", kind="gauge", unit="ms", dimensions=("ModelName",)),)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "it has no mapping model_metrics"),
        ({"model_metrics": []}, "it has no mapping model_metrics"),
        ({"model_metrics": {"sum": [ROW]}}, "model_metrics has sum, which is none of counter, gauge, histogram"),
        ({"model_metrics": {"counter": ROW}}, "model_metrics.counter must be a list of metrics"),
        ({"model_metrics": {"counter": ["Words"]}}, "model_metrics.counter: "),
        ({"model_metrics": {"counter": [{"name": "Words", "unit": "count"}]}}, "dimensions"),
    ],
)
def test_what_is_wrong_is_said(document: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        declared_metrics(document)


def test_only_what_is_declared_is_shown_and_the_servers_own() -> None:
    own, silent = (Measure(name, "ms", "gauge", (), 1.0) for name in ("PredictionTime", "Silent"))
    found = [(ModelVersion("m", 1), (own, silent))]
    assert only(found, None) == found
    assert only(found, ("Words",)) == [(ModelVersion("m", 1), (own,))]
