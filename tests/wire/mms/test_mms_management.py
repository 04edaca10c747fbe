"""The management API, as far as it only asks. ``test_mms_registration.py`` has what it changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from salver.errors import Code, RequestError
from salver.operations.base import Answer, Request, Route
from salver.operations.models import GetModel, ListModels
from salver.operations.server import Describe, ServerDescription
from salver.types import (
    BatchSettings,
    ModelStatus,
    ModelVersion,
    ReplicaStatus,
    VersionInfo,
    VersionState,
    VersionStatus,
)
from salver.wire.base import Wire
from salver.wire.torchserve.management import MmsManagementWire

Ordinary = Callable[..., Request]
SEVEN = ("b", "a", "d", "c", "g", "f", "e")


@pytest.fixture
def wire() -> Wire:
    return MmsManagementWire()


def route_of(wire: Wire, method: str, path: str) -> Route:
    (found,) = [route for route in wire.routes if route.path == path and {method, "*"} & set(route.methods)]
    return found


def version_of(name: str, number: int = 1, **changes: Any) -> VersionStatus:
    fields: dict[str, Any] = {
        "id": ModelVersion(name, number),
        "state": VersionState.READY,
        "runtime": "onnx",
        "source": f"/srv/models/{name}.mar",
        "environment": "python",
        "replicas_wanted": 2,
    }
    return VersionStatus(**(fields | changes))


def model_of(name: str, *versions: VersionStatus, default: int | None = 1) -> ModelStatus:
    return ModelStatus(name=name, versions=versions or (version_of(name),), default_version=default)


def listed(wire: Wire, request: Request, names: tuple[str, ...] = SEVEN) -> tuple[list[str], str | None]:
    answer = route_of(wire, "GET", "/models").write(tuple(model_of(name) for name in names), request)
    document = json.loads(answer.body)
    return [model["modelName"] for model in document["models"]], document.get("nextPageToken")


# The list


def test_the_list_is_sorted_and_names_where_each_model_came_from(wire: Wire, ordinary_request: Ordinary) -> None:
    request = ordinary_request("GET", "/models")
    route = route_of(wire, "GET", "/models")
    assert (route.operation, route.read(request)) == ("models.list", ListModels())
    answer = route.write((model_of("b"), model_of("a")), request)
    assert json.loads(answer.body) == {
        "models": [{"modelName": "a", "modelUrl": "a.mar"}, {"modelName": "b", "modelUrl": "b.mar"}]
    }
    assert answer.status == 200
    assert ("x-request-id", "request-1") in answer.headers


@pytest.mark.parametrize(
    ("query", "names", "token"),
    [
        ("", "abcdefg", None),
        ("limit=3", "abc", "3"),
        ("limit=3&next_page_token=3", "def", "6"),
        ("limit=3&next_page_token=6", "g", None),
        ("limit=7", "abcdefg", "7"),
        ("limit=3&next_page_token=4", "efg", "7"),
        ("limit=100", "abcdefg", None),
        ("limit=0", "", "0"),
        ("limit=0&next_page_token=2", "", "2"),
        ("limit=-1", "abcdefg", None),
        ("limit=101", "abcdefg", None),
        ("limit=2x", "abcdefg", None),
        ("limit=", "abcdefg", None),
        ("limit=99999999999", "abcdefg", None),
        ("limit=4294967298", "abcdefg", None),
        ("limit=%2B2", "ab", "2"),
        ("next_page_token=-5", "abcdefg", None),
        ("next_page_token=five", "abcdefg", None),
        ("next_page_token=7", "", None),
        ("next_page_token=1000", "", None),
    ],
)
def test_the_list_comes_in_pages(
    wire: Wire, ordinary_request: Ordinary, query: str, names: str, token: str | None
) -> None:
    assert listed(wire, ordinary_request("GET", f"/models?{query}")) == (list(names), token)


def test_an_empty_list_is_a_list(wire: Wire, ordinary_request: Ordinary) -> None:
    answer = route_of(wire, "GET", "/models").write((), ordinary_request("GET", "/models"))
    assert answer.body == b'{\n  "models": []\n}\n'


# One model


def described(wire: Wire, model: ModelStatus, ordinary_request: Ordinary) -> dict[str, Any]:
    request = ordinary_request("GET", f"/models/{model.name}", model=model.name)
    document: dict[str, Any] = json.loads(route_of(wire, "GET", "/models/{model}").write(model, request).body)
    return document


def test_a_model_is_described_by_its_default_version_with_its_workers(
    wire: Wire, ordinary_request: Ordinary, version_info: Callable[..., VersionInfo]
) -> None:
    replicas = (
        ReplicaStatus(id="9000", pid=1, state="READY", started_at=1538488433.0349, rss_bytes=89247744),
        ReplicaStatus(id="9001", pid=None, state="STARTING", started_at=0.0),
    )
    info = version_info(batching=BatchSettings(max_batch_rows=8, max_batch_delay_s=0.1))
    model = model_of("noop", version_of("noop", 3), version_of("noop", 2, info=info, replicas=replicas), default=2)
    assert described(wire, model, ordinary_request) == {
        "modelName": "noop",
        "modelVersion": "2",
        "modelUrl": "noop.mar",
        "engine": "onnx",
        "runtime": "python",
        "minWorkers": 2,
        "maxWorkers": 2,
        "batchSize": 8,
        "maxBatchDelay": 100,
        "loadedAtStartup": True,
        "workers": [
            {
                "id": "9000",
                "startTime": "2018-10-02T13:53:53.034Z",
                "status": "READY",
                "gpu": False,
                "memoryUsage": 89247744,
            },
            {
                "id": "9001",
                "startTime": "1970-01-01T00:00:00.000Z",
                "status": "UNLOADING",
                "gpu": False,
                "memoryUsage": 0,
            },
        ],
    }


def test_a_model_that_is_not_loaded_leaves_out_what_nobody_knows(wire: Wire, ordinary_request: Ordinary) -> None:
    model = model_of("m", version_of("m", 4, source="/srv/m/"), version_of("m", 3), default=None)
    document = described(wire, model, ordinary_request)
    assert document.keys().isdisjoint({"batchSize", "maxBatchDelay"})
    assert (document["modelVersion"], document["modelUrl"]) == ("4", "m")


def test_a_model_without_versions_is_a_name(wire: Wire, ordinary_request: Ordinary) -> None:
    model = ModelStatus(name="m", versions=(), default_version=None)
    assert described(wire, model, ordinary_request) == {"modelName": "m", "workers": []}
    answer = route_of(wire, "GET", "/models").write((model,), ordinary_request("GET", "/models"))
    assert json.loads(answer.body) == {"models": [{"modelName": "m"}]}


def test_a_description_asks_for_the_model_of_its_address(wire: Wire, ordinary_request: Ordinary) -> None:
    route = route_of(wire, "GET", "/models/{model}")
    request = ordinary_request("GET", "/models/m", model="m")
    assert (route.operation, route.read(request), route.model(request)) == ("models.get", GetModel(model="m"), "m")


def test_an_unknown_model_is_not_found(wire: Wire, ordinary_request: Ordinary) -> None:
    request = ordinary_request("GET", "/models/foo", model="foo")
    assert error_of(wire.error(RequestError(Code.MODEL_NOT_FOUND, "none"), request)) == (
        404,
        "ModelNotFoundException",
        "Model not found: foo",
    )


# Everything else on the port


def error_of(answer: Answer) -> tuple[int, str, str]:
    document = json.loads(answer.body)
    return answer.status, document["type"], document["message"]


@pytest.mark.parametrize(
    ("method", "path"), [("OPTIONS", "/"), ("GET", "/api-description"), ("PUT", "/api-description")]
)
def test_the_api_describes_itself(wire: Wire, ordinary_request: Ordinary, method: str, path: str) -> None:
    route = route_of(wire, method, path)
    request = ordinary_request(method, path)
    assert (route.operation, route.read(request)) == ("server.describe", Describe())
    document = json.loads(route.write(ServerDescription(version="1", wires=()), request).body)
    assert document["info"]["title"] == "Model Server APIs"
    assert "/models/{model_name}" in document["paths"]


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/models"), ("OPTIONS", "/models/m"), ("GET", "/")])
def test_other_verbs_are_not_allowed(wire: Wire, ordinary_request: Ordinary, method: str, path: str) -> None:
    assert error_of(wire.unmatched(ordinary_request(method, path))) == (
        405,
        "MethodNotAllowedException",
        "Requested method is not allowed, please refer to API document.",
    )


@pytest.mark.parametrize("path", ["/models/a/b", "/ping", "/predictions/m"])
def test_other_addresses_are_not_found(wire: Wire, ordinary_request: Ordinary, path: str) -> None:
    assert wire.owns(path)
    assert error_of(wire.unmatched(ordinary_request("POST", path)))[:2] == (404, "ResourceNotFoundException")


def test_nothing_is_predicted_over_this_port(wire: Wire) -> None:
    assert wire.name == "mms-management"
    assert wire.predict_route(b"POST", b"/predictions/m") is None
