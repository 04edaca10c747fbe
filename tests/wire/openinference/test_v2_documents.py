"""What is told of the server, its models and its repository, and what the repository is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from starlette.routing import compile_path

from salver import __version__
from salver.errors import Code, RequestError, SalverError
from salver.models.planning import Plan
from salver.operations import models, server
from salver.operations.base import Answer, Request, Route
from salver.types import (
    BatchSettings,
    ModelStatus,
    ModelVersion,
    PolicyKind,
    VersionInfo,
    VersionPolicy,
    VersionState,
    VersionStatus,
)
from salver.wire.openinference import OpenInferenceWire
from salver.wire.openinference.base import OpenInferenceSettings
from salver.wire.openinference.refusals import REFUSALS
from salver.wire.openinference.repository import STATES

Build = Callable[..., VersionInfo]


def version(number: int, info: VersionInfo | None = None, state: VersionState = VersionState.READY, **more: Any):
    return VersionStatus(
        id=ModelVersion("m", number),
        state=state,
        runtime="onnx",
        source="folder",
        environment="server",
        replicas_wanted=2,
        info=info,
        **more,
    )


def model(*versions: VersionStatus, default: int | None = 1, **more: Any) -> ModelStatus:
    return ModelStatus(name="m", versions=versions, default_version=default, **more)


class Asked:
    """A wire that is asked for its ordinary addresses."""

    def __init__(self, wire: OpenInferenceWire, request: Callable[..., Request]) -> None:
        self.wire = wire
        self._request = request

    def row(self, method: str, target: str, body: bytes = b"") -> tuple[Route, Request]:
        for route in self.wire.routes:
            match = compile_path(route.path)[0].match(target)
            if match and method in route.methods:
                return route, self._request(method, target, body=body, **match.groupdict())
        raise AssertionError(f"nothing answers at {target}")

    def read(self, target: str, body: bytes = b"") -> Any:
        route, request = self.row("POST", target, body)
        return route.read(request)

    def told(self, target: str, result: Any, *, method: str = "GET", body: bytes = b"") -> tuple[int, Any]:
        route, request = self.row(method, target, body)
        route.read(request)
        try:
            return answered(route.write(result, request))
        except SalverError as error:
            return answered(self.wire.error(error, request))


def answered(answer: Answer) -> tuple[int, Any]:
    return answer.status, orjson.loads(answer.body) if answer.body else None


@pytest.fixture
def asked(wire: OpenInferenceWire, ordinary_request: Callable[..., Request]) -> Asked:
    return Asked(wire, ordinary_request)


# The server


def test_the_server_says_its_name_and_what_it_can(asked: Asked) -> None:
    status, document = asked.told("/v2", server.ServerDescription(version=__version__, wires=()))
    assert (status, document["name"], document["version"]) == (200, "salver", __version__)
    assert "binary_tensor_data" in document["extensions"]


def test_its_name_and_version_are_settings(ordinary_request: Callable[..., Request]) -> None:
    settings = OpenInferenceSettings(v2_server_name="triton", v2_server_version="2.60.0")
    asked = Asked(OpenInferenceWire(max_body_bytes=1, settings=settings), ordinary_request)
    _, document = asked.told("/v2", server.ServerDescription(version=__version__, wires=()))
    assert (document["name"], document["version"]) == ("triton", "2.60.0")


@pytest.mark.parametrize(("is_ready", "status"), [(True, 200), (False, 400)])
def test_health(asked: Asked, is_ready: bool, status: int) -> None:
    report = server.HealthReport(is_live=True, is_ready=is_ready)
    assert asked.told("/v2/health/live", report) == (200, {"live": True})
    assert asked.told("/v2/health/ready", report) == (status, {"ready": is_ready})


# Models


@pytest.fixture
def info(version_info: Build) -> VersionInfo:
    batching = BatchSettings(max_batch_rows=8, max_batch_delay_s=0.0015)
    return version_info(
        [("x", "FP32", (-1, 16)), ("s", "BYTES", (-1, 1))], [("y", "FP16", (-1, 2))], runtime="onnx", batching=batching
    )


def test_a_models_metadata(asked: Asked, info: VersionInfo) -> None:
    found = model(version(10, info), version(2), version(1, info), version(3, state=VersionState.FAILED))
    document = {
        "name": "m",
        "versions": ["1", "2", "10"],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [-1, 16]},
            {"name": "s", "datatype": "BYTES", "shape": [-1, 1]},
        ],
        "outputs": [{"name": "y", "datatype": "FP16", "shape": [-1, 2]}],
    }
    assert asked.told("/v2/models/m", found) == (200, document)
    assert asked.told("/v2/models/m/versions/10", found) == (200, document | {"versions": ["10"]})


def test_a_model_of_bodies_has_one_input_and_one_output(asked: Asked, version_info: Build) -> None:
    _, document = asked.told("/v2/models/m", model(version(1, version_info(runtime="mar"))))
    body = [{"name": "body", "datatype": "BYTES", "shape": [1]}]
    assert (document["platform"], document["inputs"], document["outputs"]) == ("mar", body, body)


def test_a_model_without_the_default_signature_has_no_inputs(asked: Asked, version_info: Build) -> None:
    _, document = asked.told("/v2/models/m", model(version(1, version_info(signatures={}))))
    assert (document["inputs"], document["outputs"]) == ([], [])


@pytest.mark.parametrize("path", ["", "/config"])
def test_what_is_not_ready_has_no_metadata(asked: Asked, info: VersionInfo, path: str) -> None:
    found = model(version(1, info, VersionState.DRAINING))
    text = "Request for unknown model: 'm' has no available versions"
    assert asked.told(f"/v2/models/m{path}", found) == (404, {"error": text})
    text = "Request for unknown model: 'm' version 1 is not at ready state"
    assert asked.told(f"/v2/models/m/versions/1{path}", found) == (503, {"error": text})


def test_a_model_is_ready_when_the_version_that_answers_is(asked: Asked) -> None:
    found = model(version(2, state=VersionState.STARTING), version(1, state=VersionState.DEGRADED))
    ready = (200, {"name": "m", "ready": True})
    missed = (400, {"error": "Model version not ready"})
    assert asked.told("/v2/models/m/ready", found) == ready
    assert asked.told("/v2/models/m/versions/1/ready", found) == ready
    assert asked.told("/v2/models/m/versions/2/ready", found) == missed
    assert asked.told("/v2/models/m/ready", model(default=None)) == missed


def test_an_address_names_what_is_looked_up(asked: Asked) -> None:
    route, request = asked.row("GET", "/v2/models/m/versions/007/ready")
    assert (route.read(request), route.operation) == (models.GetModel("m", 7), "models.get")


def test_a_models_config(asked: Asked, info: VersionInfo) -> None:
    status, document = asked.told("/v2/models/m/config", model(version(1, info)))
    assert (status, document) == (
        200,
        {
            "name": "m",
            "platform": "onnxruntime_onnx",
            "backend": "onnxruntime",
            "version_policy": {"latest": {"num_versions": 1}},
            "max_batch_size": 8,
            "input": [
                {"name": "x", "data_type": "TYPE_FP32", "dims": [16]},
                {"name": "s", "data_type": "TYPE_STRING", "dims": [1]},
            ],
            "output": [{"name": "y", "data_type": "TYPE_FP16", "dims": [2]}],
            "instance_group": [{"name": "m", "kind": "KIND_AUTO", "count": 2}],
            "dynamic_batching": {"max_queue_delay_microseconds": 1500},
        },
    )


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (VersionPolicy(kind=PolicyKind.ALL), {"all": {}}),
        (VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1, 3)), {"specific": {"versions": [1, 3]}}),
    ],
)
def test_a_model_whose_rows_are_single_values_has_full_shapes(
    asked: Asked, version_info: Build, policy: VersionPolicy, told: Any
) -> None:
    found = model(version(1, version_info([("x", "FP64", (-1,))])), policy=policy)
    _, document = asked.told("/v2/models/m/config", found)
    assert (document["max_batch_size"], document["input"][0]["dims"]) == (0, [-1])
    assert document["version_policy"] == told
    assert "dynamic_batching" not in document


# What is not there


@pytest.mark.parametrize(
    "path",
    [
        "/v2/systemsharedmemory/status",
        "/v2/systemsharedmemory/region/a/register",
        "/v2/cudasharedmemory/unregister",
        "/v2/repository/mine/index",
        "/v2/repository/mine/models/m/load",
    ],
)
def test_an_address_that_is_not_supported_says_so(
    wire: OpenInferenceWire, ordinary_request: Callable[..., Request], path: str
) -> None:
    for method in ("GET", "POST"):
        status, document = answered(wire.unmatched(ordinary_request(method, path)))
        assert (status, list(document)) == (501, ["error"])
    assert document["error"] in {text for _, text in REFUSALS}


def test_an_address_with_other_methods(wire: OpenInferenceWire, ordinary_request: Callable[..., Request]) -> None:
    for method, path in (("POST", "/v2/models/m"), ("GET", "/v2/repository/index"), ("PUT", "/v2/health/live")):
        assert answered(wire.unmatched(ordinary_request(method, path))) == (405, {"error": "Method Not Allowed"})


# The repository


def test_every_state_has_a_word() -> None:
    assert set(STATES) == set(VersionState)


def test_the_index_has_an_entry_for_each_version(asked: Asked) -> None:
    found = (
        model(version(2), version(1, state=VersionState.FAILED, reason="It broke.")),
        ModelStatus(name="n", versions=(), default_version=None),
    )
    entries = [
        {"name": "m", "version": "1", "state": "UNAVAILABLE", "reason": "It broke."},
        {"name": "m", "version": "2", "state": "READY"},
        {"name": "n"},
    ]
    for body in (b"", b"{}", b'{"ready": false}'):
        assert asked.told("/v2/repository/index", found, method="POST", body=body) == (200, entries)
    ready = asked.told("/v2/repository/index", found, method="POST", body=b'{"ready": true}')
    assert ready == (200, entries[1:2])
    gone = (model(version(1, state=VersionState.STOPPED)),)
    (entry,) = asked.told("/v2/repository/index", gone, method="POST")[1]
    assert (entry["state"], entry["reason"]) == ("UNAVAILABLE", "unloaded")


def test_load_and_unload_are_operations(asked: Asked) -> None:
    loaded = asked.read("/v2/repository/models/m/load", b'{"parameters": {}}')
    assert (loaded.model, loaded.version, loaded.wait_s) == ("m", None, 120.0)
    unloaded = asked.read("/v2/repository/models/m/unload", b'{"parameters": {"unload_dependents": true}}')
    assert (unloaded.model, unloaded.wait_s) == ("m", 0.0)
    assert asked.row("POST", "/v2/repository/models/m/load")[0].operation == "models.load"
    assert asked.row("POST", "/v2/repository/models/m/unload")[0].operation == "models.unload"


@pytest.mark.parametrize(
    ("address", "body", "text"),
    [
        ("index", b"[", "failed to parse the request JSON buffer: the document is not valid JSON"),
        ("index", b"[]", "failed to parse the request JSON buffer: an object is needed"),
        ("index", b'{"ready": 1}', "Unable to parse 'ready': it must be true or false"),
        ("models/m/load", b'{"parameters": []}', "Unable to parse 'parameters': an object is needed"),
        ("models/m/load", b'{"parameters": {"a": 1}}', "unexpected error on creating Triton parameter: 'a'"),
        ("models/m/unload", b'{"parameters": {"a": 1}}', "unexpected error on creating Triton parameter: 'a'"),
        ("models/m/load", b'{"parameters": {"config": "{"}}', "failed to load 'm': the configuration is not JSON"),
        ("models/m/load", b'{"parameters": {"file:1/m.onnx": ""}}', "loading a model from files of the request"),
    ],
)
def test_wishes_that_cannot_be_met(asked: Asked, address: str, body: bytes, text: str) -> None:
    with pytest.raises(RequestError) as caught:
        asked.read(f"/v2/repository/{address}", body)
    assert caught.value.message.startswith(text)


def outcome(now: ModelStatus | None, *, is_settled: bool = True) -> models.Outcome:
    plan = Plan()
    return models.Outcome(model="m", version=None, is_plan=False, plan=plan, revision=1, is_settled=is_settled, now=now)


@pytest.mark.parametrize("state", [VersionState.READY, VersionState.DEGRADED, VersionState.UNLOADED])
def test_a_model_that_was_loaded_is_answered_with_nothing(asked: Asked, state: VersionState) -> None:
    for path in ("load", "unload"):
        result = outcome(model(version(1, state=state)))
        assert asked.told(f"/v2/repository/models/m/{path}", result, method="POST") == (200, None)


@pytest.mark.parametrize(
    ("result", "status", "text"),
    [
        (outcome(model(version(1, state=VersionState.STARTING)), is_settled=False), 503, "'m' is still being loaded"),
        (outcome(None), 400, "failed to load 'm', no version is available"),
        (outcome(model(default=None)), 400, "failed to load 'm', no version is available"),
        (
            outcome(model(version(1, state=VersionState.FAILED, reason="It broke."), default=None)),
            400,
            "failed to load 'm', no version is available: It broke.",
        ),
    ],
)
def test_a_model_that_could_not_be_loaded(asked: Asked, result: models.Outcome, status: int, text: str) -> None:
    told = asked.told("/v2/repository/models/m/load", result, method="POST")
    assert told == (status, {"error": text})


def test_an_unknown_model_has_words_of_its_own_when_it_is_to_be_loaded(asked: Asked) -> None:
    error = RequestError(Code.MODEL_NOT_FOUND, "Why.")
    _, request = asked.row("POST", "/v2/repository/models/m/load")
    text = "failed to load 'm', failed to poll from model repository"
    assert answered(asked.wire.error(error, request)) == (400, {"error": text})
    _, request = asked.row("POST", "/v2/repository/models/m/unload")
    text = "Request for unknown model: 'm' is not found"
    assert answered(asked.wire.error(error, request)) == (400, {"error": text})
