"""What TorchServe's addresses ask for, and what its versions are called."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from salver.errors import Code, RequestError
from salver.operations import access, models
from salver.operations.base import Exchange, Request, Route
from salver.operations.server import GetHealth, GetMetrics, HealthReport, ServerDescription
from salver.types import (
    BatchSettings,
    ModelStatus,
    ModelVersion,
    PayloadKind,
    VersionInfo,
    VersionState,
    VersionStatus,
)
from salver.wire.torchserve.addresses import Asked, asked_by_torchserve
from salver.wire.torchserve.dialect import TORCHSERVE
from salver.wire.torchserve.errors import Subject, error_answer
from salver.wire.torchserve.inference import MmsWire
from salver.wire.torchserve.management import MmsManagementWire
from salver.wire.torchserve.metrics import MetricsWire
from salver.wire.torchserve.versions import UNKNOWN, name_among, name_of, number_of

Ordinary = Callable[..., Request]


def version(number: int, own_name: str = "", payload: PayloadKind = PayloadKind.BODY, **changes: Any) -> VersionStatus:
    fields: dict[str, Any] = {
        "id": ModelVersion("m", number),
        "state": VersionState.READY,
        "runtime": "mar",
        "source": f"/store/m-{number}.mar",
        "environment": "python",
        "replicas_wanted": 1,
        "own_name": own_name,
        "batching": BatchSettings(max_batch_rows=1, max_queue_rows=100),
    }
    return VersionStatus(**(fields | changes))


def info(payload: PayloadKind) -> VersionInfo:
    return VersionInfo(
        id=ModelVersion("m", 1),
        runtime="mar",
        payload=payload,
        signatures={},
        batching=BatchSettings(),
        has_batch_dimension=True,
        is_idempotent=True,
    )


MODEL = ModelStatus(
    name="m",
    versions=(version(7, "2.1-beta"), version(2, "2.0", waiting_rows=3), version(1)),
    default_version=2,
)
SERVED = {"m": MODEL}


@pytest.fixture
def wire() -> MmsWire:
    return MmsWire(lambda: None, TORCHSERVE, lambda: SERVED)


@pytest.fixture
def management() -> MmsManagementWire:
    return MmsManagementWire(TORCHSERVE, lambda: SERVED)


def route_of(wire: Any, method: str, path: str) -> Route:
    return next(route for route in wire.routes if route.path == path and {method, "*"} & set(route.methods))


# Versions


@pytest.mark.parametrize(
    ("text", "number"),
    [("2.1-beta", 7), ("2.0", 2), ("2", 2), ("2.0.0", 2), ("1.0", 1), ("1", 1), ("3", -1), ("2.1", -1), ("x", -1)],
)
def test_a_version_is_found_by_its_own_name_or_by_the_number_that_it_is(text: str, number: int) -> None:
    assert number_of(MODEL, text) == number


def test_a_version_of_a_model_that_nobody_knows_is_unknown() -> None:
    assert number_of(None, "1.0") == UNKNOWN


def test_a_version_without_a_name_is_called_by_its_number() -> None:
    assert [name_of(each) for each in MODEL.versions] == ["2.1-beta", "2.0", "1.0"]
    assert (name_among(MODEL, 7), name_among(MODEL, 9), name_among(None, 3), name_among(MODEL, None)) == (
        "2.1-beta",
        "9.0",
        "3.0",
        "",
    )


# Inference


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/predictions/m", Asked("m")),
        ("/predictions/m/", Asked("m")),
        ("/predictions/m/2.0", Asked("m", "2.0")),
        ("/predictions/m/2.0/some/path", Asked("m", "2.0", url_path="some/path")),
        ("/explanations/m", Asked("m", is_explanation=True)),
        ("/explanations/m/2.0", Asked("m", "2.0", is_explanation=True)),
        ("/m/2.0/predict", Asked("m", "2.0", b"q=1")),
        ("/m/predict", Asked("m", query=b"q=1")),
        ("/models/m/invoke", Asked("m", query=b"q=1")),
        ("/v1/models/m:predict", Asked("m", is_kserve=True)),
        ("/v1/models/m:explain", Asked("m", is_explanation=True, is_kserve=True)),
        ("/v2/models/m/infer", Asked("m", is_kserve=True)),
        ("/v2/models/m/explain", Asked("m", is_explanation=True, is_kserve=True)),
        ("/v1/models/m:classify", None),
        ("/v2/models/m", None),
        ("/predictions/", None),
        ("/models/m", None),
    ],
)
def test_a_path_asks_for(path: str, asked: Asked | None) -> None:
    assert asked_by_torchserve(path.split("/"), b"q=1") == asked


def test_a_handler_is_told_of_the_path_and_of_explanations(wire: MmsWire, exchange: Callable[..., Exchange]) -> None:
    route = wire.predict_route(b"POST", b"/explanations/m/2.0")
    assert route is not None
    request = route.decode(exchange(b"x"), info(PayloadKind.BODY))
    assert route.version == 2
    assert request.body is not None
    assert request.body.headers == {"explain": "True", "url_path": ""}


def test_a_version_that_is_not_there_is_named_as_the_client_wrote_it(wire: MmsWire) -> None:
    route = wire.predict_route(b"POST", b"/predictions/m/9.9")
    assert route is not None
    assert route.version == UNKNOWN
    answer = route.error(RequestError(Code.VERSION_NOT_FOUND, "none"), None)
    assert json.loads(answer.body)["message"] == "Model version: 9.9 does not exist for model: m"


def test_addresses_of_kserve_are_a_handlers_and_leave_tensors_to_others() -> None:
    for payload, is_ours in ((PayloadKind.BODY, True), (PayloadKind.TENSORS, False)):
        model = ModelStatus(name="m", versions=(version(1, info=info(payload)),), default_version=1)
        wire = MmsWire(lambda: None, TORCHSERVE, lambda model=model: {"m": model})
        assert (wire.predict_route(b"POST", b"/v2/models/m/infer") is not None) is is_ours
        assert wire.predict_route(b"GET", b"/v1/models/m:predict") is None
    assert MmsWire(lambda: None, TORCHSERVE).predict_route(b"POST", b"/v2/models/m/infer") is None


@pytest.mark.parametrize(
    ("ready", "status", "word"), [(2, 200, "Healthy"), (1, 500, "Unhealthy"), (0, 500, "Unhealthy")]
)
def test_a_ping_has_two_words(wire: MmsWire, ordinary_request: Ordinary, ready: int, status: int, word: str) -> None:
    report = HealthReport(is_live=True, is_ready=True, replicas_ready=ready, replicas_wanted=2)
    answer = route_of(wire, "GET", "/ping").write(report, ordinary_request("GET", "/ping"))
    assert (answer.status, json.loads(answer.body)) == (status, {"status": word})


def test_the_open_inference_protocol_has_the_originals_words(ordinary_request: Ordinary) -> None:
    wire = MmsWire(lambda: None, TORCHSERVE, has_open_inference=True)
    request = ordinary_request("GET", "/v2")
    described = route_of(wire, "GET", "/v2").write(ServerDescription(version="1", wires=()), request)
    assert json.loads(described.body) == {"name": "Torchserve", "version": "1", "extenstion": ["kserve", "kubeflow"]}
    report = HealthReport(is_live=True, is_ready=False)
    assert json.loads(route_of(wire, "GET", "/v2/health/live").write(report, request).body) == {"live": True}
    assert route_of(wire, "GET", "/v2/health/ready").write(report, request).status == 503
    assert route_of(wire, "GET", "/v2/health/ready").read(request) == GetHealth()
    ready = HealthReport(is_live=True, is_ready=True)
    assert route_of(wire, "GET", "/v2/health/ready").write(ready, request).status == 200
    assert route_of(wire, "GET", "/v2/models/{model}/versions/{rest:path}").write(report, request).status == 501


@pytest.mark.parametrize(
    ("version", "words"),
    [("", 'Model "m" has no worker to serve'), ("1.0", 'Model "m" Version 1.0" has no worker to serve')],
)
def test_no_worker_is_told_in_its_words(version: str, words: str) -> None:
    answer = error_answer(RequestError(Code.OVERLOADED, "full"), Subject("m", version), "id", TORCHSERVE)
    assert (answer.status, json.loads(answer.body)["message"].startswith(words)) == (503, True)


def test_a_status_without_a_name_is_called_as_netty_calls_it() -> None:
    error = RequestError(Code.MODEL_ERROR, "words")
    for status, phrase in ((513, "Server Error (513)"), (499, "Client Error (499)"), (503, None)):
        error.status = status  # type: ignore[attr-defined]
        assert error_answer(error, Subject(), "id", TORCHSERVE).phrase == phrase


# Management


def described(wire: MmsManagementWire, ordinary_request: Ordinary, **params: str) -> list[dict[str, Any]]:
    path = "/models/{model}/{version}" if "version" in params else "/models/{model}"
    request = ordinary_request("GET", "/models/m", model="m", **params)
    found: list[dict[str, Any]] = json.loads(route_of(wire, "GET", path).write(MODEL, request).body)
    return found


def test_a_model_is_described_by_an_array(management: MmsManagementWire, ordinary_request: Ordinary) -> None:
    (default,) = described(management, ordinary_request)
    assert (default["modelVersion"], default["modelUrl"]) == ("2.0", "m-2.mar")
    assert default["jobQueueStatus"] == {"remainingCapacity": 97, "pendingRequests": 3}
    assert [each["modelVersion"] for each in described(management, ordinary_request, version="all")] == [
        "1.0",
        "2.0",
        "2.1-beta",
    ]
    (one,) = described(management, ordinary_request, version="2.1-beta")
    assert one["modelVersion"] == "2.1-beta"
    with pytest.raises(RequestError) as raised:
        described(management, ordinary_request, version="9")
    assert raised.value.code is Code.VERSION_NOT_FOUND


def test_a_version_is_registered_beside_those_there_are(
    management: MmsManagementWire, ordinary_request: Ordinary
) -> None:
    route = route_of(management, "POST", "/models")
    query = "url=m.mar&initial_workers=2&batch_size=4&max_batch_delay=50&response_timeout=7&handler=a.py"
    asked = route.read(ordinary_request("POST", f"/models?{query}"))
    assert (asked.is_first, asked.is_beside, asked.has_own_name, asked.replicas) == (False, True, True, 2)
    assert asked.settings == models.ArtefactSettings(
        handler="a.py", max_batch_rows=4, max_batch_delay_ms=50, deadline_s=7
    )


def test_workers_are_a_versions_own(management: MmsManagementWire, ordinary_request: Ordinary) -> None:
    one = ordinary_request("PUT", "/models/m/2.1-beta?min_worker=3", model="m", version="2.1-beta")
    asked = route_of(management, "PUT", "/models/{model}/{version}").read(one)
    assert (asked.version, asked.replicas) == (7, 3)
    default = ordinary_request("PUT", "/models/m?min_worker=0&max_worker=0", model="m")
    asked = route_of(management, "PUT", "/models/{model}").read(default)
    assert (asked.version, asked.replicas) == (2, 0)


def test_without_a_version_the_default_one_is_unregistered(
    management: MmsManagementWire, ordinary_request: Ordinary
) -> None:
    request = ordinary_request("DELETE", "/models/m", model="m")
    assert route_of(management, "DELETE", "/models/{model}").read(request).version == 2
    answer = management.error(RequestError(Code.CONFLICT, "named by the label stable"), request)
    assert (answer.status, json.loads(answer.body)["message"]) == (403, "Cannot remove default version for model m")


def test_models_may_be_kept_as_they_are(ordinary_request: Ordinary) -> None:
    wire = MmsManagementWire(TORCHSERVE, lambda: SERVED, is_allowed=False)
    for method, path in (("POST", "/models"), ("DELETE", "/models/{model}")):
        with pytest.raises(RequestError) as raised:
            route_of(wire, method, path).read(ordinary_request(method, "/models/m?url=m.mar", model="m"))
        assert raised.value.code is Code.METHOD_NOT_ALLOWED


def test_a_key_of_the_file_is_made_anew(management: MmsManagementWire, ordinary_request: Ordinary) -> None:
    route = route_of(management, "GET", "/token")
    assert route.operation == "keys.renew"
    assert route.read(ordinary_request("GET", "/token?type=inference")) == access.RenewKey("inference")
    assert route.write(None, ordinary_request("GET", "/token")).body == b"\n"
    with pytest.raises(RequestError):
        route.read(ordinary_request("GET", "/token?type=API"))


def test_the_metrics_are_those_that_are_named(ordinary_request: Ordinary) -> None:
    wire = MetricsWire(name="torchserve-metrics", has_measures=True)
    (route,) = wire.routes
    asked = route.read(ordinary_request("GET", "/metrics?name[]=a&name[]=b"))
    assert asked == GetMetrics(form="torchserve", names=("a", "b"), has_measures=True)
    answer = route.write(b"page", ordinary_request("GET", "/metrics"))
    assert (answer.body, answer.content_type) == (b"page", "text/plain; version=0.0.4; charset=utf-8")
    assert wire.unmatched(ordinary_request("POST", "/metrics")).status == 405
    assert wire.unmatched(ordinary_request("GET", "/other")).status == 404
    assert wire.owns("/")
    assert wire.predict_route(b"GET", b"/metrics") is None
