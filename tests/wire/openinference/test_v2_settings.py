"""Statistics, metrics, log and trace settings, and configurations that come with a wish to load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from salver.errors import Code, RequestError
from salver.operations import statistics
from salver.operations.base import Request
from salver.operations.server import LEVELS, LogLevel, SetLogging
from salver.operations.statistics import Batches, Spent, VersionStatistics
from salver.types import ModelVersion, PolicyKind, VersionPolicy
from salver.wire.openinference.loadconfig import wanted_changes
from salver.wire.openinference.metrics import OpenInferenceMetricsWire
from salver.wire.openinference.serversettings import check_trace, log_settings, settings_object, wanted_kinds
from salver.wire.openinference.statistics import metrics_page, statistics_document

COUNTED = VersionStatistics(
    id=ModelVersion('a"b\\', 2),
    last_at=12.345,
    rows=9,
    success=Spent(4, 1.0),
    failure=Spent(3, 0.5),
    failures={"OVERLOADED": 1, "MODEL_ERROR": 1, "INVALID_INPUT": 1},
    reading=Spent(4, 0.125),
    queue=Spent(4, 0.25),
    model=Spent(4, 0.5),
    writing=Spent(4, 0.125),
    batches=(Batches(1, Spent(1, 0.125)), Batches(4, Spent(2, 0.25))),
    waiting_rows=5,
    memory_bytes=4096,
)


def test_statistics_are_told_in_the_words_of_the_original() -> None:
    nothing = {"count": 0, "ns": 0}
    assert statistics_document((COUNTED,))["model_stats"] == [
        {
            "name": 'a"b\\',
            "version": "2",
            "last_inference": 12345,
            "inference_count": 9,
            "execution_count": 3,
            "inference_stats": {
                "success": {"count": 4, "ns": 1_000_000_000},
                "fail": {"count": 3, "ns": 500_000_000},
                "queue": {"count": 4, "ns": 250_000_000},
                "compute_input": {"count": 4, "ns": 125_000_000},
                "compute_infer": {"count": 4, "ns": 500_000_000},
                "compute_output": {"count": 4, "ns": 125_000_000},
                "cache_hit": nothing,
                "cache_miss": nothing,
            },
            "response_stats": {},
            "batch_stats": [
                {
                    "batch_size": rows,
                    "compute_input": {"count": count, "ns": 0},
                    "compute_infer": {"count": count, "ns": ns},
                    "compute_output": {"count": count, "ns": 0},
                }
                for rows, count, ns in ((1, 1, 125_000_000), (4, 2, 250_000_000))
            ],
            "memory_usage": [{"type": "CPU", "id": 0, "byte_size": 4096}],
        }
    ]
    assert statistics_document(()) == {"model_stats": []}


def test_the_page_of_metrics_has_the_families_of_the_original(ordinary_request: Callable[..., Request]) -> None:
    lines = metrics_page((COUNTED,)).decode().splitlines()
    labels = 'model="a\\"b\\\\",version="2"'
    assert f"nv_inference_request_success{{{labels}}} 4" in lines
    assert f"nv_inference_count{{{labels}}} 9" in lines
    assert f"nv_inference_exec_count{{{labels}}} 3" in lines
    assert f"nv_inference_pending_request_count{{{labels}}} 5" in lines
    assert f"nv_inference_compute_infer_duration_us{{{labels}}} 500000" in lines
    assert "# TYPE nv_inference_pending_request_count gauge" in lines
    reasons = [line.rpartition("reason=")[2] for line in lines if line.startswith("nv_inference_request_failure{")]
    assert reasons == ['"REJECTED"} 1', '"CANCELED"} 0', '"BACKEND"} 1', '"OTHER"} 1']


def test_the_port_of_metrics_has_one_page(ordinary_request: Callable[..., Request]) -> None:
    wire = OpenInferenceMetricsWire()
    (route,) = wire.routes
    request = ordinary_request("GET", "/metrics")
    assert (route.read(request), route.operation) == (statistics.GetAllStatistics(), statistics.OF_ALL.name)
    answer = route.write((COUNTED,), request)
    assert (answer.status, answer.content_type) == (200, "text/plain; charset=utf-8; version=0.0.4")
    assert wire.predict_route(b"POST", b"/v2/models/m/infer") is None
    assert wire.owns("/anything")
    for path, status in (("/metrics", 405), ("/v2", 404)):
        assert wire.unmatched(ordinary_request("POST", path)).status == status


# The log


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_is_told_as_kinds_of_events(level: Any) -> None:
    told = log_settings(LogLevel(level))
    shown = [told["log_verbose_level"] == 1, told["log_info"], told["log_warning"], told["log_error"]]
    assert shown == [kind >= LEVELS.index(level) for kind in range(4)]
    assert (told["log_file"], told["log_format"]) == ("", "default")


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ("info", {}, "info"),
        ("info", {"log_verbose_level": 3}, "debug"),
        ("debug", {"log_verbose_level": 0}, "info"),
        ("info", {"log_info": False}, "warning"),
        ("info", {"log_info": False, "log_warning": False}, "error"),
        ("error", {"log_warning": True}, "warning"),
        ("error", {"log_error": True}, "error"),
        ("debug", {"log_info": False, "log_format": "default"}, "debug"),
    ],
)
def test_kinds_that_are_switched_on_or_off_make_a_level(before: Any, wanted: Any, after: str) -> None:
    assert wanted_kinds(wanted).over(before) == after
    assert SetLogging({}).over(before) == before


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"log_info": 1}, "attempt to access JSON non-boolean as boolean in 'log_info'"),
        ({"log_error": False}, "log_error cannot be switched off on this server"),
        ({"log_verbose_level": -1}, "attempt to access JSON non-unsigned-integer"),
        ({"log_verbose_level": True}, "attempt to access JSON non-unsigned-integer"),
        ({"log_format": "ISO8601"}, "log_format cannot be changed"),
        ({"log_file": "/x"}, "log file location can not be updated through network protocol"),
        ({"log_colour": True}, "unknown log setting 'log_colour'"),
    ],
)
def test_settings_of_the_log_that_cannot_be_set(wanted: Any, text: str) -> None:
    with pytest.raises(RequestError) as caught:
        wanted_kinds(wanted)
    assert caught.value.message.startswith(text)


def test_nothing_can_be_traced() -> None:
    check_trace({})
    check_trace({"trace_level": ["OFF"], "trace_rate": None, "trace_count": "-1"})
    for wanted, text in (({"trace_level": ["TENSORS"]}, "tracing is not"), ({"a": 1}, "unknown trace setting 'a'")):
        with pytest.raises(RequestError, match=text):
            check_trace(wanted)


def test_settings_come_as_an_object(ordinary_request: Callable[..., Request]) -> None:
    def read(body: bytes) -> Any:
        return settings_object(ordinary_request("POST", "/v2/logging", body=body))

    assert (read(b" "), read(b'{"a": 1}')) == ({}, {"a": 1})
    for wrong, why in ((b"{", "the document is not valid JSON"), (b"[]", "an object is needed")):
        with pytest.raises(RequestError, match=f"failed to parse the request JSON buffer: {why}"):
            read(wrong)


# Loading


def changes(**config: Any) -> Any:
    return wanted_changes("m", orjson.dumps(config).decode())


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ({"latest": {"num_versions": 2}}, VersionPolicy(count=2)),
        ({"latest": {"numVersions": "3"}}, VersionPolicy(count=3)),
        ({"latest": {}}, VersionPolicy()),
        ({"all": {}}, VersionPolicy(kind=PolicyKind.ALL)),
        ({"specific": {"versions": [1, "2"]}}, VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1, 2))),
    ],
)
def test_a_configuration_may_set_the_policy(policy: Any, wanted: VersionPolicy) -> None:
    assert changes(name="m", version_policy=policy) == {"policy": wanted}


def test_a_configuration_may_set_how_many_replicas_there_are() -> None:
    assert changes(instance_group=[{"count": "2", "kind": "KIND_CPU"}, {}]) == {"replicas": 3}
    assert changes() == {}


@pytest.mark.parametrize(
    "config",
    [
        {"version_policy": {"latest": {"num_versions": 0}}},
        {"version_policy": {"latest": {"num_versions": "many"}}},
        {"version_policy": {"specific": {"versions": []}}},
        {"version_policy": {"specific": {"versions": [1.5]}}},
        {"version_policy": []},
        {"instance_group": []},
        {"instance_group": {}},
        {"instance_group": [{"count": 0}]},
        {"instance_group": [1]},
        {"instance_group": [{"count": 1 << 62}]},
        {"name": "n"},
    ],
)
def test_a_configuration_that_means_nothing(config: Any) -> None:
    with pytest.raises(RequestError, match="failed to load 'm': the configuration"):
        changes(**config)


@pytest.mark.parametrize("text", ["{", "[]", 5, "\ud800"])
def test_a_configuration_is_an_object_in_a_string(text: Any) -> None:
    with pytest.raises(RequestError, match="failed to load 'm': the configuration"):
        wanted_changes("m", text)


def test_what_a_version_never_changes_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="the configuration's 'max_batch_size' cannot be set by loading") as caught:
        changes(max_batch_size="16")
    assert caught.value.code is Code.INVALID_INPUT
