from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import orjson
import pytest

from salver.errors import Code, RequestError
from salver.operations.base import Answer, Call
from salver.types import BodyResult, InferResponse, Ranking, VersionInfo
from salver.wire.native import NativeWire
from salver.wire.native.accept import AnswerKind
from salver.wire.native.codec import NativeRequest

Encode = Callable[..., Answer]


@pytest.fixture
def encode(call: Callable[..., Call]) -> Encode:
    """`encode(version, outputs, answer=, body=)`: the answer of the default address."""

    def run(
        version: VersionInfo,
        outputs: dict[str, Any] | None = None,
        *,
        answer: AnswerKind = AnswerKind.JSON,
        body: BodyResult | None = None,
    ) -> Answer:
        route = NativeWire().predict_route(b"POST", b"/api/v1/models/m/predict")
        assert route is not None
        request = NativeRequest(version, "serving_default", None, None, 1, (), None, "inputs", answer)
        response = InferResponse(version, outputs, body)
        return route.encode(response, request, call(request_id="r-7"))

    return run


def outputs_of(answer: Answer) -> Any:
    return orjson.loads(answer.body)["outputs"]


def test_the_answer_names_model_version_and_outputs(encode: Encode, iris: VersionInfo) -> None:
    answer = encode(iris, {"p": np.array([[0.1, 0.2, 0.7]], "f4")})

    assert answer.status == 200
    assert answer.content_type == "application/json"
    assert answer.body == b'{"model":"iris","version":3,"outputs":{"p":[[0.1,0.2,0.7]]}}'
    assert answer.headers == (("X-Request-Id", "r-7"), ("Salver-Understood", "inputs"))


def test_several_outputs_are_all_there(encode: Encode, iris: VersionInfo) -> None:
    answer = encode(iris, {"a": np.array([1], "i8"), 'b"': np.array([[True]])})

    assert outputs_of(answer) == {"a": [1], 'b"': [[True]]}


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([np.nan, np.inf, -np.inf, 1.5], "f4"), [None, None, None, 1.5]),
        (np.array(2.5, "f4"), 2.5),
        (np.array([[1, 2], [3, 4]], "i4").T, [[1, 3], [2, 4]]),
        (np.array([[1.5, np.nan]], "f8")[:, ::-1], [[None, 1.5]]),
        (np.array([[b"text", b"\xff"]], object), [["text", {"b64": "/w=="}]]),
        (np.array([65504], "f2"), [65504.0]),
        (np.array([2**64 - 1], "u8"), [2**64 - 1]),
        (np.empty((2, 0), "f4"), [[], []]),
    ],
)
def test_every_array_becomes_valid_json(encode: Encode, iris: VersionInfo, array: Any, expected: Any) -> None:
    assert outputs_of(encode(iris, {"y": array})) == {"y": expected}


def test_a_ranking_stands_beside_the_outputs(encode: Encode, version_info: Callable[..., VersionInfo]) -> None:
    ranking = Ranking(classes="label", probabilities="p")
    version = version_info([("x", "FP32", (-1,))], ranking=ranking)
    labels = np.array([[b"cat", b"dog"], [b"fox", b"\xff"]], object)

    answer = encode(version, {"label": labels, "p": np.array([[0.75, 0.25], [1.0, np.nan]], "f4")})

    assert orjson.loads(answer.body) == {
        "model": "m",
        "version": 1,
        "outputs": {"label": [["cat", "dog"], ["fox", {"b64": "/w=="}]], "p": [[0.75, 0.25], [1.0, None]]},
        "ranking": [
            [{"class": "cat", "probability": 0.75}, {"class": "dog", "probability": 0.25}],
            [{"class": "fox", "probability": 1.0}, {"class": {"b64": "/w=="}, "probability": None}],
        ],
    }


