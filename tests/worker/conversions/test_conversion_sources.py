from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from salver_worker.errors import InputError


def test_accept_says_what_callers_send(input_plan: Any) -> None:
    accept = {"datatype": "UINT8", "shape": [-1, 28, 28]}
    plan = input_plan([{"accept": accept}, {"scale": 0.5}, "flatten"], ("FP32", [-1, 784]))
    assert plan.signature["inputs"] == [{"name": "x", **accept}]
    result = plan.convert_inputs({"x": np.full((2, 28, 28), 3, np.uint8)})["x"]
    assert result.shape == (2, 784)
    assert (result == 1.5).all()


@pytest.mark.parametrize(
    ("parameters", "message", "where"),
    [
        (
            {"datatype": "FP32", "shape": [-1, 3], "layout": "NHWC"},
            "accept: layout needs a shape with 4 dimensions, but shape has 2",
            ["accept", "layout"],
        ),
        (
            {"datatype": "FP32", "shape": []},
            "accept: shape must be a list of positive integers, rows first; -1 where the size is free, not []",
            ["accept", "shape"],
        ),
        ({"shape": [-1]}, "accept: needs datatype: one of ", []),
    ],
)
def test_accept_must_be_complete(input_error: Any, parameters: Any, message: str, where: Any) -> None:
    error = input_error([{"accept": parameters}], ("FP32", [-1, 3]))
    assert error.message.startswith(message)
    assert error.where == ["inputs", 0, "convert", 0, *where]


def test_columns_make_one_input_for_each(input_plan: Any, elements: Any) -> None:
    columns = ["age", {"name": "rooms", "datatype": "INT64"}, {"name": "sex", "categories": {"male": 0, "female": 1}}]
    plan = input_plan([{"columns": columns}], ("FP32", [-1, 3]))
    assert plan.signature["inputs"] == [
        {"name": "age", "datatype": "FP64", "shape": [-1]},
        {"name": "rooms", "datatype": "INT64", "shape": [-1]},
        {"name": "sex", "datatype": "BYTES", "shape": [-1]},
    ]
    arrays = {"age": np.array([3.5, 4]), "rooms": np.array([1, 2]), "sex": elements("male", " female")}
    result = plan.convert_inputs(arrays)["x"]
    assert (result.dtype, result.tolist()) == (np.float32, [[3.5, 1, 0], [4, 2, 1]])


def test_columns_of_one_datatype_keep_it(input_plan: Any) -> None:
    columns = [{"name": name, "datatype": "INT64"} for name in "ab"]
    plan = input_plan([{"columns": columns}], ("INT64", [-1, 2]))
    assert plan.convert_inputs({"a": np.array([1]), "b": np.array([2])})["x"].tolist() == [[1, 2]]


def test_columns_must_have_the_same_rows(input_plan: Any, elements: Any) -> None:
    plan = input_plan([{"columns": ["a", "b"]}], ("FP64", [-1, 2]))
    with pytest.raises(InputError, match='input "x": b has 1 rows but a has 2'):
        plan.convert_inputs({"a": np.zeros(2), "b": np.zeros(1)})
    with pytest.raises(InputError, match='the input "b" is missing'):
        plan.convert_inputs({"a": np.zeros(2)})


def test_a_category_that_is_not_known_names_column_and_row(input_plan: Any, elements: Any) -> None:
    plan = input_plan([{"columns": [{"name": "sex", "categories": {"male": 0}}]}], ("FP64", [-1, 1]))
    with pytest.raises(InputError, match=r'input "x", row 1: column sex: \'other\' is not one of male'):
        plan.convert_inputs({"sex": elements("male", "other")})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], "must be a list of names, or of tables with name, datatype and categories, not []"),
        ("a", 'must be a list of names, or of tables with name, datatype and categories, not "a"'),
        ([3], "must be a list of names, or of tables with name, datatype and categories, not [3]"),
        ([{"datatype": "FP32"}], "must be a list of names"),
        ([{"name": "a", "type": "FP32"}], "must be a list of names"),
        ([{"name": "a", "datatype": "FLOAT"}], "must be a list of names"),
        ([{"name": "a", "categories": {"x": "y"}}], "must be a list of names"),
        ([{"name": "a", "categories": 3}], "must be a list of names"),
        (["a", "a"], "has the same name twice"),
        (
            [{"name": "a", "datatype": "BYTES"}],
            "has the column a, which must have categories when its datatype is BYTES, and only then",
        ),
        ([{"name": "a", "datatype": "FP32", "categories": {"x": 1}}], "has the column a, which must have categories"),
    ],
)
def test_columns_must_be_declared_rightly(input_error: Any, columns: Any, message: str) -> None:
    error = input_error([{"columns": columns}], ("FP64", [-1, 1]))
    assert error.message.startswith(f"columns: columns {message}")
    assert error.where == ["inputs", 0, "convert", 0, "columns"]


def test_a_model_of_one_row_tells_every_column_so(input_plan: Any) -> None:
    plan = input_plan([{"columns": ["a", "b"]}], ("FP64", [1, 2]))
    assert [spec["shape"] for spec in plan.signature["inputs"]] == [[1], [1]]
