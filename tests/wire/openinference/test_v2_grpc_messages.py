"""Messages of gRPC: what they mean, what is wrong with others, and how answers and errors look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from salver.errors import Code, RequestError
from salver.operations import models, server, statistics
from salver.operations.methods import GrpcStatus, OrdinaryMethod, PredictMethod, StreamMethod
from salver.types import BodyResult, InferResponse, ModelStatus, SequenceStep, VersionInfo
from salver.wire.openinference.base import OpenInferenceSettings
from salver.wire.openinference.errors import Subject, Unsupported, invalid
from salver.wire.openinference.grpc import SERVICE, OpenInferenceGrpcWire
from salver.wire.openinference.grpcerrors import grpc_error
from salver.wire.openinference.grpcinfer import MAX_PLANS, Plans
from salver.wire.openinference.pb import inference_pb2 as pb


@pytest.fixture
def one(version_info) -> VersionInfo:
    return version_info([("x", "INT8", (-1, 2))], [("y", "FP16", (-1,))])


@pytest.fixture
def methods() -> dict[str, Any]:
    return {method.path.removeprefix(SERVICE): method for method in OpenInferenceGrpcWire().methods}


@pytest.fixture
def open_message(methods, ordinary_request) -> Callable[..., Any]:
    """`open_message("ModelInfer", message)`: what the method makes of it."""

    def run(method: str, message: Any) -> Any:
        raw = message if isinstance(message, bytes) else message.SerializeToString()
        return methods[method].open(ordinary_request("POST", SERVICE + method, body=raw))

    return run


@pytest.fixture
def ask(open_message, exchange) -> Callable[..., Any]:
    """`ask(version, method=, tensor fields)`: the route of a message with one input, and its request."""

    def run(version: VersionInfo, method: str = "ModelInfer", *, raw: Any = (), **changes: Any) -> Any:
        tensor = {"name": "x", "datatype": "INT8", "shape": [1, 2], "contents": {"int_contents": [1, 2]}}
        about = {
            key: changes.pop(key) for key in list(changes) if key in ("parameters", "outputs", "id", "model_version")
        }
        message = pb.ModelInferRequest(
            model_name="m", inputs=[pb.ModelInferRequest.InferInputTensor(**tensor | changes)], **about
        )
        message.raw_input_contents.extend(raw)
        route = open_message(method, message)
        return route, route.decode(exchange(b""), version)

    return run


def test_typed_values_and_raw_ones_mean_the_same(ask, one) -> None:
    for how in ({}, {"contents": {}, "raw": [b"\x01\x02"]}):
        route, request = ask(one, **how)
        assert (route.model, route.version, bytes(request.inputs["x"].data)) == ("m", None, b"\x01\x02")
        assert request.is_binary


def test_parameters_are_those_of_rest(ask, one) -> None:
    given = {
        "sequence_id": pb.InferParameter(uint64_param=7),
        "sequence_start": pb.InferParameter(bool_param=True),
        "timeout": pb.InferParameter(int64_param=1_000_000),
        "scale": pb.InferParameter(double_param=0.5),
        "word": pb.InferParameter(string_param="a"),
        "none": pb.InferParameter(),
        "triton_enable_empty_final_response": pb.InferParameter(bool_param=True),
    }
    _, request = ask(one, parameters=given, id="9", model_version="3")
    assert (request.id, request.allowed_s) == ("9", 1.0)
    assert request.sequence == SequenceStep(7, is_start=True)
    assert {name: request.parameters[name] for name in ("scale", "word")} == {"scale": 0.5, "word": "a"}


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"contents": {"int_contents": [1, 200]}}, "input 'x' holds a number outside INT8"),
        ({"contents": {"fp32_contents": [1, 2]}}, "it has fp32_contents, expected int_contents"),
        ({"datatype": "FP16", "contents": {"fp32_contents": [1]}}, "it has fp32_contents, expected raw_input_contents"),
        ({"datatype": "WORDS", "contents": {}}, "data-type is 'WORDS', but model 'm' expects 'INT8'"),
        ({"shape": [1] * 65}, "invalid shape for input 'x' for model 'm'"),
        ({"raw": [b"\x01\x02"]}, "contents field must not be specified when using raw_input_contents for 'x'"),
        ({"contents": {}, "raw": [b"", b""]}, "expected 1 raw_input_contents, one for each input, but got 2"),
    ],
)
def test_messages_that_do_not_fit(ask, one, how: Any, text: str) -> None:
    with pytest.raises(RequestError) as caught:
        ask(one, **how)
    assert text in caught.value.message


def test_bytes_that_are_no_message(open_message) -> None:
    for method in ("ModelInfer", "ModelStreamInfer", "ModelReady"):
        with pytest.raises(RequestError, match="failed to parse the message inference"):
            open_message(method, b"\xff")


@pytest.mark.parametrize("version", ["new", "-1", "\u0661"])
def test_a_version_is_digits(open_message, version: str) -> None:
    with pytest.raises(RequestError, match="failed to get model version from specified version string"):
        open_message("ModelInfer", pb.ModelInferRequest(model_name="m", model_version=version))


def test_an_answer_has_raw_tensors(ask, one, call) -> None:
    route, request = ask(one, id="7", outputs=[{"name": "y"}])
    response = InferResponse(one, {"y": np.array([1.5], "<f2")})
    told = pb.ModelInferResponse.FromString(route.encode(response, request, call()).body)
    assert (told.id, told.model_name, told.model_version) == ("7", "m", "1")
    assert [(each.name, each.datatype, list(each.shape)) for each in told.outputs] == [("y", "FP16", [1])]
    assert list(told.raw_output_contents) == [np.array([1.5], "<f2").tobytes()]
    assert not told.parameters


def test_an_answer_in_a_stream_says_that_it_is_the_last(ask, one, call) -> None:
    route, request = ask(one, "ModelStreamInfer")
    answer = route.encode(InferResponse(one, {"y": np.array([1.5], "<f2")}), request, call())
    told = pb.ModelStreamInferResponse.FromString(answer.body).infer_response
    assert told.parameters["triton_final_response"].bool_param


def test_errors_in_a_stream_are_messages_but_for_those_of_the_caller(ask, one) -> None:
    route, _ = ask(one, "ModelStreamInfer", id="7")
    answer = route.error(RequestError(Code.MODEL_NOT_FOUND, ""), None)
    told = pb.ModelStreamInferResponse.FromString(answer.body)
    assert (answer.status, told.error_message) == (GrpcStatus.OK, "Request for unknown model: 'm' is not found")
    assert told.infer_response.id == "7"
    assert route.error(RequestError(Code.UNAUTHENTICATED, ""), None).status == GrpcStatus.UNAUTHENTICATED


def test_handlers_take_and_give_bodies(ask, version_info, call) -> None:
    version = version_info()
    contents = {"bytes_contents": [b"ab"]}
    how = {"name": "body", "datatype": "BYTES", "shape": [1], "contents": contents}
    route, request = ask(version, **how)
    assert [(part.name, part.data) for part in request.body.parts] == [("body", b"ab")]
    told = route.encode(InferResponse(version, None, BodyResult(b"cd")), request, call())
    assert list(pb.ModelInferResponse.FromString(told.body).raw_output_contents) == [b"\x02\0\0\0cd"]
    with pytest.raises(RequestError, match="no") as caught:
        route.encode(InferResponse(version, None, BodyResult(b"no", status=404)), request, call())
    assert route.error(caught.value, None).status == GrpcStatus.NOT_FOUND


def test_what_is_worked_out_for_a_version_is_kept(version_info, one, exchange, ask) -> None:
    plans = Plans()
    assert plans.find(one) is plans.find(one)
    for number in range(MAX_PLANS):
        plans.find(version_info([("x", "INT8", (-1, 2))], version=number + 2))
    assert len(plans._known) <= MAX_PLANS
    assert ask(one)[0].burst_codec(exchange(b""), one) is None


# Errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (invalid("a"), GrpcStatus.INVALID_ARGUMENT),
        (Unsupported("a"), GrpcStatus.UNIMPLEMENTED),
        (RequestError(Code.MODEL_NOT_FOUND, "a"), GrpcStatus.INVALID_ARGUMENT),
        (RequestError(Code.VERSION_NOT_FOUND, "a"), GrpcStatus.NOT_FOUND),
        (RequestError(Code.MODEL_ERROR, "a"), GrpcStatus.INTERNAL),
        (RequestError(Code.MODEL_ERROR, "a", status=418), GrpcStatus.INVALID_ARGUMENT),
        (RequestError(Code.MODEL_ERROR, "a", status=507), GrpcStatus.INTERNAL),
        (RequestError(Code.MODEL_ERROR, "a", status=200), GrpcStatus.INTERNAL),
        (RequestError(Code.DEADLINE_EXCEEDED, "a"), GrpcStatus.DEADLINE_EXCEEDED),
        (RequestError(Code.OVERLOADED, "a"), GrpcStatus.UNAVAILABLE),
    ],
)
def test_each_error_has_the_status_of_the_original(error: RequestError, status: GrpcStatus) -> None:
    assert grpc_error(error).status == status


NAME = "Request for unknown model: 'm'"


@pytest.mark.parametrize(
    ("code", "version", "status", "text"),
    [
        (Code.MODEL_NOT_FOUND, None, GrpcStatus.INVALID_ARGUMENT, f"{NAME} is not found"),
        (Code.VERSION_NOT_FOUND, 9, GrpcStatus.NOT_FOUND, f"{NAME} version 9 is not found"),
        (Code.MODEL_NOT_READY, None, GrpcStatus.NOT_FOUND, f"{NAME} has no available versions"),
        (Code.MODEL_NOT_READY, 1, GrpcStatus.UNAVAILABLE, f"{NAME} version 1 is not at ready state"),
    ],
)
def test_a_name_that_leads_nowhere(code: Code, version: int | None, status: GrpcStatus, text: str) -> None:
    answer = grpc_error(RequestError(code, ""), Subject("m", version))
    assert (answer.status, answer.body.decode()) == (status, text)


def test_every_code_has_a_status() -> None:
    assert all(grpc_error(RequestError(code, "a")).status for code in Code)


# The methods


def test_each_method_is_an_operation(methods) -> None:
    assert isinstance(methods["ModelInfer"], PredictMethod)
    assert isinstance(methods["ModelStreamInfer"], StreamMethod)
    operations = {name: each.operation for name, each in methods.items() if isinstance(each, OrdinaryMethod)}
    assert operations["ServerLive"] == server.LIVE.name
    assert operations["ModelStatistics"] == statistics.OF_ONE.name
    assert operations["RepositoryModelUnload"] == models.UNLOAD.name
    assert len(methods) == 20


def test_the_servers_name_and_version_are_settings() -> None:
    settings = OpenInferenceSettings(v2_server_name="triton", v2_server_version="2.60.0")
    (method,) = [each for each in OpenInferenceGrpcWire(settings).methods if each.path.endswith("ServerMetadata")]
    assert isinstance(method, OrdinaryMethod)
    told = pb.ServerMetadataResponse.FromString(method.write(server.ServerDescription(version="1", wires=()), None))
    assert (told.name, told.version) == ("triton", "2.60.0")


def test_a_repository_has_no_other_name(methods, open_message) -> None:
    for name in ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"):
        kind = getattr(pb, name + "Request")
        asked = open_message(name, kind(repository_name="mine"))
        with pytest.raises(Unsupported, match="'repository_name' specification is not supported"):
            methods[name].read(asked)


def test_errors_of_methods_name_what_was_asked(methods, open_message) -> None:
    unknown = RequestError(Code.VERSION_NOT_FOUND, "")
    asked = open_message("ModelConfig", pb.ModelConfigRequest(name="m", version="9"))
    answer = methods["ModelConfig"].error(unknown, asked)
    assert answer.body == b"Request for unknown model: 'm' version 9 is not found"
    asked = open_message("ModelConfig", pb.ModelConfigRequest(name="m", version="x"))
    assert methods["ModelConfig"].error(invalid("a"), asked).body == b"a"
    asked = open_message("ModelReady", pb.ModelReadyRequest(name="m"))
    answer = methods["ModelReady"].error(RequestError(Code.MODEL_NOT_FOUND, ""), asked)
    assert (answer.status, pb.ModelReadyResponse.FromString(answer.body).ready) == (GrpcStatus.OK, False)
    answer = methods["ModelReady"].error(RequestError(Code.UNAUTHENTICATED, ""), asked)
    assert answer.status == GrpcStatus.UNAUTHENTICATED
    asked = open_message("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="m"))
    answer = methods["RepositoryModelLoad"].error(RequestError(Code.MODEL_NOT_FOUND, ""), asked)
    assert answer.body == b"failed to load 'm', failed to poll from model repository"
    answer = methods["RepositoryModelLoad"].error(RequestError(Code.LOAD_FAILED, "a", fix=""), asked)
    assert (answer.status, answer.body) == (GrpcStatus.INVALID_ARGUMENT, b"a")


def test_settings_are_read_and_told_as_values(methods, open_message) -> None:
    log, trace = methods["LogSettings"], methods["TraceSetting"]
    asked = open_message("LogSettings", pb.LogSettingsRequest(settings={"log_info": {"bool_param": False}, "none": {}}))
    assert log.read(asked) == server.SetLogging({"info": False})
    told = pb.LogSettingsResponse.FromString(log.write(server.LogLevel("debug"), asked)).settings
    assert (told["log_info"].bool_param, told["log_verbose_level"].uint32_param) == (True, 1)
    assert told["log_format"].string_param == "default"
    settings = {"trace_level": {"value": ["OFF"]}, "trace_rate": {"value": ["1000"]}, "trace_count": {}}
    asked = open_message("TraceSetting", pb.TraceSettingRequest(settings=settings))
    assert trace.read(asked) == server.GetLogging()
    told = pb.TraceSettingResponse.FromString(trace.write(server.LogLevel("info"), asked)).settings
    assert (list(told["trace_level"].value), list(told["trace_rate"].value)) == (["OFF"], ["1000"])
    wrong = open_message("TraceSetting", pb.TraceSettingRequest(settings={"trace_level": {"value": ["TENSORS"]}}))
    with pytest.raises(Unsupported, match="tracing is not supported"):
        trace.read(wrong)


def test_the_index_and_its_wishes(methods, open_message) -> None:
    asked = open_message("RepositoryIndex", pb.RepositoryIndexRequest(ready=True))
    assert methods["RepositoryIndex"].read(asked) == models.ListModels()
    found = (ModelStatus(name="n", versions=(), default_version=None),)
    for ready, count in ((True, 0), (False, 1)):
        message = methods["RepositoryIndex"].write(found, pb.RepositoryIndexRequest(ready=ready))
        assert len(pb.RepositoryIndexResponse.FromString(message).models) == count
    parameters = {"config": {"string_param": '{"instance_group": [{"count": 2}]}'}}
    asked = open_message("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="m", parameters=parameters))
    assert methods["RepositoryModelLoad"].read(asked).replicas == 2
    parameters = {"unload_dependents": {"bool_param": True}}
    asked = open_message(
        "RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="m", parameters=parameters)
    )
    assert methods["RepositoryModelUnload"].read(asked) == models.UnloadModel(model="m", wait_s=0.0)
    assert methods["RepositoryModelUnload"].model(asked) == "m"


def test_shared_memory_is_refused_unread(methods, open_message) -> None:
    for name, method in methods.items():
        if "SharedMemory" in name:
            with pytest.raises(Unsupported, match="shared memory regions of clients are not supported"):
                open_message(name, b"\xff")
            assert (method.read(None), method.write(None, None)) == (server.Describe(), b"")