@pytest.mark.parametrize("outputs", [{"p": np.ones((1, 1))}, {"label": np.ones((1, 1))}])
def test_a_ranking_without_its_outputs_is_the_model_s_fault(
    encode: Encode, version_info: Callable[..., VersionInfo], outputs: Any
) -> None:
    version = version_info([("x", "FP32", (-1,))], ranking=Ranking(classes="label", probabilities="p"))

    with pytest.raises(RequestError) as caught:
        encode(version, outputs)
    assert caught.value.code is Code.OUTPUT_INVALID


def test_raw_answers_carry_shape_and_datatype(encode: Encode, iris: VersionInfo) -> None:
    array = np.array([[1, 2], [3, 4]], "f4").T

    answer = encode(iris, {"p": array}, answer=AnswerKind.RAW)

    assert answer.body == np.array([[1, 3], [2, 4]], "<f4").tobytes()
    assert answer.content_type == "application/octet-stream"
    assert dict(answer.headers) == {
        "X-Request-Id": "r-7",
        "Salver-Understood": "inputs",
        "Salver-Version": "3",
        "Salver-Datatype": "FP32",
        "Salver-Shape": "2,2",
    }


def test_raw_text_has_its_lengths_before_it(encode: Encode, iris: VersionInfo) -> None:
    answer = encode(iris, {"p": np.array([[b"ab", b""]], object)}, answer=AnswerKind.RAW)

    assert answer.body == b"\x02\0\0\0ab\0\0\0\0"
    assert dict(answer.headers)["Salver-Datatype"] == "BYTES"


def test_npy_answers_load(encode: Encode, iris: VersionInfo) -> None:
    answer = encode(iris, {"p": np.array([[True, False]])}, answer=AnswerKind.NPY)

    assert np.load(BytesIO(answer.body)).tolist() == [[True, False]]
    assert answer.content_type == "application/x-npy"
    assert dict(answer.headers)["Salver-Datatype"] == "BOOL"


@pytest.mark.parametrize(
    ("outputs", "kind"),
    [
        ({"a": np.ones(1), "b": np.ones(1)}, AnswerKind.RAW),
        ({}, AnswerKind.NPY),
        ({"a": np.array([b"x"], object)}, AnswerKind.NPY),
    ],
)
def test_outputs_other_than_promised_are_the_model_s_fault(
    encode: Encode, iris: VersionInfo, outputs: Any, kind: AnswerKind
) -> None:
    with pytest.raises(RequestError) as caught:
        encode(iris, outputs, answer=kind)
    assert caught.value.code is Code.OUTPUT_INVALID


def test_what_a_model_s_own_code_wrote_is_passed_on(encode: Encode, iris: VersionInfo) -> None:
    result = BodyResult(
        b"<b>", "text/html", 201, "Made", {"X-Model": "yes", "Content-Length": "99", "x-request-id": "forged"}
    )

    answer = encode(iris, body=result)

    assert (answer.status, answer.body, answer.content_type) == (201, b"<b>", "text/html")
    assert answer.headers == (
        ("X-Request-Id", "r-7"),
        ("Salver-Understood", "inputs"),
        ("Salver-Version", "3"),
        ("X-Model", "yes"),
    )


def test_bytes_without_a_type_are_an_octet_stream(encode: Encode, iris: VersionInfo) -> None:
    assert encode(iris, body=BodyResult(b"x")).content_type == "application/octet-stream"


def test_a_status_without_a_body_has_none(encode: Encode, iris: VersionInfo) -> None:
    assert encode(iris, body=BodyResult(b"x", status=204)).body == b""


@pytest.mark.parametrize(
    "result", [BodyResult(b"", status=99), BodyResult(b"", status=700), BodyResult(b"", headers={"X\r\nEvil": "1"})]
)
def test_what_http_does_not_allow_is_the_model_s_fault(encode: Encode, iris: VersionInfo, result: BodyResult) -> None:
    with pytest.raises(RequestError) as caught:
        encode(iris, body=result)
    assert caught.value.code is Code.OUTPUT_INVALID


