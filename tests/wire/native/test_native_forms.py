"""The forms of answers: which one is chosen, and what is in it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any

import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from salver.errors import Code, RequestError
from salver.operations.base import Answer, Call, TakesLong
from salver.types import InferRequest, InferResponse, VersionInfo
from salver.wire.native import NativeWire, accept
from salver.wire.native.accept import AnswerKind
from salver.wire.native.codec import NativeRequest

Decode = Callable[..., InferRequest]
Build = Callable[..., VersionInfo]
Encode = Callable[..., Answer]
OUTPUTS = {
    "p": np.array([[0.1, np.nan], [np.inf, -2.0]], np.float32),
    "n": np.array([2**63 + 1, 5], np.uint64),
    "b": np.array([True, False]),
    "t": np.array(["grüße".encode(), b"a,b"], object),
}


@pytest.fixture
def encode(call: Callable[..., Call]) -> Encode:
    def run(version: VersionInfo, outputs: dict[str, Any], kind: AnswerKind, path: str = "predict") -> Answer:
        route = NativeWire().predict_route(b"POST", f"/api/v1/models/m/{path}".encode())
        assert route is not None
        request = NativeRequest(version, "serving_default", None, None, 1, (), None, "inputs", kind)
        try:
            return route.encode(InferResponse(version, outputs, None), request, call(request_id="r-7"))
        except TakesLong as long:
            answer: Answer = long.work()
            return answer

    return run


@pytest.fixture
def two(version_info: Build) -> VersionInfo:
    return version_info([("x", "FP32", (-1,))], [("a", "FP32", (-1,)), ("t", "BYTES", (-1,))])


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("application/x-ndjson", AnswerKind.JSON_LINES),
        ("application/jsonlines;q=0.5, text/csv;q=0.6", AnswerKind.CSV),
        ("text/csv;q=0.5, */*", AnswerKind.JSON),
        ("application/*", AnswerKind.JSON),
        ("text/csv;q=0, application/x-msgpack;q=x", AnswerKind.MESSAGE_PACK),
        ("text/csv;q=7", AnswerKind.CSV),
        ("application/x-npy, application/vnd.apache.arrow.file", AnswerKind.ARROW_FILE),
        ("text/html, application/vnd.apache.parquet", AnswerKind.PARQUET),
        ("image/webp, */*;q=0.8", AnswerKind.JSON),
        ("text/html", AnswerKind.JSON),
    ],
)
def test_the_preferred_form_that_can_be_given_is_given(
    decode: Decode, two: VersionInfo, header: str, kind: Any
) -> None:
    assert decode(two, b"[1]", Accept=header).answer is kind


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("application/x-npy", "the model has 2 outputs"),
        ("application/x-npz, application/octet-stream;q=0.1", "the output 't' is of datatype BYTES"),
        ("text/plain", "2 outputs"),
    ],
)
def test_what_cannot_be_given_is_not_acceptable(decode: Decode, two: VersionInfo, header: str, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        decode(two, b"[1]", Accept=header)
    assert caught.value.code is Code.NOT_ACCEPTABLE


def test_only_bytes_can_be_text(decode: Decode, iris: VersionInfo) -> None:
    with pytest.raises(RequestError, match="and not BYTES"):
        decode(iris, b"[1,2,3,4]", Accept="text/plain")


def test_without_pyarrow_the_extra_is_named(decode: Decode, two: VersionInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept, "has_pyarrow", lambda: False)
    with pytest.raises(RequestError) as caught:
        decode(two, b"[1]", Accept="application/vnd.apache.parquet")
    assert "salver[arrow]" in caught.value.fix
    assert decode(two, b"[1]", Accept="application/vnd.apache.parquet, text/csv").answer is AnswerKind.CSV


@pytest.mark.parametrize(("query", "words"), [("?missing=zero", "missing=zero"), ("?dates=h", "dates=h")])
def test_a_query_that_says_nothing_known_is_refused(decode: Decode, iris: VersionInfo, query: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        decode(iris, b"[1,2,3,4]", query=query)


@pytest.mark.parametrize(
    ("content_type", "understood"),
    [("audio/wav", "audio"), ("image/png", "image"), ("application/pdf", "bytes"), ("application/x-ndjson", "ndjson")],
)
def test_the_form_that_was_understood_is_told(
    decode: Decode, version_info: Build, content_type: str, understood: str
) -> None:
    request = decode(version_info([("x", "BYTES", (-1,))]), b'"RIFF"', content_type)
    assert isinstance(request, NativeRequest)
    assert request.understood == understood


def test_csv_has_the_digits_of_its_own_type(encode: Encode, iris: VersionInfo) -> None:
    answer = encode(iris, {**OUTPUTS, "raw": np.array([b"\xff", b"r"], object)}, AnswerKind.CSV)
    rows = list(csv.reader(StringIO(answer.body.decode(), newline="")))
    assert answer.content_type == "text/csv; charset=utf-8; header=present"
    assert dict(answer.headers)["Salver-Version"] == "3"
    assert rows == [
        ["p_0", "p_1", "n", "b", "t", "raw"],
        ["0.1", "NaN", "9223372036854775809", "true", "grüße", '{"b64":"/w=="}'],
        ["inf", "-2.0", "5", "false", "a,b", "r"],
    ]


def test_lines_of_json_are_rows(encode: Encode, iris: VersionInfo) -> None:
    lines = encode(iris, OUTPUTS, AnswerKind.JSON_LINES).body.splitlines()
    assert list(map(orjson.loads, lines)) == [
        {"p": [0.1, None], "n": 2**63 + 1, "b": True, "t": "grüße"},
        {"p": [None, -2.0], "n": 5, "b": False, "t": "a,b"},
    ]


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        (AnswerKind.ARROW, lambda raw: pa.ipc.open_stream(raw).read_all()),
        (AnswerKind.ARROW_FILE, lambda raw: pa.ipc.open_file(pa.BufferReader(raw)).read_all()),
        (AnswerKind.PARQUET, lambda raw: pq.read_table(BytesIO(raw))),
    ],
)
def test_tables_keep_types_and_name_the_model(encode: Encode, iris: VersionInfo, kind: AnswerKind, read: Any) -> None:
    table = read(encode(iris, OUTPUTS, kind).body)
    assert table.column("n").to_pylist() == [2**63 + 1, 5]
    assert table.column("t").to_pylist() == ["grüße", "a,b"]
    np.testing.assert_array_equal(np.array(table.column("p").to_pylist(), np.float32), OUTPUTS["p"])
    assert table.schema.metadata[b"model"] == b"iris"
    assert table.schema.metadata[b"version"] == b"3"


def test_rows_without_values_are_empty_lists(encode: Encode, iris: VersionInfo) -> None:
    raw = encode(iris, {"p": np.zeros((2, 0), np.float32)}, AnswerKind.ARROW).body
    assert pa.ipc.open_stream(raw).read_all().to_pydict() == {"p": [[], []]}


def test_msgpack_has_nan_and_bytes_as_themselves(encode: Encode, iris: VersionInfo) -> None:
    outputs = {**OUTPUTS, "raw": np.array([[b"\xff", b"r"]], object)}
    document = msgspec.msgpack.decode(encode(iris, outputs, AnswerKind.MESSAGE_PACK).body)
    assert (document["model"], document["version"]) == ("iris", 3)
    assert document["outputs"]["raw"] == [[b"\xff", b"r"]]
    assert document["outputs"]["t"] == ["grüße", "a,b"]
    np.testing.assert_array_equal(np.array(document["outputs"]["p"]), OUTPUTS["p"].astype(float))


def test_npz_has_an_array_for_each_output(encode: Encode, iris: VersionInfo) -> None:
    outputs = {name: OUTPUTS[name] for name in ("p", "n")}
    with np.load(BytesIO(encode(iris, outputs, AnswerKind.NPZ).body)) as found:
        assert sorted(found) == ["n", "p"]
        np.testing.assert_array_equal(found["p"], OUTPUTS["p"])
    with pytest.raises(RequestError, match="text where it promised numbers"):
        encode(iris, OUTPUTS, AnswerKind.NPZ)


@pytest.mark.parametrize("outputs", [{"p": np.ones((2, 3)), "q": np.ones(3)}, {"p": np.array(1.0)}])
def test_outputs_without_common_rows_are_one_row(encode: Encode, iris: VersionInfo, outputs: Any) -> None:
    (line,) = encode(iris, outputs, AnswerKind.JSON_LINES).body.splitlines()
    assert orjson.loads(line) == {name: array.tolist() for name, array in outputs.items()}


def test_a_model_without_rows_gives_one_row(encode: Encode, version_info: Build) -> None:
    version = version_info([("x", "FP32", (2,))], [("p", "FP32", (2,))], has_batch_dimension=False)
    assert encode(version, {"p": np.array([1.0, 2.0])}, AnswerKind.CSV).body == b"p_0,p_1\r\n1.0,2.0\r\n"


def test_elements_come_as_they_are(encode: Encode, iris: VersionInfo) -> None:
    words = encode(iris, {"t": OUTPUTS["t"]}, AnswerKind.TEXT)
    assert (words.body, words.content_type) == ("grüße\na,b".encode(), "text/plain; charset=utf-8")
    for start, content_type in [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"RIFF1234WEBP", "image/webp"),
    ]:
        picture = encode(iris, {"t": np.array([start], object)}, AnswerKind.IMAGE)
        assert (picture.body, picture.content_type) == (start, content_type)


@pytest.mark.parametrize("outputs", [[b"no picture"], [b"\xff\xd8\xff"] * 2, [1.5]])
def test_what_is_no_picture_is_not_acceptable(encode: Encode, iris: VersionInfo, outputs: Any) -> None:
    array = np.array(outputs, object if isinstance(outputs[0], bytes) else None)
    with pytest.raises(RequestError) as caught:
        encode(iris, {"t": array}, AnswerKind.IMAGE)
    assert caught.value.code is Code.NOT_ACCEPTABLE


def test_large_answers_are_written_apart(iris: VersionInfo, call: Callable[..., Call]) -> None:
    route = NativeWire().predict_route(b"POST", b"/api/v1/models/m/predict")
    assert route is not None
    request = NativeRequest(iris, "serving_default", None, None, 1, (), None, "inputs", AnswerKind.CSV)
    response = InferResponse(iris, {"p": np.zeros((10_000, 3), np.float32)}, None)
    with pytest.raises(TakesLong) as caught:
        route.encode(response, request, call(request_id="r-7"))
    assert caught.value.work().body.count(b"\r\n") == 10_001


def test_mlflow_s_clients_get_predictions(encode: Encode, iris: VersionInfo) -> None:
    one = encode(iris, {"p": np.array([[0.5, np.nan]])}, AnswerKind.JSON, "invocations")
    assert one.body == b'{"predictions":[[0.5,null]]}'
    several = encode(iris, {"p": np.array([1, 2]), "t": OUTPUTS["t"]}, AnswerKind.JSON, "invocations")
    assert orjson.loads(several.body) == {"predictions": [{"p": 1, "t": "grüße"}, {"p": 2, "t": "a,b"}]}
    assert pa.ipc.open_stream(encode(iris, OUTPUTS, AnswerKind.ARROW, "invocations").body).read_all().num_rows == 2


def test_mlflow_s_clients_send_nulls_for_nan(iris: VersionInfo, exchange: Callable[..., Any]) -> None:
    route = NativeWire().predict_route(b"POST", b"/api/v1/models/m/invocations")
    assert route is not None
    body = b'{"dataframe_split":{"columns":["a","b","c","d"],"data":[[1,null,3,4]]}}'
    request = route.decode(exchange(body, headers={"Content-Type": "application/json"}), iris)
    assert request.inputs is not None
    np.testing.assert_array_equal(request.inputs["x"].data, [[1, np.nan, 3, 4]])
    assert route.burst_codec(exchange(body, headers={"Content-Type": "application/json"}), iris) is None
