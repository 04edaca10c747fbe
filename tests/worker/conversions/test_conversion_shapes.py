from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver_worker.conversions.plan import ConversionPlan, OutputError


def test_flatten_makes_one_line_of_each_row(answer: Any, output_plan: Any) -> None:
    array = np.arange(12).reshape(2, 2, 3)
    assert answer(["flatten"], array, ("INT64", [-1, 2, 3])).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert output_plan(["flatten"], ("INT64", [-1, 2, 3])).signature["outputs"][0]["shape"] == [-1, 6]
    assert output_plan(["flatten"], ("INT64", [-1, 2, -1])).signature["outputs"][0]["shape"] == [-1, -1]
    assert output_plan(["flatten"], ("INT64", [-1])).signature["outputs"][0]["shape"] == [-1, 1]


def test_flatten_of_no_rows_is_no_rows(answer: Any) -> None:
    assert answer(["flatten"], np.zeros((0, 2, 3)), ("FP64", [-1, 2, 3])).shape == (0, 6)


def test_images_can_be_flattened(convert: Any, elements: Any, encoded: Any) -> None:
    from PIL import Image

    picture = elements(encoded(Image.new("L", (2, 2), 9)))
    steps = [{"decode_image": "L"}, {"resize": [2, 2]}, "flatten"]
    assert convert(steps, picture, ("FP32", [-1, 4])).tolist() == [[9, 9, 9, 9]]


@pytest.mark.parametrize(
    ("shape", "result"), [([2, 3], [-1, 2, 3]), ([-1, 2], [-1, 3, 2]), ([6], [-1, 6]), ([1, -1, 6], [-1, 1, 1, 6])]
)
def test_reshape_keeps_the_rows(output_plan: Any, shape: Any, result: Any) -> None:
    plan = output_plan([{"reshape": shape}], ("FP32", [-1, 3, 2]))
    assert plan.signature["outputs"][0]["shape"] == result
    assert plan.convert_outputs({"y": np.zeros((4, 3, 2), np.float32)})["y"].shape == (4, *result[1:])


def test_reshape_to_nothing_gives_single_values(answer: Any) -> None:
    assert answer([{"reshape": []}], np.array([[1.0], [2.0]]), ("FP64", [-1, 1])).tolist() == [1, 2]


@pytest.mark.parametrize("shape", [[4], [-1, 4], []])
def test_a_row_must_have_the_values_of_its_new_shape(output_error: Any, shape: Any) -> None:
    error = output_error([{"reshape": {"shape": shape}}], ("FP32", [-1, 3, 2]))
    assert error.message == f"reshape: a row has 6 values, which do not make {shape}"
    assert error.where == ["outputs", 0, "convert", 0, "reshape", "shape"]


@pytest.mark.parametrize("shape", [[-1, -1], [0], ["a"], 3, [True]])
def test_a_shape_must_be_a_list_of_sizes(output_error: Any, shape: Any) -> None:
    message = output_error([{"reshape": shape}], ("FP32", [-1, 6])).message
    assert message in (
        "reshape: shape can have one -1 only",
        f"reshape: shape must be a list of positive integers, one of which may be -1, not {shape}".replace(
            "'", '"'
        ).replace("True", "true"),
    )


def test_values_that_were_not_known_are_counted_at_run_time(answer: Any) -> None:
    gives = ("FP32", [-1, -1])
    assert answer([{"reshape": [2, -1]}], np.zeros((3, 4)), gives).shape == (3, 2, 2)
    assert answer([{"reshape": [2, 2]}], np.zeros((3, 4)), gives).shape == (3, 2, 2)
    with pytest.raises(OutputError, match=r'output "y": a row has 5 values, which do not make \[2, 2\]'):
        answer([{"reshape": [2, 2]}], np.zeros((3, 5)), gives)


@pytest.mark.parametrize("step", ["flatten", {"reshape": [1]}])
def test_a_value_without_rows_has_no_shape_to_change(output_error: Any, step: Any) -> None:
    assert "needs a row dimension but gets FP32 []" in output_error([step], ("FP32", [])).message


@pytest.mark.parametrize(
    ("parameters", "result"),
    [
        (1, [8.0, 5.0]),
        ([2, 0], [[9.0, 7.0], [6.0, 4.0]]),
        ({"name": "b", "labels": ["a", "b", "c"]}, [8.0, 5.0]),
        ({"name": ["c", "a"], "labels": ["a", "b", "c"]}, [[9.0, 7.0], [6.0, 4.0]]),
    ],
)
def test_select_takes_places_by_number_or_name(output_plan: Any, parameters: Any, result: Any) -> None:
    plan = output_plan([{"select": parameters}], ("FP32", [-1, 3]))
    array = plan.convert_outputs({"y": np.array([[7, 8, 9], [4, 5, 6]], np.float32)})["y"]
    assert array.tolist() == result
    assert plan.signature["outputs"][0]["shape"] == [-1, *array.shape[1:]]


@pytest.mark.parametrize(
    ("parameters", "message", "where"),
    [
        ({}, "select: needs either index or name", []),
        ({"index": 1, "name": "a"}, "select: needs either index or name", []),
        ({"name": "a"}, "select: needs labels to know where a name stands", ["select", "name"]),
        (
            {"name": "aa", "labels": ["a", "b"]},
            'select: "aa" is not in the list of labels; did you mean "a"?',
            ["select", "name"],
        ),
        ({"name": "q", "labels": ["a", "b"]}, 'select: "q" is not in the list of labels', ["select", "name"]),
        ({"index": [0, 3]}, "select: place 3 does not exist: the last dimension has 3", ["select", "index"]),
        (
            {"name": "d", "labels": list("abcd")},
            "select: place 3 does not exist: the last dimension has 3",
            ["select", "name"],
        ),
        ({"index": -1}, "select: index must be a whole number from 0, or a list of them, not -1", ["select", "index"]),
        ({"index": []}, "select: index must be a whole number from 0, or a list of them, not []", ["select", "index"]),
        ({"name": 3}, "select: name must be a name, or a list of names, not 3", ["select", "name"]),
    ],
)
def test_select_must_find_its_places(output_error: Any, parameters: Any, message: str, where: Any) -> None:
    error = output_error([{"select": parameters}], ("FP32", [-1, 3]))
    assert error.message == message
    assert error.where == ["outputs", 0, "convert", 0, *where]


def test_select_needs_a_dimension(output_error: Any) -> None:
    assert (
        output_error([{"select": 0}], ("FP32", [])).message == "select: needs at least one dimension but gets FP32 []"
    )


def test_select_checks_a_dimension_that_was_not_known(answer: Any) -> None:
    assert answer([{"select": 1}], np.array([[1, 2]]), ("INT64", [-1, -1])).tolist() == [2]
    with pytest.raises(OutputError, match="place 1 does not exist: the last dimension has 1"):
        answer([{"select": 1}], np.array([[1]]), ("INT64", [-1, -1]))


@given(st.integers(0, 3), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_flatten_and_reshape_undo_each_other(rows: int, row: list[int]) -> None:
    spec = {"name": "y", "datatype": "INT64", "shape": [-1, *row]}
    steps = ["flatten", {"reshape": row}]
    plan = ConversionPlan.bind({"inputs": [], "outputs": [spec]}, [], [{"convert": steps}], "")
    array = np.arange(rows * int(np.prod(row))).reshape(rows, *row)
    assert np.array_equal(plan.convert_outputs({"y": array})["y"], array)
    assert plan.signature["outputs"] == [spec]
