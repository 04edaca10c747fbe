"""JSON bodies as tensors."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import orjson
import pytest

from salver.errors import Code, RequestError
from salver.serving.payload import body_to_inputs
from salver.types import Part, Signature, Tensor, TensorSpec


def signature(*inputs: tuple[str, str, tuple[int, ...]]) -> Signature:
    specs = tuple(TensorSpec(name=name, datatype=datatype, shape=shape) for name, datatype, shape in inputs)
    return Signature(inputs=specs, outputs=())


IRIS = signature(("x", "FP32", (-1, 4)))
PAIR = signature(("a", "INT32", (-1, 2)), ("b", "FP64", (-1,)))
WORDS = signature(("text", "BYTES", (-1,)))
ROW = [5.0, 3.5, 1.5, 0.25]


def convert(document: Any, of: Signature, content_type: str = "application/json") -> tuple[dict[str, Tensor], int]:
    raw = document if isinstance(document, bytes) else orjson.dumps(document)
    return body_to_inputs([Part("body", content_type, raw)], of)


def refusal(document: Any, of: Signature) -> str:
    with pytest.raises(RequestError) as caught:
        convert(document, of)
    assert caught.value.code is Code.INVALID_INPUT
    return caught.value.message


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [ROW, ROW]},
        {"instances": [{"x": ROW}, {"x": ROW}]},
        {"inputs": [ROW, ROW]},
        {"inputs": {"x": [ROW, ROW]}},
        {"x": [ROW, ROW]},
        [ROW, ROW],
    ],
)
def test_every_form_of_two_rows_gives_the_same_tensor(document: Any) -> None:
    inputs, rows = convert(document, IRIS)
    assert rows == 2
    assert inputs["x"].datatype == "FP32"
    assert inputs["x"].shape == (2, 4)
    np.testing.assert_array_equal(inputs["x"].data, np.array([ROW, ROW], np.float32))
    assert inputs["x"].data.dtype == np.float32


def test_a_single_row_may_come_without_the_dimension_of_rows() -> None:
    inputs, rows = convert(ROW, IRIS)
    assert (rows, inputs["x"].shape) == (1, (1, 4))


def test_any_json_subtype_is_read_as_json() -> None:
    assert convert([ROW], IRIS, "application/vnd.api+json; charset=utf-8")[1] == 1


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [{"a": [1, 2], "b": 0.5}, {"a": [3, 4], "b": 1}]},
        {"inputs": {"a": [[1, 2], [3, 4]], "b": [0.5, 1]}},
        {"a": [[1, 2], [3, 4]], "b": [0.5, 1]},
    ],
)
def test_several_inputs_come_by_row_by_column_or_by_name(document: Any) -> None:
    inputs, rows = convert(document, PAIR)
    assert rows == 2
    assert inputs["a"].data.tolist() == [[1, 2], [3, 4]]
    assert inputs["b"].data.tolist() == [0.5, 1.0]
    assert list(inputs) == ["a", "b"]


def test_text_and_base64_fill_a_bytes_input() -> None:
    encoded = base64.b64encode(b"\xff\x00").decode()
    inputs, rows = convert(["grüße", {"b64": encoded}], WORDS)
    assert rows == 2
    assert inputs["text"] == Tensor("BYTES", (2,), ["grüße".encode(), b"\xff\x00"])


@pytest.mark.parametrize("document", [{"b64": "/wA="}, {"instances": [{"b64": "/wA="}]}, {"inputs": {"b64": "/wA="}}])
def test_a_lone_base64_object_is_a_value_and_not_a_name(document: Any) -> None:
    inputs, rows = convert(document, WORDS)
    assert (rows, inputs["text"].data) == (1, [b"\xff\x00"])


def test_an_input_may_itself_be_named_like_the_forms() -> None:
    odd = signature(("instances", "INT64", (-1,)), ("inputs", "INT64", (-1,)), ("b64", "INT64", (-1,)))
    inputs, _ = convert({"instances": [1], "inputs": [2], "b64": [3]}, odd)
    assert [tensor.data.tolist() for tensor in inputs.values()] == [[1], [2], [3]]


def test_a_model_without_rows_takes_its_shape_and_counts_one_row() -> None:
    inputs, rows = convert([[1, 2], [3, 4]], signature(("m", "INT8", (2, 2))))
    assert (rows, inputs["m"].shape) == (1, (2, 2))


def test_a_scalar_fills_an_input_without_dimensions() -> None:
    inputs, rows = convert({"inputs": 3}, signature(("s", "FP64", ())))
    assert (rows, inputs["s"].data.tolist()) == (1, 3.0)


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("BOOL", [True, False]),
        ("UINT8", [0, 255]),
        ("INT8", [-128, 127]),
        ("UINT64", [0, 2**64 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("FP16", [0.5, -2]),
    ],
)
def test_values_at_the_edge_of_a_datatype_stay_what_they_are(datatype: str, values: list[Any]) -> None:
    inputs, _ = convert(values, signature(("v", datatype, (-1,))))
    assert inputs["v"].data.tolist() == values


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"", "not JSON"),
        (b"[1, NaN, 2, 3]", "not JSON"),
        (b"[" * 5000, "not JSON"),
        ([[1, 2, 3, 4], [1, 2, 3]], "different lengths or depths at level 2"),
        ([[1, 2, 3, 4], 5], "different lengths or depths at level 2"),
        ([[1, 2, 3]], "has the shape [1, 3]; the model takes [-1, 4]"),
        ([[[[1]]]], "has the shape [1, 1, 1]"),
        ([1, 2, 3, [4]], "takes FP32 values and holds a list"),
        ([1, 2, "3", 4], "takes FP32 values and holds text"),
        ([1, 2, None, 4], "takes FP32 values and holds null"),
        ([1, 2, {"b64": ""}, 4], "takes FP32 values and holds an object"),
        ([1e39, 2, 3, 4], "FP32 cannot"),
        ([], "no values"),
        ({"instances": []}, "at least one row"),
        ({"instances": {"x": 1}}, "at least one row"),
        ({"instances": [ROW], "signature_name": "s"}, "Beside 'instances' the body holds 'signature_name'"),
        ({"inputs": [ROW], "id": 1}, "Beside 'inputs' the body holds 'id'"),
        ({"y": [ROW]}, "takes the inputs 'x'; in the body: 'x' missing, 'y' unknown"),
        ({"x": [ROW], "y": 1}, "in the body: 'y' unknown"),
        ({"instances": [{"x": ROW}, {}]}, "in the body: 'x' missing"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(document: Any, words: str) -> None:
    assert words in refusal(document, IRIS)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"a": [[1, 2]], "b": [1, 2]}, "differ in their number of rows: 'a' has 1, 'b' has 2"),
        ({"a": [[1, 2.5]], "b": [1]}, "takes whole numbers and holds a number with a fraction in row 0"),
        ({"a": [[1, 2**31]], "b": [1]}, "outside INT32 (-2147483648 to 2147483647)"),
        ({"a": [[1, -(2**31) - 1]], "b": [1]}, "outside INT32"),
        ([[1, 2]], "takes 2 inputs (a, b); the body holds a list"),
        ({"instances": [[1, 2]]}, "takes 2 inputs"),
    ],
)
def test_several_inputs_that_do_not_fit_are_refused_in_words(document: Any, words: str) -> None:
    assert words in refusal(document, PAIR)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([1], "takes text or"),
        ([{"b64": "?"}], "not base64"),
        ([{"b64": 1}], "holds an object in row 0"),
        ({"inputs": [{"b64": "", "x": ""}]}, "holds an object"),
    ],
)
def test_what_is_no_text_is_refused_for_a_bytes_input(document: Any, words: str) -> None:
    assert words in refusal(document, WORDS)


def test_numbers_cannot_fill_a_bfloat16_input() -> None:
    assert "only raw bytes can fill" in refusal([1.0], signature(("h", "BF16", (-1,))))


def test_lists_of_any_depth_fit_an_input_of_unknown_rank() -> None:
    free = Signature(inputs=(TensorSpec(name="x", datatype="INT32", shape=(-1,), has_rank=False),), outputs=())
    tensors, rows = convert({"inputs": {"x": [[[1]], [[2]]]}}, free)
    assert (tensors["x"].shape, rows) == ((2, 1, 1), 1)
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    assert "takes INT32 values and holds a list" in refusal({"inputs": {"x": deep}}, free)
