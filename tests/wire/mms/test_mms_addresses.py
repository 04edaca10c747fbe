"""The addresses of the inference API."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from salver.errors import Code, RequestError
from salver.operations.base import Answer, Exchange, PredictRoute, Request, Route
from salver.operations.models import GetModel
from salver.operations.server import Describe, GetHealth, HealthReport, ServerDescription
from salver.wire.base import Wire
from salver.wire.torchserve.inference import MmsWire

Ordinary = Callable[..., Request]


@pytest.fixture
def wire() -> Wire:
    return MmsWire(lambda: None)


def route_of(wire: Wire, method: str, path: str) -> Route:
    (found,) = [route for route in wire.routes if route.path == path and {method, "*"} & set(route.methods)]
    return found


def error_of(answer: Answer) -> tuple[int, str, str]:
    document = json.loads(answer.body)
    return answer.status, document["type"], document["message"]


# Predictions


@pytest.mark.parametrize(
    ("target", "model", "version"),
    [
        (b"/predictions/squeezenet_v1.1", "squeezenet_v1.1", None),
        (b"/predictions/m?x=1", "m", None),
        (b"/predictions/m/2", "m", 2),
        (b"/predictions/m/2/any/thing", "m", 2),
        (b"/predictions/m/any/2", "m", None),
        (b"/predictions/m/1.0", "m", None),
        (b"/predictions/m/", "m", None),
        (b"/predictions/predict", "predict", None),
        (b"/predictions/a%20b", "a b", None),
        (b"/prediction/m", "m", None),
        (b"/invocations?a=1&model_name=m", "m", None),
        (b"/models/m/invoke", "m", None),
        (b"/m/predict?a=1", "m", None),
    ],
)
@pytest.mark.parametrize("method", [b"POST", b"GET", b"PUT"])
def test_an_address_names_a_model_whatever_the_verb(
    wire: Wire, method: bytes, target: bytes, model: str, version: int | None
) -> None:
    route = wire.predict_route(method, target)
    assert route is not None
    assert (route.wire, route.operation, route.label) == ("mms", "models.predict", None)
    assert (route.model, route.version) == (model, version)


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/ping",
        b"/predictions",
        b"/predictions/",
        b"/predictions//1",
        b"/predictions/m/" + b"9" * 19,
        b"/invocations",
        b"/invocations?model_name=",
        b"/invocations/m",
        b"/models/m",
        b"/models//invoke",
        b"/models/m/invoke/x",
        b"/models/predict",
        b"/ping/predict",
        b"//predict",
        b"/m/predict/x",
        b"/v1/models/m:predict",
        b"/v2/models/m/infer",
    ],
)
def test_any_other_address_is_no_prediction(wire: Wire, target: bytes) -> None:
    assert wire.predict_route(b"POST", target) is None


@pytest.mark.parametrize(
    "target", [b"/predictions/m", b"/models/m/invoke", b"/m/predict", b"/invocations?model_name=m"]
)
def test_options_is_never_a_prediction(wire: Wire, target: bytes) -> None:
    assert wire.predict_route(b"OPTIONS", target) is None


def test_invocations_without_a_name_mean_the_only_model() -> None:
    names: list[str | None] = ["first", None]
    wire = MmsWire(lambda: names.pop(0))
    route: PredictRoute | None = wire.predict_route(b"POST", b"/invocations?a=1")
    assert route is not None
    assert route.model == "first"
    assert wire.predict_route(b"POST", b"/invocations") is None


def test_a_ping_of_curl_is_no_prediction(wire: Wire, recorded: Callable[[str], Exchange]) -> None:
    exchange = recorded("ping")
    assert wire.predict_route(exchange.method, exchange.target) is None
    assert route_of(wire, exchange.method.decode(), exchange.target.decode()).operation == "server.ready"


# What no route answers


@pytest.mark.parametrize(
    "path", ["/", "/ping", "/predictions", "/predictions/m/x", "/invocations", "/api-description/x"]
)
def test_the_wire_owns_its_addresses(wire: Wire, path: str) -> None:
    assert wire.owns(path)


@pytest.mark.parametrize("path", ["/models", "/models/m", "/pingpong", "/v1/models/m", "/m/predict", "/favicon.ico"])
def test_the_wire_leaves_other_addresses_alone(wire: Wire, path: str) -> None:
    assert not wire.owns(path)


def test_a_wrong_verb_on_the_root_is_not_allowed(wire: Wire, ordinary_request: Ordinary) -> None:
    answer = wire.unmatched(ordinary_request("POST", "/"))
    assert error_of(answer) == (
        405,
        "MethodNotAllowedException",
        "Requested method is not allowed, please refer to API document.",
    )
    assert answer.close
    assert ("x-request-id", "request-1") in answer.headers


def test_invocations_among_several_models_want_a_name(wire: Wire, ordinary_request: Ordinary) -> None:
    expected = (400, "BadRequestException", "Parameter model_name is required.")
    assert error_of(wire.unmatched(ordinary_request("POST", "/invocations"))) == expected


def test_an_unknown_address_is_not_found(wire: Wire, ordinary_request: Ordinary) -> None:
    assert error_of(wire.unmatched(ordinary_request("POST", "/predictions"))) == (
        404,
        "ResourceNotFoundException",
        "Requested resource is not found, please refer to API document.",
    )


# Ordinary addresses


@pytest.mark.parametrize(
    ("ready", "wanted", "status"),
    [
        (0, 0, "Healthy"),
        (2, 2, "Healthy"),
        (3, 2, "Healthy"),
        (1, 2, "Partial Healthy"),
        (0, 2, "Unhealthy"),
    ],
)
def test_ping_tells_how_many_workers_run_under_status_200(
    wire: Wire, ordinary_request: Ordinary, ready: int, wanted: int, status: str
) -> None:
    request = ordinary_request("GET", "/ping")
    route = route_of(wire, "GET", "/ping")
    assert (route.operation, route.read(request)) == ("server.ready", GetHealth())
    report = HealthReport(is_live=True, is_ready=False, replicas_ready=ready, replicas_wanted=wanted)
    answer = route.write(report, request)
    assert answer == Answer(
        200,
        b'{\n  "status": "%s"\n}\n' % status.encode(),
        headers=(
            ("x-request-id", "request-1"),
            ("Pragma", "no-cache"),
            ("Cache-Control", "no-cache; no-store, must-revalidate, private"),
            ("Expires", "Thu, 01 Jan 1970 00:00:00 UTC"),
        ),
    )


@pytest.mark.parametrize(
    ("method", "path"), [("OPTIONS", "/"), ("GET", "/api-description"), ("POST", "/api-description")]
)
def test_the_api_describes_itself(wire: Wire, ordinary_request: Ordinary, method: str, path: str) -> None:
    request = ordinary_request(method, path)
    route = route_of(wire, method, path)
    assert (route.operation, route.read(request)) == ("server.describe", Describe())
    answer = route.write(ServerDescription(version="1.2.3", wires=("mms",)), request)
    document = json.loads(answer.body)
    assert document["info"] == {"title": "Model Server APIs", "version": "1.2.3"}
    assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    ("path", "target", "parameters"),
    [
        ("/predictions/{model}", "/predictions/m", {"model": "m"}),
        ("/models/{model}/invoke", "/models/m/invoke", {"model": "m"}),
        ("/{model}/predict", "/m/predict", {"model": "m"}),
        ("/invocations", "/invocations?model_name=m", {}),
    ],
)
def test_options_asks_for_the_description_of_a_model(
    wire: Wire, ordinary_request: Ordinary, path: str, target: str, parameters: dict[str, str]
) -> None:
    request = ordinary_request("OPTIONS", target, **parameters)
    route = route_of(wire, "OPTIONS", path)
    assert route.operation == "models.get"
    assert route.read(request) == GetModel(model="m")
    assert route.model(request) == "m"


def test_options_of_invocations_wants_a_name_or_an_only_model(wire: Wire, ordinary_request: Ordinary) -> None:
    request = ordinary_request("OPTIONS", "/invocations")
    route = route_of(wire, "OPTIONS", "/invocations")
    assert route.model(request) == ""
    with pytest.raises(RequestError) as caught:
        route.read(request)
    assert error_of(wire.error(caught.value, request)) == (
        400,
        "BadRequestException",
        "Parameter model_name is required.",
    )
    assert route_of(MmsWire(lambda: "one"), "OPTIONS", "/invocations").read(request) == GetModel(model="one")


def test_errors_on_ordinary_addresses_name_the_model(wire: Wire, ordinary_request: Ordinary) -> None:
    request = ordinary_request("OPTIONS", "/predictions/foo", model="foo")
    answer = wire.error(RequestError(Code.MODEL_NOT_FOUND, "There is no model named 'foo'."), request)
    assert error_of(answer) == (404, "ModelNotFoundException", "Model not found: foo")


def test_the_wire_has_the_name_of_its_dialect(wire: Wire) -> None:
    assert wire.name == "mms"
