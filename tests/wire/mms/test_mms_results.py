"""What models answer, as MMS clients expect it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from salver.errors import Code, RequestError
from salver.operations.base import Answer, Call
from salver.types import BodyResult, InferRequest, InferResponse, Ranking, VersionInfo
from salver.wire.torchserve.addresses import Asked
from salver.wire.torchserve.dialect import MMS
from salver.wire.torchserve.inference import MmsPredictRoute

Build = Callable[..., VersionInfo]

USUAL = (
    ("x-request-id", "request-1"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache; no-store, must-revalidate, private"),
    ("Expires", "Thu, 01 Jan 1970 00:00:00 UTC"),
)


@pytest.fixture
def answer(version_info: Build, call: Callable[..., Call]) -> Callable[..., Answer]:
    """`answer(outputs or body result, rows=)`: the route's answer."""

    def build(result: dict[str, Any] | BodyResult, rows: int = 1, **version: Any) -> Answer:
        info = version_info([("x", "FP32", (-1,))], **version)
        outputs, body = (None, result) if isinstance(result, BodyResult) else (result, None)
        request = InferRequest(info, "serving_default", None, None, rows, None)
        return MmsPredictRoute(Asked("m"), None, "mms", MMS).encode(InferResponse(info, outputs, body), request, call())

    return build


def objects(*values: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


Make = Callable[..., Answer]


# Handlers


def test_a_handlers_bytes_go_out_as_they_are_without_a_content_type_and_without_a_phrase(answer: Make) -> None:
    found = answer(BodyResult(b"\xffraw"))
    assert found == Answer(200, b"\xffraw", content_type=None, headers=USUAL, phrase="", close=False)


def test_a_handler_sets_status_phrase_content_type_and_headers(answer: Make) -> None:
    result = BodyResult(b"x", "image/png", 201, "Made", {"X-Mine": "1"})
    assert answer(result) == Answer(
        201, b"x", content_type="image/png", headers=(*USUAL, ("X-Mine", "1")), phrase="Made", close=False
    )


def test_a_content_type_among_the_headers_counts_as_one(answer: Make) -> None:
    assert answer(BodyResult(b"", headers={"content-Type": "text/x"})).content_type == "text/x"


def test_a_status_of_an_error_closes_the_connection_and_keeps_the_handlers_body(answer: Make) -> None:
    found = answer(BodyResult(b"mine", status=404, phrase="no"))
    assert (found.status, found.body, found.close) == (404, b"mine", True)


def test_a_status_that_has_no_body_gets_none(answer: Make) -> None:
    assert answer(BodyResult(b"x", status=204)).body == b""


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "CONNECTION", "Pragma", "X-Request-Id", "Expires"]
)
def test_a_handler_cannot_set_what_the_server_sets(name: str, answer: Make) -> None:
    assert answer(BodyResult(b"x", headers={name: "9"})).headers == USUAL


@pytest.mark.parametrize(
    "result",
    [
        BodyResult(b"", status=99),
        BodyResult(b"", status=101),
        BodyResult(b"", status=600),
        BodyResult(b"", phrase="OK\r\nX-Injected: 1"),
        BodyResult(b"", headers={"X-Mine": "1\nX-Injected: 1"}),
        BodyResult(b"", headers={"X Mine": "1"}),
        BodyResult(b"", headers={"": "1"}),
        BodyResult(b"", headers={"Content-Type": "a\0b"}),
        BodyResult(b"", content_type="text/plain\r\nX-Injected: 1"),
    ],
)
def test_what_is_no_http_is_the_models_fault(result: BodyResult, answer: Make) -> None:
    with pytest.raises(RequestError) as caught:
        answer(result)
    assert caught.value.code is Code.OUTPUT_INVALID


# Tensors


