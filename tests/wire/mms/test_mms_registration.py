"""Register, scale, unregister: what MMS clients ask for, and what they hear."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from salver.errors import Code, LoadError, RequestError, SalverError
from salver.operations import models
from salver.operations.base import Request, Route
from salver.types import ModelStatus, ModelVersion, VersionState, VersionStatus
from salver.wire.torchserve.management import MmsManagementWire

Ordinary = Callable[..., Request]
SERVED = ModelStatus(
    name="m",
    versions=tuple(
        VersionStatus(
            id=ModelVersion("m", number),
            state=VersionState.READY,
            runtime="mar",
            source="m.mar",
            environment="python",
            replicas_wanted=1,
        )
        for number in (2, 1)
    ),
    default_version=1,
)
WAITS = 120.0
OUTCOME = models.Outcome(model="m", version=1, is_plan=False, plan=models.Plan(), revision=1, is_settled=True, now=None)


@pytest.fixture
def wire() -> MmsManagementWire:
    return MmsManagementWire(served=lambda: {"m": SERVED})


def route_of(wire: MmsManagementWire, method: str, path: str) -> Route:
    return next(route for route in wire.routes if route.path == path and method in route.methods)


def failing() -> models.Outcome:
    version = VersionStatus(
        id=ModelVersion("m", 1),
        state=VersionState.FAILED,
        runtime="mar",
        source="m.mar",
        environment="python",
        replicas_wanted=1,
        reason="no weights",
        fix="train it",
    )
    return replace(OUTCOME, now=ModelStatus(name="m", versions=(version,), default_version=1))


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("url=m.mar", {"model": "m", "location": "m.mar", "replicas": 0, "wait_s": WAITS}),
        ("url=m.mar&initial_workers=2", {"replicas": 2, "wait_s": WAITS}),
        ("url=m.mar&initial_workers=2&synchronous=false", {"replicas": 2, "wait_s": 0.0}),
        ("url=m.mar&initial_workers=many", {"replicas": 0}),
        ("url=m.mar&initial_workers=-1", {"replicas": 0}),
        ("url=m.mar&model_name=other", {"model": "other"}),
        ("url=zoo:nets/resnet.onnx@sha256:ab", {"model": "resnet", "location": "zoo:nets/resnet.onnx@sha256:ab"}),
        ("url=folder/", {"model": "folder"}),
    ],
)
def test_a_model_is_registered(
    wire: MmsManagementWire, ordinary_request: Ordinary, query: str, wanted: dict[str, Any]
) -> None:
    route = route_of(wire, "POST", "/models")
    request = ordinary_request("POST", f"/models?{query}")
    asked = route.read(request)
    assert asked.is_first
    assert {name: getattr(asked, name) for name in wanted} == wanted
    assert route.model(request) == asked.model, "the permission is about the model that is registered"


def test_the_parameters_may_come_as_json(wire: MmsManagementWire, ordinary_request: Ordinary) -> None:
    document = {"url": "m.mar", "initial_workers": 3, "synchronous": False, "runtime": None}
    request = replace(
        ordinary_request("POST", "/models?url=other.mar", headers=[("content-type", "application/json")]),
        body=json.dumps(document).encode(),
    )
    asked = route_of(wire, "POST", "/models").read(request)
    assert (asked.location, asked.replicas, asked.wait_s) == ("m.mar", 3, 0.0)


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_json_that_is_none_is_refused(wire: MmsManagementWire, ordinary_request: Ordinary, body: bytes) -> None:
    request = replace(ordinary_request("POST", "/models", headers=[("content-type", "application/json")]), body=body)
    route = route_of(wire, "POST", "/models")
    with pytest.raises(RequestError) as raised:
        route.read(request)
    assert raised.value.code is Code.INVALID_INPUT
    assert route.model(request) == ""


@pytest.mark.parametrize(
    ("query", "outcome", "status", "words"),
    [
        ("url=m.mar", OUTCOME, 200, 'Model "m" registered'),
        ("url=m.mar&initial_workers=1", OUTCOME, 200, "Workers scaled"),
        ("url=m.mar&initial_workers=1", replace(OUTCOME, is_settled=False), 210, "Workers scaling in progress..."),
        ("url=m.mar&initial_workers=1&synchronous=false", OUTCOME, 202, "Processing worker updates..."),
    ],
)
def test_registering_answers_in_the_originals_words(
    wire: MmsManagementWire, ordinary_request: Ordinary, query: str, outcome: models.Outcome, status: int, words: str
) -> None:
    answer = route_of(wire, "POST", "/models").write(outcome, ordinary_request("POST", f"/models?{query}"))
    assert (answer.status, json.loads(answer.body)) == (status, {"status": words})
    assert answer.phrase == ("Partial Success" if status == 210 else None)


def test_workers_that_do_not_start_are_an_error(wire: MmsManagementWire, ordinary_request: Ordinary) -> None:
    request = ordinary_request("POST", "/models?url=m.mar&initial_workers=1")
    answer = route_of(wire, "POST", "/models").write(failing(), request)
    document = json.loads(answer.body)
    assert (answer.status, document["type"]) == (500, "InternalServerException")
    assert document["message"] == "Failed to start workers: no weights. train it"


@pytest.mark.parametrize(
    ("error", "status", "type", "message"),
    [
        (
            RequestError(Code.CONFLICT, "Model m is already registered."),
            409,
            "ConflictStatusException",
            "Model m is already registered.",
        ),
        (
            SalverError(Code.MODEL_NOT_FOUND, "Model not found in model store: m.mar"),
            404,
            "ModelNotFoundException",
            "Model not found in model store: m.mar",
        ),
        (RequestError(Code.INVALID_INPUT, "Parameter url is required.", fix=""), 400, "BadRequestException", None),
        (LoadError(Code.FORMAT_UNKNOWN, "m.mar is no model"), 400, "InvalidModelException", None),
    ],
)
def test_what_cannot_be_registered_is_told_as_the_original_does(
    wire: MmsManagementWire,
    ordinary_request: Ordinary,
    error: SalverError,
    status: int,
    type: str,
    message: str | None,
) -> None:
    answer = wire.error(error, ordinary_request("POST", "/models?url=m.mar"))
    document = json.loads(answer.body)
    assert (answer.status, document["code"], document["type"]) == (status, status, type)
    if message is not None:
        assert document["message"] == message


def test_a_url_is_required(wire: MmsManagementWire, ordinary_request: Ordinary) -> None:
    with pytest.raises(RequestError, match=r"Parameter url is required\."):
        route_of(wire, "POST", "/models").read(ordinary_request("POST", "/models"))


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("min_worker=2", models.SetScale(model="m", replicas=2, min_replicas=2, max_replicas=2, wait_s=0.0)),
        ("", models.SetScale(model="m", replicas=1, min_replicas=1, max_replicas=1, wait_s=0.0)),
        (
            "min_worker=2&max_worker=4&synchronous=true",
            models.SetScale(model="m", replicas=2, min_replicas=2, max_replicas=4, wait_s=WAITS),
        ),
        ("min_worker=0&max_worker=0", models.SetScale(model="m", replicas=0, wait_s=0.0)),
        (
            "min_worker=0&max_worker=3",
            models.SetScale(model="m", replicas=1, min_replicas=1, max_replicas=3, wait_s=0.0),
        ),
    ],
)
def test_workers_are_scaled(
    wire: MmsManagementWire, ordinary_request: Ordinary, query: str, wanted: models.SetScale
) -> None:
    route = route_of(wire, "PUT", "/models/{model}")
    request = ordinary_request("PUT", f"/models/m?{query}", model="m")
    assert route.read(request) == wanted
    answer = route.write(OUTCOME, request)
    waits = "synchronous=true" in query
    assert (answer.status, json.loads(answer.body)["status"]) == (
        (200, "Workers scaled") if waits else (202, "Processing worker updates...")
    )


def test_fewer_at_most_than_at_least_is_refused(wire: MmsManagementWire, ordinary_request: Ordinary) -> None:
    request = ordinary_request("PUT", "/models/m?min_worker=3&max_worker=2", model="m")
    with pytest.raises(RequestError, match=r"max_worker cannot be less than min_worker\."):
        route_of(wire, "PUT", "/models/{model}").read(request)


def test_a_model_is_unregistered(wire: MmsManagementWire, ordinary_request: Ordinary) -> None:
    route = route_of(wire, "DELETE", "/models/{model}")
    request = ordinary_request("DELETE", "/models/m", model="m")
    assert (route.read(request).model, route.read(request).version) == ("m", None)
    assert json.loads(route.write(OUTCOME, request).body) == {"status": 'Model "m" unregistered'}
    one = ordinary_request("DELETE", "/models/m/2", model="m", version="2")
    assert route_of(wire, "DELETE", "/models/{model}/{version}").read(one).version == 2


def test_a_version_becomes_the_default(wire: MmsManagementWire, ordinary_request: Ordinary) -> None:
    route = route_of(wire, "PUT", "/models/{model}/{version}/set-default")
    request = ordinary_request("PUT", "/models/m/2/set-default", model="m", version="2")
    assert route.read(request) == models.PromoteVersion(model="m", version=2)
    answer = route.write(replace(OUTCOME, version=2), request)
    assert json.loads(answer.body)["status"] == 'Default version successfully updated for model "m" to "2"'


def test_a_version_that_is_none_is_not_found(wire: MmsManagementWire, ordinary_request: Ordinary) -> None:
    request = ordinary_request("DELETE", "/models/m/new", model="m", version="new")
    with pytest.raises(RequestError) as raised:
        route_of(wire, "DELETE", "/models/{model}/{version}").read(request)
    assert raised.value.code is Code.VERSION_NOT_FOUND
    answer = wire.error(
        RequestError(Code.VERSION_NOT_FOUND, "x"), ordinary_request("DELETE", "/", model="m", version="9")
    )
    assert json.loads(answer.body)["message"] == "Model version: 9 does not exist for model: m"
