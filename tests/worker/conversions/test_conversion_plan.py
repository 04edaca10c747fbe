from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from salver_worker.conversions.plan import ConversionError, ConversionPlan, OutputError
from salver_worker.errors import InputError

A = {"name": "a", "datatype": "FP32", "shape": [-1, 2]}
B = {"name": "b", "datatype": "FP32", "shape": [-1]}
Y = {"name": "y", "datatype": "FP32", "shape": [-1, 3]}
Z = {"name": "z", "datatype": "INT64", "shape": [-1]}


def bind(inputs: list[Any], outputs: list[Any], takes: Any = (A,), gives: Any = (Y,), **more: Any) -> ConversionPlan:
    return ConversionPlan.bind({"inputs": takes, "outputs": gives, **more}, inputs, outputs, "")


def refusal(*arguments: Any, **more: Any) -> ConversionError:
    with pytest.raises(ConversionError) as caught:
        bind(*arguments, **more)
    return caught.value


def test_without_rows_the_plan_is_the_models_own_signature() -> None:
    plan = ConversionPlan.bind({"inputs": [A, B], "outputs": [Y]}, None, None, "")
    arrays = {"anything": np.zeros(1)}
    assert plan.is_identity
    assert plan.signature == {"inputs": [A, B], "outputs": [Y], "ranking": None}
    assert plan.convert_inputs(arrays) is arrays
    assert plan.convert_outputs(arrays) is arrays


def test_inputs_that_no_row_feeds_keep_the_names_of_their_columns() -> None:
    named = {**A, "columns": ["tall", "wide"]}
    assert bind([], [], (named, B)).signature["inputs"] == [named, B]
    assert bind([{"name": "c", "feeds": "a", "convert": []}], [], (named,)).signature["inputs"] == [{**A, "name": "c"}]


def test_a_ranking_that_the_runtime_reports_stays_while_there_are_no_output_rows() -> None:
    ranking = {"classes": "y", "probabilities": "z"}
    assert bind([], [], ranking=ranking).signature["ranking"] == ranking
    assert bind([], [{"reads": "y"}], ranking=ranking).signature["ranking"] is None


def test_rows_that_change_nothing_leave_the_plan_an_identity() -> None:
    assert bind([{"name": "a"}], [{"reads": "y", "name": "y", "convert": []}]).is_identity


def test_a_row_without_steps_renames() -> None:
    plan = bind([{"name": "features", "feeds": "a"}], [{"name": "scores"}])
    array = np.ones((1, 2), np.float32)
    assert not plan.is_identity
    assert [spec["name"] for spec in plan.signature["inputs"] + plan.signature["outputs"]] == ["features", "scores"]
    assert plan.convert_inputs({"features": array})["a"] is array
    assert list(plan.convert_outputs({"y": np.ones((1, 3), np.float32)})) == ["scores"]


def test_inputs_that_no_row_feeds_stay_as_they_are() -> None:
    plan = bind([{"name": "c", "feeds": "a", "convert": [{"scale": 2}]}], [], takes=(A, B))
    assert [spec["name"] for spec in plan.signature["inputs"]] == ["c", "b"]
    given = plan.convert_inputs({"c": np.ones((1, 2), np.float32), "b": np.ones(1, np.float32)})
    assert {name: array.tolist() for name, array in given.items()} == {"a": [[2.0, 2.0]], "b": [1.0]}
    assert list(plan.convert_outputs({"y": np.ones((1, 3))})) == ["y"]


def test_an_optional_input_of_the_model_may_be_left_out() -> None:
    plan = bind([{"name": "c", "feeds": "a"}], [], takes=(A, B))
    assert list(plan.convert_inputs({"c": np.ones((1, 2), np.float32)})) == ["a"]


def test_outputs_that_no_row_reads_are_dropped() -> None:
    plan = bind([], [{"reads": "y"}], gives=(Y, Z))
    assert not plan.is_identity
    assert plan.signature["outputs"] == [Y]
    assert list(plan.convert_outputs({"y": np.ones((1, 3)), "z": np.ones(1)})) == ["y"]


def test_several_rows_may_read_one_output() -> None:
    plan = bind([], [{"reads": "y", "convert": [{"top_k": 1}]}, {"reads": "y", "name": "raw"}])
    answers = plan.convert_outputs({"y": np.array([[1, 3, 2]], np.float32)})
    assert {name: array.tolist() for name, array in answers.items()} == {
        "classes": [[1]],
        "probabilities": [[3.0]],
        "raw": [[1.0, 3.0, 2.0]],
    }
    assert plan.signature["ranking"] == {"classes": "classes", "probabilities": "probabilities"}


def test_one_callers_input_may_feed_several_of_the_models() -> None:
    takes = (A, {**A, "name": "b"})
    rows = [{"name": "c", "feeds": "a"}, {"name": "c", "feeds": "b", "convert": [{"scale": -1}]}]
    plan = bind(rows, [], takes=takes)
    given = plan.convert_inputs({"c": np.ones((1, 2), np.float32)})
    assert [spec["name"] for spec in plan.signature["inputs"]] == ["c"]
    assert given["a"].tolist() == [[1.0, 1.0]]
    assert given["b"].tolist() == [[-1.0, -1.0]]


def test_rows_may_swap_two_names() -> None:
    takes = (A, {**A, "name": "b"})
    plan = bind([{"name": "b", "feeds": "a"}, {"name": "a", "feeds": "b"}], [], takes=takes)
    one, two = np.ones((1, 2), np.float32), np.zeros((1, 2), np.float32)
    given = plan.convert_inputs({"a": one, "b": two})
    assert given["a"] is two
    assert given["b"] is one


