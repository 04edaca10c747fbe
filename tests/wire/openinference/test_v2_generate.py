"""Objects whose keys are inputs, and answers whose keys are outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from salver.errors import Code, RequestError
from salver.types import BodyResult, InferResponse, VersionInfo
from salver.wire.openinference.generate import filled


@pytest.fixture
def text(version_info) -> VersionInfo:
    return version_info([("t", "BYTES", (-1,)), ("x", "FP32", (-1, 2))], [("o", "BYTES", (-1,)), ("n", "INT64", (-1,))])


@pytest.fixture
def generate(route, exchange) -> Callable[..., Any]:
    """`generate(version, object, verb)`: the route of the verb, and the request of an object."""

    def run(version: VersionInfo, value: Any, verb: str = "generate", **headers: str) -> Any:
        raw = value if isinstance(value, bytes) else orjson.dumps(value)
        given = {name.replace("_", "-"): each for name, each in headers.items()}
        found = route(f"/v2/models/m/versions/1/{verb}")
        return found, found.decode(exchange(raw, headers=given), version)

    return run


def test_keys_that_name_inputs_are_inputs_and_all_others_parameters(generate, text) -> None:
    value = {"t": "a", "x": [1, 2], "temperature": 0.5, "parameters": {"top_k": 3}, "id": "7"}
    _, request = generate(text, value)
    assert request.inputs["t"].data == [b"a"]
    assert np.asarray(request.inputs["x"].data).tolist() == [[1, 2]]
    assert (request.parameters, request.id, request.rows) == ({"temperature": 0.5, "top_k": 3}, "7", 1)
    assert request.is_generated


@pytest.mark.parametrize(
    ("shape", "value", "told"),
    [
        ((-1, 2), [1, 2], [1, 2]),
        ((-1, 2), [[1, 2], [3, 4]], [2, 2]),
        ((-1, 2), [1, 2, 3, 4], [2, 2]),
        ((-1,), 5, [1]),
        ((-1,), [5, 6], [2]),
        ((-1, 1), 5, [1, 1]),
        ((-1, -1), [5, 6], [1, 2]),
        ((2,), [5, 6], [2]),
        ((), 5, []),
    ],
)
def test_values_take_the_shape_that_the_model_wants(generate, version_info, shape, value, told) -> None:
    version = version_info([("x", "FP32", shape)], has_batch_dimension=shape[:1] == (-1,))
    _, request = generate(version, {"x": value})
    assert list(request.inputs["x"].shape) == told


@pytest.mark.parametrize("value", [[1, 2, 3], [], 1])
def test_values_that_no_shape_fits(generate, version_info, value: Any) -> None:
    version = version_info([("x", "FP32", (-1, 2))])
    with pytest.raises(RequestError, match=r"unexpected shape for input 'x'. Expected \[-1,2\]"):
        generate(version, {"x": value})


def test_a_shape_without_room_is_not_filled() -> None:
    assert filled((2, 2), 3) == ()
    assert filled((0, -1), 3) == ()
    assert filled((2, 2), 4) == (2, 2)


def test_an_input_may_be_called_parameters(generate, version_info) -> None:
    version = version_info([("parameters", "BYTES", (-1,))])
    _, request = generate(version, {"parameters": "a"})
    assert (request.inputs["parameters"].data, request.parameters) == ([b"a"], None)


@pytest.mark.parametrize(
    ("value", "text_of_error"),
    [
        (b"{", "failed to parse the request JSON buffer: the document is not valid JSON"),
        (b"[]", "failed to parse the request JSON buffer: an object is needed"),
        ({"id": 5}, "Unable to parse 'id': it must be a string"),
        ({"parameters": []}, "Unable to parse 'parameters': an object is needed"),
        ({"t": "a", "x": [1, 2], "a": {}}, "Unable to parse 'parameters': 'a' must be a string, a number, or true or"),
    ],
)
def test_objects_that_mean_nothing(generate, text, value: Any, text_of_error: str) -> None:
    with pytest.raises(RequestError) as caught:
        generate(text, value)
    assert caught.value.message.startswith(text_of_error)


def test_one_value_is_no_list(generate, text, call, objects) -> None:
    found, request = generate(text, {"t": "a", "x": [1, 2], "id": "7"})
    answer = found.encode(InferResponse(text, {"o": objects(b"b"), "n": np.array([1, 2])}), request, call())
    assert answer.body == b'{"id":"7","model_name":"m","model_version":"1","o":"b","n":[1,2]}'
    assert answer.content_type == "application/json"


def test_a_stream_has_one_event(generate, text, call, objects) -> None:
    found, request = generate(text, {"t": "a", "x": [1, 2]}, "generate_stream", Content_Encoding="identity")
    answer = found.encode(InferResponse(text, {"o": objects(b"b"), "n": np.array([1])}), request, call())
    assert answer.body == b'data: {"model_name":"m","model_version":"1","o":"b","n":1}\n\n'
    assert answer.content_type == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize("verb", ["generate", "infer_stream", "generate_stream"])
def test_the_form_of_infer_is_answered_as_infer(generate, version_info, call, tensor, verb: str) -> None:
    version = version_info([("x", "FP32", (-1,))], [("y", "FP32", (-1,))])
    found, request = generate(version, {"inputs": [tensor("x", "FP32", [1], [1])]}, verb)
    answer = found.encode(InferResponse(version, {"y": np.ones(1, "<f4")}), request, call())
    document = orjson.loads(answer.body.removeprefix(b"data: "))
    assert document["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [1], "data": [1]}]


def test_compressed_bodies_are_refused(generate, text) -> None:
    with pytest.raises(RequestError, match="Unsupported content-encoding, only 'identity' is supported"):
        generate(text, {}, Content_Encoding="gzip")


def test_handlers_have_a_part_for_each_key(generate, version_info, call) -> None:
    version = version_info()
    found, request = generate(version, {"body": "a", "more": [1], "id": "7", "parameters": {"size": 3}})
    assert {part.name: part.data for part in request.body.parts} == {"size": b"3", "body": b"a", "more": b"[1]"}
    answer = found.encode(InferResponse(version, None, BodyResult(b"b")), request, call())
    assert orjson.loads(answer.body) == {"id": "7", "model_name": "m", "model_version": "1", "body": "b"}
    with pytest.raises(RequestError, match="an object is needed"):
        generate(version, {"body": "a", "parameters": 1})


def test_an_error_of_a_handler_stays_one(generate, version_info, call) -> None:
    version = version_info()
    found, request = generate(version, {"body": "a", "id": 1}, "generate_stream")
    answer = found.encode(InferResponse(version, None, BodyResult(b"no", status=507)), request, call())
    assert (answer.status, answer.body) == (507, b'{"error":"no"}')
    assert request.id == ""


def test_its_errors_are_those_of_infer(route, exchange, text) -> None:
    found = route("/v2/models/m/generate")
    error = RequestError(Code.MODEL_NOT_FOUND, "")
    assert orjson.loads(found.error(error, None).body) == {"error": "Request for unknown model: 'm' is not found"}
    assert found.burst_codec(exchange(b""), text) is None


def test_a_stream_asks_a_model_that_gives_parts_for_them(generate, version_info) -> None:
    version = version_info([("x", "FP32", (-1,))], [("y", "FP32", (-1,))], gives_parts=True)
    assert generate(version, {"x": 1}, "generate_stream")[1].wants_parts
    assert not generate(version, {"x": 1}, "generate")[1].wants_parts
    assert generate(version_info(), {"body": "a"}, "generate_stream")[1].wants_parts


def test_what_ends_a_stream(generate, text, version_info, call, objects) -> None:
    found, request = generate(text, {"t": "a", "x": [1, 2]}, "generate_stream")
    part = InferResponse(text, {"o": objects(b"b"), "n": np.array([1])})
    assert found.encode_part(part, request, call()).body.startswith(b"data: {")
    assert found.encode_last(part, request, call()).body.startswith(b"data: {")
    for told in (found.encode, found.encode_last):
        assert told(InferResponse(text, {}), request, call()).body == b""
    failure = found.encode_failure(RequestError(Code.MODEL_ERROR, "It failed."), call())
    assert failure.body.startswith(b'data: {"error":"')
    found, request = generate(version_info(), {"body": "a"}, "generate_stream")
    assert found.encode_last(InferResponse(version_info(), None, BodyResult(b"")), request, call()).body == b""
