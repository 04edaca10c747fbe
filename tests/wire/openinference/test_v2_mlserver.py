"""MLServer's dialect: bodies in its form, requests fitted to the model, answers and errors in its words."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from salver.errors import Code, RequestError
from salver.operations import models, server
from salver.operations.methods import GrpcStatus, OrdinaryMethod
from salver.types import BodyResult, InferResponse, VersionInfo
from salver.wire.openinference.grpc import SERVICE
from salver.wire.openinference.mlserver import MlServerWire
from salver.wire.openinference.mlserver.errors import Unprocessable, entry, error_answer
from salver.wire.openinference.mlserver.grpc import MlServerGrpcWire
from salver.wire.openinference.mlserver.rest import index_entry
from salver.wire.openinference.pb import inference_pb2 as pb
from salver.wire.openinference.request import V2Request


@pytest.fixture
def wire() -> MlServerWire:
    return MlServerWire(max_body_bytes=1 << 20)


@pytest.fixture
def one(version_info: Callable[..., VersionInfo]) -> VersionInfo:
    return version_info([("x", "FP64", (-1, 2))], [("predict", "INT64", (-1,)), ("predict_proba", "FP64", (-1, 2))])


@pytest.fixture
def plain(version_info: Callable[..., VersionInfo]) -> Callable[..., VersionInfo]:
    """`plain("INT8", (-1,))`: a model with an input x of this kind and an output y."""
    return lambda datatype, shape: version_info([("x", datatype, shape)], [("y", "FP32", (-1,))])


def values(request: V2Request, name: str = "x") -> Any:
    assert request.inputs is not None
    return request.inputs[name]


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT32", "UINT8"])
def test_an_only_input_may_have_any_name_and_numbers_any_datatype(decode, one, tensor, datatype: str) -> None:
    request = decode(one, {"inputs": [tensor("predict-0", datatype, [1, 2], [1, 2])]})
    given = values(request)
    assert (given.datatype, given.shape, given.data.tolist()) == ("FP64", (1, 2), [[1.0, 2.0]])


def test_true_and_false_are_numbers(decode, one, tensor) -> None:
    request = decode(one, {"inputs": [tensor("x", "BOOL", [1, 2], [[True, False]])]})
    assert values(request).data.tolist() == [[1.0, 0.0]]


def test_parameters_that_say_nothing_are_passed_over_as_headers_are(decode, one, tensor) -> None:
    given = {"content_type": None, "headers": {"ce-id": "1"}}
    item = tensor("x", "FP64", [1, 2], [1, 2]) | {"parameters": given}
    request = decode(one, {"parameters": given | {"own": 1}, "inputs": [item]})
    assert request.parameters == {"own": 1}


def test_text_for_numbers_stays_a_mistake(refuse, one, tensor) -> None:
    status, text = refuse(one, {"inputs": [tensor("x", "BYTES", [1, 2], ["a", "b"])]})
    assert (status, text.partition("] ")[2]) == (
        400,
        "inference input 'x' data-type is 'BYTES', but model 'm' expects 'FP64'",
    )


@pytest.mark.parametrize(
    ("declared", "sent", "taken"),
    [
        ((-1,), [2, 1], (2,)),
        ((-1,), [2], (2,)),
        ((-1, 1), [2], (2, 1)),
        ((-1, 1), [2, 1], (2, 1)),
    ],
)
def test_a_column_and_a_list_are_the_same(decode, plain, tensor, declared: Any, sent: list[int], taken: Any) -> None:
    assert values(decode(plain("INT8", declared), {"inputs": [tensor("x", "INT8", sent, [1, 2])]})).shape == taken


def test_a_single_value_needs_no_list(decode, plain, tensor) -> None:
    request = decode(plain("BYTES", (-1,)), {"inputs": [tensor("x", "BYTES", [1], "abc")]})
    assert values(request).data == [b"abc"]


def test_several_inputs_keep_their_names(decode, refuse, version_info, tensor) -> None:
    two = version_info([("a", "FP32", (-1,)), ("b", "INT8", (-1,))], [("y", "FP32", (-1,))])
    request = decode(two, {"inputs": [tensor("b", "INT64", [1], [2]), tensor("a", "FP32", [1, 1], [1])]})
    assert (values(request, "a").shape, values(request, "b").datatype) == ((1,), "INT8")
    status, text = refuse(two, {"inputs": [tensor("c", "INT8", [1], [2])]})
    assert (status, text.partition("] ")[2]) == (400, "unexpected inference input 'c' for model 'm'")


def test_an_only_input_is_sent_once(refuse, one, tensor) -> None:
    for count in (0, 2):
        text = f"The 'np' codec only supports a single input tensor ({count} were received)"
        answer = refuse(one, {"inputs": [tensor("x", "FP64", [1, 2], [1, 2])] * count})
        assert answer == (400, f"There was an error encoding / decoding the payload: {text}")


def test_columns_are_put_side_by_side(decode, one, tensor) -> None:
    columns = [tensor(name, "FP64", [1], [value]) for name, value in (("a", 1), ("b", 2))]
    assert values(decode(one, {"parameters": {"content_type": "pd"}, "inputs": columns})).data.tolist() == [[1, 2]]


def test_an_estimator_answers_predict_unless_more_is_asked_for(decode, one, plain, tensor) -> None:
    inputs = [tensor("x", "FP64", [1, 2], [1, 2])]
    (wish,) = decode(one, {"inputs": inputs}).wishes
    assert wish.name == "predict"
    assert (
        len(decode(one, {"inputs": inputs, "outputs": [{"name": n} for n in ("predict", "predict_proba")]}).wishes) == 2
    )
    assert decode(plain("FP64", (-1, 2)), {"inputs": inputs}).wishes is None


def detail(route: Any, exchange: Any, version: VersionInfo, body: bytes) -> list[dict[str, Any]]:
    with pytest.raises(RequestError) as caught:
        route().decode(exchange(body), version)
    answer = route().error(caught.value, None)
    assert answer.status == 422
    found: list[dict[str, Any]] = orjson.loads(answer.body)["detail"]
    return found


@pytest.mark.parametrize(
    ("body", "kind", "place"),
    [
        (b"", "missing", ["body"]),
        (b"{", "json_invalid", ["body", 1]),
        (b'"\xff"', "json_invalid", ["body", 0]),
        (b"[]", "model_attributes_type", ["body"]),
        (b"{}", "missing", ["body", "inputs"]),
        (b'{"inputs": 1}', "list_type", ["body", "inputs"]),
        (b'{"inputs": [1]}', "model_attributes_type", ["body", "inputs", 0]),
        (b'{"inputs": [{"name": "x", "shape": [1], "data": [1]}]}', "missing", ["body", "inputs", 0, "datatype"]),
        (
            b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP1", "data": [1]}]}',
            "enum",
            ["body", "inputs", 0, "datatype"],
        ),
        (b'{"inputs": [{"name": 1, "shape": [1], "datatype": "FP32", "data": [1]}]}', "value_error", ["body"]),
    ],
)
def test_a_body_of_another_form_is_told_place_by_place(
    route, exchange, one, body: bytes, kind: str, place: list[Any]
) -> None:
    (found,) = detail(route, exchange, one, body)
    assert (found["type"], found["loc"]) == (kind, place)


def test_all_that_lacks_is_told_at_once(route, exchange, one) -> None:
    found = detail(route, exchange, one, b'{"inputs": [{}]}')
    assert [each["loc"][-1] for each in found] == ["name", "shape", "datatype", "data"]


def test_long_input_is_not_echoed() -> None:
    assert "input" not in entry("missing", ["body"], "Field required", "a" * 2000)
    assert entry("missing", ["body"], "Field required", "a")["input"] == "a"


def test_an_answer_has_an_id_and_columns_with_their_content_type(
    decode, route, call, version_info, tensor, objects
) -> None:
    version = version_info(
        [("x", "FP32", (-1,))], [("n", "FP32", (-1, 2)), ("s", "BYTES", (-1,)), ("b", "BYTES", (-1,))]
    )
    outputs = [{"name": "n"}, {"name": "s"}, {"name": "b", "parameters": {"content_type": "base64"}}]
    request = decode(version, {"inputs": [tensor("x", "FP32", [1], [1])], "outputs": outputs})
    arrays = {"n": np.ones((1, 2), np.float32), "s": objects(b"a"), "b": objects(b"ab")}
    document = orjson.loads(route().encode(InferResponse(version, arrays), request, call()).body)
    assert len(document["id"]) == 36
    assert list(document) == ["model_name", "model_version", "id", "parameters", "outputs"]
    assert [(each["shape"], each["parameters"]["content_type"], each["data"]) for each in document["outputs"]] == [
        ([1, 2], "np", [1.0, 1.0]),
        ([1, 1], "str", ["a"]),
        ([1, 1], "base64", ["YWI="]),
    ]


def test_a_stream_has_one_event_and_an_id_stays(route, exchange, call, one, tensor) -> None:
    document = {"id": "7", "inputs": [tensor("x", "FP64", [1, 2], [1, 2])]}
    found = route("/v2/models/m/infer_stream")
    request = found.decode(exchange(orjson.dumps(document)), one)
    answer = found.encode(InferResponse(one, {"predict": np.array([1])}), request, call())
    assert answer.content_type == "text/event-stream; charset=utf-8"
    assert orjson.loads(answer.body.removeprefix(b"data: "))["id"] == "7"
    assert route("/v2/models/m/generate").burst_codec(exchange(b""), one) is None


def test_a_handler_gets_parts_and_its_errors_are_the_callers(decode, route, call, version_info, tensor) -> None:
    version = version_info()
    request = decode(version, {"inputs": [tensor("a", "BYTES", [1], ["b"])]})
    told = route().encode(InferResponse(version, None, BodyResult(b"done")), request, call())
    assert orjson.loads(told.body)["outputs"][0]["data"] == ["done"]
    for status, answered in ((418, 418), (700, 500)):
        told = route().encode(InferResponse(version, None, BodyResult(b"no", status=status)), request, call())
        assert (told.status, orjson.loads(told.body)) == (answered, {"error": "no"})


def test_a_body_may_be_compressed(decode, one, tensor) -> None:
    document = gzip.compress(orjson.dumps({"inputs": [tensor("x", "FP64", [1, 2], [1, 2])]}))
    assert values(decode(one, document, content_encoding="gzip")).shape == (1, 2)


@pytest.mark.parametrize(
    ("code", "target", "version", "status", "text"),
    [
        (Code.MODEL_NOT_FOUND, "", 0, 404, "Model m not found"),
        (Code.VERSION_NOT_FOUND, "/versions/9", 0, 404, "Model m with version 9 not found"),
        (Code.MODEL_NOT_READY, "", 0, 404, "Model m not found"),
        (Code.MODEL_NOT_READY, "/versions/2", 2, 503, "Model m with version 2 is not ready yet."),
        (Code.OVERLOADED, "", 0, 503, "cause. What to do."),
    ],
)
def test_errors_are_in_the_originals_words(
    route, call, code: Code, target: str, version: int, status: int, text: str
) -> None:
    answer = route(f"/v2/models/m{target}/infer").error(RequestError(code, "cause", fix="What to do."), None)
    assert (answer.status, orjson.loads(answer.body)) == (status, {"error": text})


def test_errors_without_a_subject_say_what_they_have_to() -> None:
    assert error_answer(RequestError(Code.MODEL_NOT_FOUND, "cause", fix="")).status == 400
    assert isinstance(Unprocessable(entry("a", ["b"], "c", None)), RequestError)


def test_addresses_that_it_has_not_are_refused_as_its_framework_does(wire, ordinary_request) -> None:
    for method, path, status, body in (
        ("GET", "/v2/nothing", 404, {"detail": "Not Found"}),
        ("GET", "/v2/models/m/config", 404, {"detail": "Not Found"}),
        ("GET", "/v2/models/m/infer", 405, {"detail": "Method Not Allowed"}),
        ("GET", "/v2/repository/index", 405, {"detail": "Method Not Allowed"}),
        ("POST", "/v2/models/m/versions/one/infer", 404, {"error": "Model m with version one not found"}),
    ):
        answer = wire.unmatched(ordinary_request(method, path))
        assert (answer.status, orjson.loads(answer.body)) == (status, body)
    assert wire.owns("/v2")
    assert not wire.owns("/v1")
    assert wire.predict_route(b"GET", b"/v2/models/m/infer") is None
    assert wire.predict_route(b"POST", b"/v2/models/m") is None


def test_health_is_a_status_without_a_body(wire, ordinary_request) -> None:
    write = {route.path: route.write for route in wire.routes}
    report = server.HealthReport(is_live=True, is_ready=False)
    request = ordinary_request("GET", "/v2/health/ready")
    live, ready = write["/v2/health/live"](report, request), write["/v2/health/ready"](report, request)
    assert [(answer.status, answer.body, answer.content_type) for answer in (live, ready)] == [
        (200, b"", None),
        (400, b"", None),
    ]


def test_the_index_wants_a_body_and_always_has_state_and_reason(wire, ordinary_request) -> None:
    (index,) = [route for route in wire.routes if route.path == "/v2/repository/index"]
    with pytest.raises(Unprocessable):
        index.read(ordinary_request("POST", index.path))
    assert index.read(ordinary_request("POST", index.path, body=b"{}")) == models.ListModels()
    assert index_entry({"name": "m"}) == {"name": "m", "state": "UNKNOWN", "reason": ""}
    unloaded = {"name": "m", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}
    assert index_entry(unloaded) == unloaded | {"reason": ""}
    assert index_entry(unloaded | {"reason": "no weights"})["reason"] == "no weights"


# gRPC


@pytest.fixture
def methods() -> dict[str, Any]:
    return {method.path.removeprefix(SERVICE): method for method in MlServerGrpcWire().methods}


def asked(methods: dict[str, Any], ordinary_request: Any, message: Any) -> Any:
    request = ordinary_request("POST", SERVICE + "ModelInfer", body=message.SerializeToString())
    return methods["ModelInfer"].open(request)


def message(datatype: str, shape: list[int], raw: bytes | None = None, **contents: Any) -> Any:
    given = pb.ModelInferRequest(model_name="m")
    given.inputs.add(name="predict", datatype=datatype, shape=shape, contents=contents or None)
    if raw is not None:
        given.raw_input_contents.append(raw)
    return given


def test_values_come_back_as_they_came(methods, ordinary_request, exchange, call, one) -> None:
    for given, is_raw in (
        (message("FP32", [1, 2], fp32_contents=[1, 2]), False),
        (message("FP32", [1, 2], np.array([1, 2], "<f4").tobytes()), True),
        (message("FP64", [1, 2], fp64_contents=[1, 2]), False),
    ):
        route = asked(methods, ordinary_request, given)
        request = route.decode(exchange(b""), one)
        assert np.frombuffer(values(request).data, "<f8").tolist() == [1, 2]
        response = InferResponse(one, {"predict": np.array([5])})
        answer = pb.ModelInferResponse.FromString(route.encode(response, request, call()).body)
        (output,) = answer.outputs
        assert (list(output.shape), output.parameters["content_type"].string_param) == ([1, 1], "np")
        assert bool(answer.raw_output_contents) is is_raw
        assert list(output.contents.int64_contents) == ([] if is_raw else [5])


def test_numbers_that_the_datatype_has_not_are_refused(methods, ordinary_request, exchange, plain) -> None:
    for datatype, contents in (("FP32", {"fp32_contents": [1.5]}), ("INT32", {"int_contents": [300]})):
        route = asked(methods, ordinary_request, message(datatype, [1], **contents))
        with pytest.raises(RequestError, match="input 'x' holds a number outside INT8"):
            route.decode(exchange(b""), plain("INT8", (-1,)))
    route = asked(methods, ordinary_request, message("FP32", [1], b"abc"))
    with pytest.raises(RequestError, match="has 3 bytes, which are no whole elements of FP32"):
        route.decode(exchange(b""), plain("INT8", (-1,)))


def test_what_has_no_typed_form_is_raw(methods, ordinary_request, exchange, call, version_info) -> None:
    version = version_info([("x", "FP32", (-1,))], [("y", "FP16", (-1,))])
    route = asked(methods, ordinary_request, message("FP32", [1], fp32_contents=[1]))
    request = route.decode(exchange(b""), version)
    response = InferResponse(version, {"y": np.array([1], np.float16)})
    assert pb.ModelInferResponse.FromString(route.encode(response, request, call()).body).raw_output_contents


def test_a_handler_is_asked_over_grpc_too(methods, ordinary_request, exchange, call, version_info) -> None:
    route = asked(methods, ordinary_request, message("BYTES", [1], bytes_contents=[b"a"]))
    version = version_info()
    request = route.decode(exchange(b""), version)
    answer = route.encode(InferResponse(version, None, BodyResult(b"done")), request, call())
    assert list(pb.ModelInferResponse.FromString(answer.body).outputs[0].contents.bytes_contents) == [b"done"]


def test_errors_have_the_originals_status(methods, ordinary_request) -> None:
    route = asked(methods, ordinary_request, message("FP32", [1]))
    answer = route.error(RequestError(Code.MODEL_NOT_FOUND, "cause", fix=""), None)
    assert (answer.status, answer.body) == (GrpcStatus.NOT_FOUND, b"Model m not found")
    metadata = methods["ModelMetadata"]
    assert isinstance(metadata, OrdinaryMethod)
    assert metadata.error is not None
    found = metadata.error(RequestError(Code.OVERLOADED, "cause", fix=""), pb.ModelMetadataRequest(name="m"))
    assert found.status == GrpcStatus.UNAVAILABLE
    assert MlServerGrpcWire().error(RequestError(Code.OVERLOADED, "cause", fix="")).status == GrpcStatus.UNAVAILABLE


def test_only_the_originals_methods_are_there(methods) -> None:
    assert {"ModelInfer", "ModelStreamInfer", "RepositoryIndex", "RepositoryModelLoad"} <= set(methods)
    assert not {"ModelConfig", "ModelStatistics", "LogSettings"} & set(methods)
