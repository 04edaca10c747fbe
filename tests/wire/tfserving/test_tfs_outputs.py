"""Outputs become `predictions` or `outputs`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from salver.errors import RequestError
from salver.types import InferResponse, VersionInfo
from salver.wire.tfserving import TfServingWire

Build = Callable[..., VersionInfo]
Encode = Callable[..., Any]

ROW = {"instances": [1.0]}
COLUMN = {"inputs": [1.0]}


def strings(*elements: bytes) -> Any:
    array = np.empty(len(elements), object)
    array[:] = elements
    return array


@pytest.fixture
def version(version_info: Build) -> VersionInfo:
    return version_info([("x", "FP32", (-1,))])


def test_one_output_stands_without_its_name(encode: Encode, version: VersionInfo) -> None:
    output = {"y": np.array([[0.5, 3.0]], np.float32)}
    assert encode(version, ROW, output) == {"predictions": [[0.5, 3.0]]}
    assert encode(version, COLUMN, output) == {"outputs": [[0.5, 3.0]]}


def test_several_outputs_are_objects(encode: Encode, version: VersionInfo) -> None:
    outputs = {
        "label": strings(b"a", b"b"),
        "number": np.array([1, 2]),
        "scores": np.array([[0.1, 0.9], [0.25, 0.75]], np.float32),
    }
    rows = [
        {"label": "a", "number": 1, "scores": [0.1, 0.9]},
        {"label": "b", "number": 2, "scores": [0.25, 0.75]},
    ]
    columns = {"label": ["a", "b"], "number": [1, 2], "scores": [[0.1, 0.9], [0.25, 0.75]]}
    assert encode(version, ROW, outputs) == {"predictions": rows}
    assert encode(version, COLUMN, outputs) == {"outputs": columns}


def test_one_row_of_several_outputs_is_one_object(encode: Encode, version: VersionInfo) -> None:
    numbers = {"label": np.array([2]), "scores": np.array([[0.5, 0.25]], np.float32), "is_new": np.array([True])}
    row = {"label": 2, "scores": [0.5, 0.25], "is_new": True}
    assert encode(version, ROW, numbers) == {"predictions": [row]}
    assert encode(version, ROW, {**numbers, "name": strings(b"a")}) == {"predictions": [{**row, "name": "a"}]}
    backwards = {"a": np.array([[1, 2]], ">f4"), "b": np.array([[[1, 3], [2, 4]]]).transpose(0, 2, 1)}
    assert encode(version, ROW, backwards) == {"predictions": [{"a": [1, 2], "b": [[1, 2], [3, 4]]}]}


def test_single_precision_prints_its_own_digits(
    route: Callable[..., Any], decode: Callable[..., Any], call: Callable[..., Any], version: VersionInfo
) -> None:
    response = InferResponse(version, {"a": np.array([0.1], np.float32), "b": np.array([3.0])})
    body = route().encode(response, decode(version, ROW), call()).body
    assert body == b'{"predictions":[{"a":0.1,"b":3.0}]}'


def test_what_json_cannot_write_is_null(encode: Encode, version: VersionInfo) -> None:
    array = np.array([math.nan, math.inf, -math.inf, 1.0], np.float32)
    assert encode(version, ROW, {"y": array}) == {"predictions": [None, None, None, 1.0]}
    assert encode(version, ROW, {"y": array, "z": array.astype("f8")})["predictions"][0] == {"y": None, "z": None}


def test_strings_are_text_and_bytes_by_suffix_are_b64(encode: Encode, version: VersionInfo) -> None:
    array = strings("é".encode(), b"\xff")
    assert encode(version, ROW, {"y": array}) == {"predictions": ["é", {"b64": "/w=="}]}
    assert encode(version, ROW, {"y_bytes": array}) == {"predictions": [{"b64": "w6k="}, {"b64": "/w=="}]}
    nested = array.reshape(1, 2)
    assert encode(version, COLUMN, {"y_bytes": nested}) == {"outputs": [[{"b64": "w6k="}, {"b64": "/w=="}]]}


def test_the_suffix_means_nothing_for_numbers(encode: Encode, version: VersionInfo) -> None:
    assert encode(version, ROW, {"size_bytes": np.array([7])}) == {"predictions": [7]}


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1, 2], [3, 4]], ">f4"),
        np.array([[1, 3], [2, 4]], np.float32).T,
        np.array([[1, 2], [3, 4]], np.float16),
        np.array([[1, 2], [3, 4]], np.uint8),
    ],
)
def test_every_layout_is_written(encode: Encode, version: VersionInfo, array: Any) -> None:
    assert encode(version, ROW, {"y": array}) == {"predictions": [[1, 2], [3, 4]]}


@pytest.mark.parametrize("value", [np.array(1.5), np.array(b"a", object)])
def test_a_single_value_has_a_column_form_alone(encode: Encode, version: VersionInfo, value: Any) -> None:
    assert encode(version, COLUMN, {"y": value}) == {"outputs": 1.5 if value.dtype != object else "a"}
    with pytest.raises(RequestError, match=r"^Tensor name: y has no shape information  \["):
        encode(version, ROW, {"y": value})


def test_rows_must_be_as_many_in_every_output(encode: Encode, version: VersionInfo) -> None:
    outputs = {"a": np.zeros(2), "b": np.zeros(3)}
    with pytest.raises(RequestError, match=r"^Tensor name: b has inconsistent batch size: 3 expecting: 2 "):
        encode(version, ROW, outputs)
    assert encode(version, COLUMN, outputs) == {"outputs": {"a": [0, 0], "b": [0, 0, 0]}}


def test_cross_origin_headers_ride_on_every_answer(
    exchange: Callable[..., Any], call: Callable[..., Any], version: VersionInfo
) -> None:
    wire = TfServingWire(max_body_bytes=1000, allow_cors=True)
    route = wire.predict_route(b"POST", b"/v1/models/m:predict")
    assert route is not None
    request = route.decode(exchange(b'{"instances":[1]}'), version)
    answer = route.encode(InferResponse(version, {"y": np.zeros(1)}), request, call())
    assert ("Access-Control-Allow-Origin", "*") in answer.headers
