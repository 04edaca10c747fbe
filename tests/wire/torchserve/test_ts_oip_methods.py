"""The methods of TorchServe's Open Inference service, where no original need be asked what they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from salver.errors import Code, RequestError
from salver.operations import server
from salver.operations.methods import GrpcStatus
from salver.types import BodyResult, InferResponse, ModelStatus, ModelVersion, VersionInfo, VersionState, VersionStatus
from salver.wire.openinference.pb import inference_pb2 as pb
from salver.wire.torchserve.base import TorchServeSettings
from salver.wire.torchserve.dialect import TORCHSERVE
from salver.wire.torchserve.oip.methods import SERVICE, oip_methods
from salver.wire.torchserve.oip.route import OipRoute
from salver.wire.torchserve.wires import handler_grpc_wires


def model(info: VersionInfo | None = None, wanted: int = 0) -> ModelStatus:
    version = VersionStatus(
        id=ModelVersion("m", 1),
        state=VersionState.READY,
        runtime="",
        source="",
        environment="",
        replicas_wanted=wanted,
        info=info,
        own_name="1.5-beta",
    )
    return ModelStatus(name="m", versions=(version,), default_version=1)


@pytest.fixture
def methods() -> dict[str, Any]:
    found = oip_methods("torchserve", TORCHSERVE, lambda: {"m": model()})
    return {method.path.removeprefix(f"{SERVICE}/"): method for method in found}


def test_the_service_is_there_where_it_is_switched_on() -> None:
    for is_on in (True, False):
        settings = TorchServeSettings(ts_open_inference_protocol=is_on)
        paths = [method.path for wire in handler_grpc_wires(settings, dict) for method in wire.methods]
        assert any(path.startswith(SERVICE) for path in paths) is is_on


def test_a_version_is_ready_with_as_many_workers_as_are_wanted(methods) -> None:
    asked = pb.ModelReadyRequest(name="m", version="1.5-beta")
    for wanted in (0, 1):
        told = methods["ModelReady"].write(model(wanted=wanted), asked)
        assert pb.ModelReadyResponse.FromString(told).ready is (wanted == 0)


def test_only_what_is_not_there_is_not_found(methods) -> None:
    asked = pb.ModelReadyRequest(name="m", version="2.0")
    with pytest.raises(RequestError) as raised:
        methods["ModelReady"].write(model(), asked)
    assert methods["ModelReady"].error(raised.value, asked).status == GrpcStatus.NOT_FOUND
    refused = RequestError(Code.PERMISSION_DENIED, "No.")
    assert methods["ModelReady"].error(refused, asked).status == GrpcStatus.PERMISSION_DENIED


def test_tensors_are_told_where_there_are_any(methods, version_info) -> None:
    info = version_info([("x", "FP32", (-1, 2))], [("y", "INT64", (-1,))])
    told = methods["ModelMetadata"].write(model(info), pb.ModelMetadataRequest(name="m"))
    found = pb.ModelMetadataResponse.FromString(told)
    assert (found.versions, [tensor.name for tensor in found.inputs]) == (["1.5-beta"], ["x"])
    assert list(found.outputs[0].shape) == [-1]


def test_the_server_says_of_itself_what_it_says_over_http(methods) -> None:
    told = methods["ServerMetadata"].write(server.ServerDescription(version="3", wires=()), None)
    found = pb.ServerMetadataResponse.FromString(told)
    assert (found.name, found.version, list(found.extensions)) == ("Torchserve", "3", ["kserve", "kubeflow"])


@pytest.fixture
def route(ordinary_request) -> OipRoute:
    message = pb.ModelInferRequest(model_name="m", id="i")
    tensor = message.inputs.add(name="x", datatype="INT32", shape=[1])
    tensor.contents.int_contents.append(5)
    request = ordinary_request("POST", f"{SERVICE}/ModelInfer", body=message.SerializeToString())
    return OipRoute(request, "torchserve", TORCHSERVE, lambda: {"m": model()})


def test_a_model_that_takes_tensors_gets_them(route, exchange, call, version_info) -> None:
    version = version_info([("x", "INT32", (-1,))], [("y", "INT32", (-1,))])
    request = route.decode(exchange(b""), version)
    answer = route.encode(InferResponse(version, {"y": np.array([6], "<i4")}), request, call())
    told = pb.ModelInferResponse.FromString(answer.body)
    assert (told.model_version, list(told.outputs[0].contents.int_contents)) == ("1.5-beta", [6])
    assert route.burst_codec(exchange(b""), version) is None


def test_a_status_that_a_handler_set_is_a_failure(route, exchange, call, version_info) -> None:
    version = version_info()
    request = route.decode(exchange(b"", headers={"X-Own": "1"}), version)
    assert dict(request.body.headers)["X-Own"] == "1"
    result = BodyResult(b"out of paper", status=503)
    with pytest.raises(RequestError) as raised:
        route.encode(InferResponse(version, None, result), request, call())
    told = route.error(raised.value, None)
    assert (told.status, told.body.splitlines()[0]) == (GrpcStatus.UNAVAILABLE, b"out of paper")


@pytest.mark.parametrize(
    ("code", "status", "last"),
    [
        (Code.INVALID_INPUT, GrpcStatus.INTERNAL, b"BadRequestException.()"),
        (Code.MODEL_NOT_READY, GrpcStatus.INTERNAL, b"InternalServerException.()"),
        (Code.OUT_OF_MEMORY, GrpcStatus.RESOURCE_EXHAUSTED, b"org.pytorch.serve.http.InternalServerException"),
        (Code.CONFLICT, GrpcStatus.INTERNAL, b"No."),
    ],
)
def test_errors_end_in_the_name_of_their_exception(route, code: Code, status: GrpcStatus, last: bytes) -> None:
    told = route.error(RequestError(code, "No.", fix=""), None)
    assert (told.status, told.body.splitlines()[-1]) == (status, last)
