"""Counts under TensorFlow Serving's names: only what was counted, and only of its own calls."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from salver.errors import Code
from salver.operations import server
from salver.operations.base import Request
from salver.wire.tfserving.monitoring import canonical, monitoring_route

REQUEST = Request(method="GET", path="/numbers", raw_path="/numbers")


def call(model: str = "m", version: int = 1, wire: str = "tfserving", **more: object) -> server.CallCount:
    fields = {"codes": {"OK": 3}, "buckets": (1, 2, 0), "seconds": 0.5, "rows": 6, "operation": "models.predict"}
    return server.CallCount(model=model, version=version, wire=wire, **(fields | more))  # type: ignore[arg-type]


def page(*calls: server.CallCount) -> dict[str, float]:
    route = monitoring_route("/numbers")
    assert (route.methods, route.path, route.operation) == (("GET",), "/numbers", server.COUNTS.name)
    assert isinstance(route.read(REQUEST), server.GetCounts)
    answer = route.write(server.Counts(calls=calls, bounds_s=(0.001, 0.5), page=b"salver_up 1.0\n"), REQUEST)
    assert answer.status == 200
    assert answer.content_type is not None
    assert answer.content_type.startswith("text/plain")
    text = answer.body.decode()
    assert [*text_string_to_metric_families(text.replace(":tensorflow", "tensorflow"))], "a scraper reads it"
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, _, value in pairs}


def test_versions_are_added_up_and_codes_are_canonical() -> None:
    series = page(
        call(version=1, codes={"OK": 3, "INVALID_INPUT": 2}), call(version=2, codes={"OK": 4, "SIGNATURE_NOT_FOUND": 1})
    )
    assert series[':tensorflow:serving:request_count{model_name="m",status="OK"}'] == 7
    assert series[':tensorflow:serving:request_count{model_name="m",status="INVALID_ARGUMENT"}'] == 3
    assert series[':tensorflow:serving:request_example_count_total{model="m"}'] == 12
    assert series["salver_up"] == 1


def test_latencies_are_microseconds_in_growing_buckets() -> None:
    series = page(call())
    name = ":tensorflow:serving:request_latency"
    labels = 'model_name="m"'
    assert [series[f'{name}_bucket{{{labels},le="{bound}"}}'] for bound in ("1000", "500000", "+Inf")] == [1, 3, 3]
    assert (series[f"{name}_sum{{{labels}}}"], series[f"{name}_count{{{labels}}}"]) == (500_000, 3)


def test_other_protocols_and_names_that_no_model_has_are_not_counted() -> None:
    series = page(call(wire="native"), call(model=""), call(operation="models.get"))
    assert [*series] == ["salver_up"]


def test_every_code_has_a_canonical_name() -> None:
    assert canonical("OK") == "OK"
    assert all(canonical(code.value).isupper() for code in Code)
