"""What MLServer has around its answers: headers of cloud events, and a page of metrics."""

from __future__ import annotations

from salver.errors import Code, RequestError
from salver.operations import statistics
from salver.operations.statistics import Spent, VersionStatistics
from salver.types import ModelVersion
from salver.wire.openinference.mlserver.cloudevents import cloud_event
from salver.wire.openinference.mlserver.metrics import MlServerMetricsWire


def test_an_answer_is_a_cloud_event() -> None:
    assert dict(cloud_event("here", "iris", "a")) == {
        "Ce-Specversion": "0.3",
        "Ce-Source": "io.seldon.serving.deployment.here",
        "Ce-Type": "io.seldon.serving.inference.response",
        "Ce-Modelid": "iris",
        "Ce-Inferenceservicename": "here",
        "Ce-Endpoint": "iris",
        "Ce-Id": "a",
        "Ce-Requestid": "a",
    }


def test_an_id_that_no_header_can_carry_is_left_out() -> None:
    for id in ("", "a\r\nX-Own: 1", "\u00e9", "a" * 2000):
        assert "Ce-Id" not in dict(cloud_event("here", "iris", id))


def test_metrics_have_the_originals_names(ordinary_request) -> None:
    wire = MlServerMetricsWire()
    (route,) = wire.routes
    assert (route.path, route.operation) == ("/metrics", statistics.OF_ALL.name)
    counted = VersionStatistics(
        id=ModelVersion('i"s', 2),
        last_at=1.0,
        rows=4,
        success=Spent(3, 1.5),
        failure=Spent(1, 0.5),
        failures={"INVALID_INPUT": 1},
        reading=Spent(),
        queue=Spent(),
        model=Spent(),
        writing=Spent(),
        batches=(),
        waiting_rows=0,
        memory_bytes=0,
    )
    lines = route.write((counted,), ordinary_request("GET", "/metrics")).body.decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'model_infer_request_success_total{model="i\\"s",version="2"} 3',
        'model_infer_request_failure_total{model="i\\"s",version="2"} 1',
        'model_infer_request_duration_count{model="i\\"s",version="2"} 4',
        'model_infer_request_duration_sum{model="i\\"s",version="2"} 2.0',
    ]
    refused = wire.error(RequestError(Code.ROUTE_NOT_FOUND, "", fix=""), ordinary_request("GET", "/x"))
    assert (refused.status, refused.body) == (404, b'{"detail":"Not Found"}')
