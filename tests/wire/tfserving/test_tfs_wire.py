"""The wire as the edge sees it: ordinary addresses, what matches nothing, and real clients' bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from starlette.routing import compile_path

from salver.errors import Code, RequestError
from salver.operations.base import Answer, Exchange, Request
from salver.operations.models import GetModel
from salver.types import (
    InferResponse,
    ModelStatus,
    ModelVersion,
    Ranking,
    VersionInfo,
    VersionState,
    VersionStatus,
    as_array,
)
from salver.wire.base import Wire
from salver.wire.tfserving import TfServingWire
from salver.wire.tfserving.status import STATES

Build = Callable[..., VersionInfo]
Ordinary = Callable[..., Request]


def model(*versions: VersionStatus, default: int | None = None) -> ModelStatus:
    return ModelStatus(name="m", versions=versions, default_version=default)


def version(number: int, state: VersionState = VersionState.READY, **changes: Any) -> VersionStatus:
    return VersionStatus(
        id=ModelVersion("m", number),
        state=state,
        runtime="onnx",
        source="folder",
        environment="server",
        replicas_wanted=1,
        **changes,
    )


def told(answer: Answer) -> tuple[int, Any]:
    return answer.status, orjson.loads(answer.body)


@pytest.fixture
def get(wire: TfServingWire, ordinary_request: Ordinary) -> Callable[..., Any]:
    """`get(target, result)`: the operation's parameters and the answer, by the first route that matches."""

    def run(target: str, result: ModelStatus) -> tuple[GetModel, tuple[int, Any]]:
        for route in wire.routes:
            match = compile_path(route.path)[0].match(target)
            if match:
                request = ordinary_request("GET", target, **match.groupdict())
                return route.read(request), told(route.write(result, request))
        raise AssertionError(f"nothing answers at {target}")

    return run


def test_it_is_a_wire(wire: TfServingWire) -> None:
    checked: Wire = wire
    assert checked.name == "tfserving"
    assert {route.operation for route in wire.routes} == {"models.get"}
    assert {route.methods for route in wire.routes} == {("GET",)}


@pytest.mark.parametrize(("path", "is_owned"), [("/v1/x", True), ("/V1/", True), ("/v1", False), ("/v2/models", False)])
def test_it_owns_what_is_below_v1(wire: TfServingWire, path: str, is_owned: bool) -> None:
    assert wire.owns(path) is is_owned


def test_only_a_post_to_a_prediction_address_is_a_prediction(wire: TfServingWire) -> None:
    route = wire.predict_route(b"POST", b"/v1/models/my%2Dm/labels/l:predict")
    assert route is not None
    assert (route.wire, route.operation) == ("tfserving", "models.predict")
    assert (route.model, route.version, route.label) == ("my-m", None, "l")
    assert wire.predict_route(b"GET", b"/v1/models/m:predict") is None
    assert wire.predict_route(b"POST", b"/v1/models/m") is None
    assert wire.predict_route(b"POST", b"/v1/models/m/versions/99999999999999999999:predict") is None


# Status


def test_the_status_of_all_versions(get: Callable[..., Any]) -> None:
    status = model(version(2, VersionState.STARTING), version(1))
    parameters, answer = get("/v1/models/m", status)
    assert parameters == GetModel("m")
    fine = {"error_code": "OK", "error_message": ""}
    assert answer == (
        200,
        {
            "model_version_status": [
                {"version": "2", "state": "LOADING", "status": fine},
                {"version": "1", "state": "AVAILABLE", "status": fine},
            ]
        },
    )


@pytest.mark.parametrize("state", [VersionState.FAILED, VersionState.CRASHLOOP])
def test_a_version_that_failed_says_why(get: Callable[..., Any], state: VersionState) -> None:
    _, answer = get("/V1/models/m/versions/1", model(version(1, state, reason="No file.", fix="Send one.")))
    assert answer[1]["model_version_status"] == [
        {
            "version": "1",
            "state": "END",
            "status": {"error_code": "UNKNOWN", "error_message": "No file. Send one."},
        }
    ]


def test_every_state_has_a_name() -> None:
    assert set(STATES) == set(VersionState)
    assert set(STATES.values()) <= {"UNKNOWN", "START", "LOADING", "AVAILABLE", "UNLOADING", "END"}