def test_a_ranking_of_one_row_is_a_list_of_classes_highest_first(answer: Make) -> None:
    ranking = Ranking(classes="classes", probabilities="probabilities")
    outputs = {
        "classes": objects(b"n02123159 tiger cat", b"n02124075 Egyptian cat", shape=(1, 2)),
        "probabilities": np.array([[0.41, 0.266]], np.float32),
    }
    found = answer(outputs, ranking=ranking)
    assert (found.status, found.content_type, found.phrase, found.headers) == (200, "application/json", "", USUAL)
    assert found.body == (
        b'[\n  {\n    "class": "n02123159 tiger cat",\n    "probability": 0.41\n  },\n'
        b'  {\n    "class": "n02124075 Egyptian cat",\n    "probability": 0.266\n  }\n]\n'
    )


def test_rankings_of_several_rows_are_a_list_of_such_lists(answer: Make) -> None:
    outputs = {"c": objects(b"a", b"b", shape=(2, 1)), "p": np.array([[0.5], [0.25]], np.float32)}
    found = answer(outputs, 2, ranking=Ranking(classes="c", probabilities="p"))
    assert json.loads(found.body) == [[{"class": "a", "probability": 0.5}], [{"class": "b", "probability": 0.25}]]


def test_a_ranking_of_a_model_without_rows_is_one_list(answer: Make) -> None:
    outputs = {"c": np.array([3, 1]), "p": np.array([0.5, 0.25])}
    found = answer(outputs, ranking=Ranking(classes="c", probabilities="p"), has_batch_dimension=False)
    assert json.loads(found.body) == [{"class": 3, "probability": 0.5}, {"class": 1, "probability": 0.25}]


@pytest.mark.parametrize(
    ("outputs", "rows", "expected"),
    [
        ({"y": np.array([1.5], np.float32)}, 1, 1.5),
        ({"y": np.array([[1, 2]])}, 1, [1, 2]),
        ({"y": np.array([[1, 2], [3, 4]])}, 2, [[1, 2], [3, 4]]),
        ({"y": objects(b"a", shape=(1,))}, 1, "a"),
        ({"y": objects(b"a", "\xfc".encode(), shape=(2,))}, 2, ["a", "ü"]),
        ({"y": objects(b"\xff", shape=(1, 1))}, 1, [{"b64": "/w=="}]),
        ({"y": np.array([1]), "z": np.array([[True, False]])}, 1, {"y": 1, "z": [True, False]}),
        ({"y": np.array([1, 2]), "z": objects(b"a", b"b", shape=(2,))}, 2, [{"y": 1, "z": "a"}, {"y": 2, "z": "b"}]),
        ({"y": np.arange(6.0).reshape(2, 3).T[:2]}, 2, [[0, 3], [1, 4]]),
        ({"y": np.array([[np.nan, np.inf]])}, 1, [None, None]),
    ],
)
def test_one_row_answers_with_its_value_and_several_with_a_list(
    outputs: dict[str, Any], rows: int, expected: Any, answer: Make
) -> None:
    assert json.loads(answer(outputs, rows).body) == expected


def test_float32_prints_as_short_as_it_reads_back(answer: Make) -> None:
    assert answer({"y": np.array([0.1], np.float32)}).body == b"0.1\n"


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"y": np.array([[1, 2], [3, 4]])}, [[1, 2], [3, 4]]),
        ({"y": np.array(7)}, 7),
        ({"y": np.array(7), "z": np.array([8])}, {"y": 7, "z": [8]}),
    ],
)
def test_a_model_without_rows_answers_with_its_outputs_whole(
    outputs: dict[str, Any], expected: Any, answer: Make
) -> None:
    assert json.loads(answer(outputs, has_batch_dimension=False).body) == expected


def test_values_that_json_has_not_are_the_models_fault(answer: Make) -> None:
    with pytest.raises(RequestError, match="Unsupported model output data type") as caught:
        answer({"y": np.array([[1j]])})
    assert caught.value.code is Code.OUTPUT_INVALID