def test_an_input_that_the_model_does_not_have_is_refused() -> None:
    plan = bind([{"name": "c", "feeds": "a"}], [])
    with pytest.raises(InputError, match='the model has no input "d"; it takes c'):
        plan.convert_inputs({"d": np.ones(1)})


def test_a_missing_input_is_refused() -> None:
    with pytest.raises(InputError, match='the input "c" is missing'):
        bind([{"name": "c", "feeds": "a"}], []).convert_inputs({})


@pytest.mark.parametrize("array", [np.ones((1, 2)), np.ones((1, 3), np.float32), np.ones(2, np.float32)])
def test_an_input_must_be_what_the_signature_says(array: Any) -> None:
    plan = bind([{"name": "c", "feeds": "a"}], [])
    with pytest.raises(InputError, match=r'input "c" must be FP32 \[-1, 2\], not float'):
        plan.convert_inputs({"c": array})


def test_bf16_is_held_as_float32() -> None:
    plan = bind([{"name": "c", "feeds": "a", "convert": [{"scale": 2}]}], [], takes=({**A, "datatype": "BF16"},))
    assert plan.signature["inputs"] == [{**A, "name": "c", "datatype": "BF16"}]
    result = plan.convert_inputs({"c": np.ones((1, 2), np.float32)})["a"]
    assert (result.dtype, result.tolist()) == (np.float32, [[2.0, 2.0]])


def test_an_output_that_the_model_does_not_give_is_an_output_error() -> None:
    with pytest.raises(OutputError, match='the model gave no output "y"'):
        bind([], [{"name": "scores"}]).convert_outputs({})


def test_an_output_of_another_shape_is_an_output_error() -> None:
    plan = bind([], [{"convert": [{"scale": 2}]}])
    with pytest.raises(OutputError, match=r'output "y" with shape \[1, 4\], but its signature says FP32 \[-1, 3\]'):
        plan.convert_outputs({"y": np.ones((1, 4))})


def test_a_value_that_cannot_be_converted_is_an_output_error_with_its_row() -> None:
    plan = bind([], [{"name": "level", "convert": [{"cast": "UINT8"}]}])
    with pytest.raises(OutputError, match=r'output "level", row 1: a value does not fit UINT8'):
        plan.convert_outputs({"y": np.array([[1, 2, 3], [4, 5, 600]], np.float32)})


@pytest.mark.parametrize(
    ("inputs", "outputs", "message", "where"),
    [
        ([{"name": "c", "feeds": "aa"}], [], 'the model has no input "aa"; did you mean "a"?', ["inputs", 0, "feeds"]),
        ([], [{"reads": "q"}], 'the model has no output "q"', ["outputs", 0, "reads"]),
        ([{"nam": "c"}], [], 'there is no key "nam"; did you mean "name"?', ["inputs", 0, "nam"]),
        ([{"name": 3}], [], "name must be a name", ["inputs", 0, "name"]),
        ([{"name": ""}], [], "name must be a name", ["inputs", 0, "name"]),
        ([], [{"reads": ["y"]}], "reads must be a name", ["outputs", 0, "reads"]),
        (
            [{"name": "c", "feeds": "a"}, {"name": "d", "feeds": "a"}],
            [],
            'two rows feed the model\'s input "a"',
            ["inputs", 1],
        ),
        ([], [{"reads": "y"}, {"reads": "y"}], 'two outputs would be called "y"', ["outputs", 1]),
        (
            [],
            [{"reads": "y", "name": "classes"}, {"reads": "y", "convert": [{"top_k": 1}]}],
            'two outputs would be called "classes"',
            ["outputs", 1],
        ),
    ],
)
def test_a_wrong_row_is_refused_with_its_place(inputs: Any, outputs: Any, message: str, where: Any) -> None:
    error = refusal(inputs, outputs)
    assert error.message == message
    assert str(error) == message
    assert error.where == where
    assert error.fix


def test_a_row_must_say_which_of_several_inputs_it_feeds() -> None:
    error = refusal([{"name": "c"}], [], takes=(A, B))
    assert error.message == "the model has 2 inputs, so the row must say which one it feeds"
    assert error.where == ["inputs", 0]
    assert error.fix == 'Add feeds = "...". The model\'s inputs: a, b.'


def test_a_model_that_declares_nothing_has_nothing_to_bind_to() -> None:
    error = refusal([], [{"name": "scores"}], gives=())
    assert error.message == "the model does not say which outputs it has"
    assert error.where == ["outputs", 0]


def test_a_row_with_the_name_of_one_of_several_outputs_reads_it() -> None:
    assert bind([], [{"name": "z"}], gives=(Y, Z)).signature["outputs"] == [Z]


def test_a_name_must_not_be_that_of_another_input_of_the_model() -> None:
    error = refusal([{"name": "b", "feeds": "a"}], [], takes=(A, {**A, "name": "b"}))
    assert error.message == 'the name "b" stands for two different inputs'
    assert error.where == ["inputs", 0]


def test_a_name_must_not_mean_two_datatypes() -> None:
    rows = [{"name": "c", "feeds": "a"}, {"name": "c", "feeds": "b"}]
    assert refusal(rows, [], takes=(A, B)).message == 'the name "c" stands for two different inputs'


def test_a_row_that_the_server_fills_with_nothing_counts_as_empty() -> None:
    assert bind([{"name": "a", "feeds": None, "convert": None}], []).is_identity


def test_errors_of_a_step_name_the_input_and_the_row(elements: Callable[..., Any]) -> None:
    plan = bind([{"name": "line", "convert": ["csv"]}], [])
    with pytest.raises(InputError, match=r"^input \"line\", row 1: column 1: 'x' is not a number$"):
        plan.convert_inputs({"line": elements("1,2", "1,x")})