def test_a_status_address_does_not_resolve_its_label(get: Callable[..., Any]) -> None:
    assert get("/v1/models/m/labels/whatever", model(version(1)))[0] == GetModel("m")
    assert get("/v1/models/m/versions/7", model(version(7)))[0] == GetModel("m", 7)


def test_a_model_without_versions_has_no_status(get: Callable[..., Any]) -> None:
    assert get("/v1/models/m", model())[1] == (404, {"error": "Could not find any versions of model m"})


# Metadata


def test_metadata_is_the_signature_definition(get: Callable[..., Any], version_info: Build) -> None:
    info = version_info(
        [("x", "FP32", (-1, 1))], [("y", "BYTES", ())], version=3, ranking=Ranking(classes="y", probabilities="y")
    )
    parameters, answer = get("/v1/models/m/labels/stable/metadata", model(version(3, info=info)))
    assert parameters == GetModel("m", None, "stable")
    dims = [{"size": "-1", "name": ""}, {"size": "1", "name": ""}]
    signature = {
        "inputs": {
            "x": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": "x:0"},
        },
        "outputs": {"y": {"dtype": "DT_STRING", "tensor_shape": {"dim": [], "unknown_rank": False}, "name": "y:0"}},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    assert answer == (
        200,
        {
            "model_spec": {"name": "m", "signature_name": "", "version": "3"},
            "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
        },
    )


def test_metadata_without_a_version_is_the_default_ones(get: Callable[..., Any], version_info: Build) -> None:
    infos = [version_info([("x", "FP32", (-1,))], version=number) for number in (2, 1)]
    status = model(*(version(info.id.version, info=info) for info in infos), default=1)
    assert get("/v1/models/m/metadata", status)[1][1]["model_spec"]["version"] == "1"


@pytest.mark.parametrize(
    ("target", "status", "wanted"),
    [
        ("/v1/models/m/metadata", model(), "Latest(m)"),
        ("/v1/models/m/metadata", model(version(2), version(1), default=None), "Latest(m)"),
        ("/v1/models/m/versions/2/metadata", model(version(2, VersionState.STARTING)), "Specific(m, 2)"),
    ],
)
def test_metadata_of_what_is_not_loaded_is_not_found(
    get: Callable[..., Any], target: str, status: ModelStatus, wanted: str
) -> None:
    assert get(target, status)[1] == (404, {"error": f"Servable not found for request: {wanted}"})


# What is no address


@pytest.mark.parametrize(
    ("method", "target", "text"),
    [
        ("GET", "/v1/models", "Missing model name in request."),
        ("GET", "/v1/nothing?x=1", "Malformed request: GET /v1/nothing"),
        ("PUT", "/v1/models/m", "Malformed request: PUT /v1/models/m"),
        ("DELETE", "/v1/models/m:predict", "Malformed request: DELETE /v1/models/m:predict"),
        ("GET", "/v1/models/m:predict", "Malformed request: GET /v1/models/m:predict"),
        (
            "POST",
            "/v1/models/m/versions/99999999999999999999:predict",
            "Failed to convert version: 99999999999999999999 to numeric.",
        ),
    ],
)
def test_what_matches_nothing_is_malformed(
    wire: TfServingWire, ordinary_request: Ordinary, method: str, target: str, text: str
) -> None:
    request = ordinary_request(method, target)
    assert told(wire.unmatched(request)) == (400, {"error": text})
    error = RequestError(Code.METHOD_NOT_ALLOWED, "no")
    assert told(wire.error(error, request)) == (400, {"error": text})


@pytest.mark.parametrize(
    "target", ["/v1/models/m:predict", "/v1/models/m/versions/x", "/v1/models/m/versions/" + "9" * 20]
)
def test_what_only_looks_like_a_status_address_is_refused(
    wire: TfServingWire, ordinary_request: Ordinary, target: str
) -> None:
    request = ordinary_request("GET", target)
    read = wire.routes[0].read
    with pytest.raises(RequestError) as caught:
        read(request)
    assert caught.value.code is Code.ROUTE_NOT_FOUND
    assert wire.error(caught.value, request).status == 400


@pytest.mark.parametrize(
    ("target", "code", "text"),
    [
        ("/v1/models/foo", Code.MODEL_NOT_FOUND, "Could not find any versions of model foo"),
        ("/v1/models/foo/versions/3", Code.VERSION_NOT_FOUND, "Could not find version 3 of model foo"),
        ("/v1/models/foo/metadata", Code.MODEL_NOT_FOUND, "Servable not found for request: Latest(foo)"),
        ("/v1/models/m/versions/9/metadata", Code.VERSION_NOT_FOUND, "Servable not found for request: Specific(m, 9)"),
        ("/v1/models/m/labels/L/metadata", Code.LABEL_NOT_FOUND, "Unrecognized servable version label: L"),
        ("/v1/models/m", Code.PERMISSION_DENIED, "no. yes."),
        ("/v1/models/", Code.MODEL_NOT_FOUND, "no. yes."),
    ],
)
def test_errors_of_the_operation_have_the_texts_of_the_original(
    wire: TfServingWire, ordinary_request: Ordinary, target: str, code: Code, text: str
) -> None:
    answer = wire.error(RequestError(code, "no.", fix="yes."), ordinary_request("GET", target))
    assert orjson.loads(answer.body) == {"error": text}


@pytest.mark.parametrize(
    ("origin", "status"), [("https://a.example", 200), ("http://a.example", 200), ("null", 400), (None, 400)]
)
def test_a_preflight_wants_an_origin(
    wire: TfServingWire, ordinary_request: Ordinary, origin: str | None, status: int
) -> None:
    headers = () if origin is None else (("origin", origin),)
    answer = wire.unmatched(ordinary_request("OPTIONS", "/v1/models/m:predict", headers=headers))
    assert (answer.status, answer.body, answer.content_type, answer.headers) == (status, b"", None, ())


def test_cross_origin_headers_are_there_when_allowed(ordinary_request: Ordinary) -> None:
    wire = TfServingWire(max_body_bytes=1, allow_cors=True)
    answer = wire.unmatched(ordinary_request("GET", "/v1/nothing"))
    assert dict(answer.headers) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "POST, GET",
        "Access-Control-Allow-Headers": "Content-Type",
    }