def test_the_answer_tells_the_version_that_gave_it(
    call: Callable[..., Call], iris: VersionInfo, version_info: Callable[..., VersionInfo]
) -> None:
    route = NativeWire().predict_route(b"POST", b"/api/v1/models/iris/predict")
    assert route is not None
    newer = version_info([("x", "FP32", (-1, 4))], name="iris", version=4)
    versions = []
    for version in (iris, newer, iris, iris):
        request = NativeRequest(version, "serving_default", None, None, 1, ())
        answer = route.encode(InferResponse(version, {"p": np.ones(1)}), request, call())
        versions.append(orjson.loads(answer.body)["version"])

    assert versions == [3, 4, 3, 3]


def test_a_version_without_the_signature_still_answers(
    encode: Encode, version_info: Callable[..., VersionInfo]
) -> None:
    assert encode(version_info(signatures={}), body=BodyResult(b"x")).status == 200


def test_errors_of_predictions_have_the_one_shape(call: Callable[..., Call]) -> None:
    route = NativeWire().predict_route(b"POST", b"/api/v1/models/m/predict")
    assert route is not None

    answer = route.error(RequestError(Code.METHOD_NOT_ALLOWED, "x"), call(request_id="r-7"))
    early = route.error(RequestError(Code.OVERLOADED, "x"), None)

    assert dict(answer.headers) == {"X-Request-Id": "r-7", "Allow": "POST"}
    assert dict(early.headers) == {"Retry-After": "1"}


def test_an_event_is_the_document_on_one_line(encode: Encode, iris: VersionInfo) -> None:
    answer = encode(iris, {"p": np.array([[b"a\nb"]], object)}, answer=AnswerKind.EVENTS)

    assert answer.body == b'data: {"model":"iris","version":3,"outputs":{"p":[["a\\nb"]]}}\n\n'
    assert answer.content_type == "text/event-stream; charset=utf-8"
    assert answer.headers[-1] == ("Cache-Control", "no-store")


def test_no_outputs_are_no_event(encode: Encode, iris: VersionInfo) -> None:
    assert encode(iris, {}, answer=AnswerKind.EVENTS).body == b""


@pytest.mark.parametrize(
    ("data", "told"), [(b"h\xc3\xa9\n", '"h\u00e9\\n"'.encode()), (b"\xff\x00", b'{"b64":"/wA="}')]
)
def test_an_event_of_what_a_model_s_own_code_wrote(encode: Encode, iris: VersionInfo, data: bytes, told: bytes) -> None:
    answer = encode(iris, body=BodyResult(data, "text/csv"), answer=AnswerKind.EVENTS)

    assert answer.body == b'data: {"model":"iris","version":3,"body":%b,"content_type":"text/csv"}\n\n' % told


def test_an_error_that_a_model_s_own_code_wrote_is_no_event(encode: Encode, iris: VersionInfo) -> None:
    answer = encode(iris, body=BodyResult(b"no", None, 418), answer=AnswerKind.EVENTS)

    assert (answer.status, answer.body) == (418, b"no")


def test_the_end_behind_parts(iris: VersionInfo, call: Callable[..., Call]) -> None:
    route: Any = NativeWire().predict_route(b"POST", b"/api/v1/models/m/predict")
    request = NativeRequest(iris, "serving_default", None, None, 1, (), None, "inputs", AnswerKind.EVENTS)

    def last(outputs: Any, body: BodyResult | None = None) -> bytes:
        answer: Answer = route.encode_last(InferResponse(iris, outputs, body), request, call())
        return answer.body

    assert (last({}), last(None, BodyResult(b""))) == (b"", b"")
    assert last({"p": np.ones((1, 1))}).startswith(b"data: {")
    assert b'"body":"end"' in last(None, BodyResult(b"end"))
    failure = route.encode_failure(RequestError(Code.MODEL_ERROR, "It failed."), call())
    assert failure.body.startswith(b'event: error\ndata: {"error":{"code":"MODEL_ERROR"')