# Real clients


def test_the_usual_client_sends_a_picture(
    wire: TfServingWire, recorded: Callable[[str], Exchange], call: Callable[..., Any], version_info: Build
) -> None:
    sent = recorded("requests_b64")
    route = wire.predict_route(sent.method, sent.target)
    assert route is not None
    assert route.model == "resnet"
    version = version_info([("image_bytes", "BYTES", (-1,))])
    request = route.decode(sent, version)
    assert request.inputs is not None
    (picture,) = request.inputs["image_bytes"].data
    assert picture.startswith(b"\xff\xd8\xff\xe0")
    response = InferResponse(version, {"classes": np.array([286]), "probabilities": np.zeros((1, 3), np.float32)})
    answer = route.encode(response, request, call())
    assert answer.body == b'{"predictions":[{"classes":286,"probabilities":[0.0,0.0,0.0]}]}'


@pytest.mark.parametrize(
    ("name", "shape", "place", "values"),
    [
        ("requests_json", (-1, 1), (123, None), [[1.0], [2.0], [5.0]]),
        ("requests_gzip", (-1, 4), (None, "stable"), [[5.1, 3.5, 1.4, 0.2]]),
    ],
)
def test_the_usual_client_sends_numbers(
    wire: TfServingWire,
    recorded: Callable[[str], Exchange],
    version_info: Build,
    name: str,
    shape: tuple[int, ...],
    place: tuple[int | None, str | None],
    values: Any,
) -> None:
    sent = recorded(name)
    route = wire.predict_route(sent.method, sent.target)
    assert route is not None
    assert (route.version, route.label) == place
    request = route.decode(sent, version_info([("x", "FP64", shape)]))
    assert request.inputs is not None
    assert as_array(request.inputs["x"]).tolist() == values


def test_the_usual_client_asks_for_metadata(
    wire: TfServingWire, recorded: Callable[[str], Exchange], ordinary_request: Ordinary
) -> None:
    sent = recorded("requests_metadata")
    assert wire.predict_route(sent.method, sent.target) is None
    request = ordinary_request(sent.method.decode(), sent.target.decode())
    assert wire.routes[0].read(request) == GetModel("half_plus_two")


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models/m", "/metrics"])
def test_what_is_outside_of_the_api_gets_a_page(wire: TfServingWire, ordinary_request: Ordinary, path: str) -> None:
    answer = wire.unmatched(ordinary_request("GET", path))
    assert (answer.status, answer.content_type) == (404, "text/html")
    assert b"Not Found" in answer.body
