from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver_worker.conversions.casting import cast
from salver_worker.conversions.errors import RowError
from salver_worker.conversions.flow import Flow, numpy_type
from salver_worker.errors import InputError

ACCEPT = {"datatype": "UINT8", "shape": [-1, 4, 5, 3], "layout": "NHWC"}


def test_a_safe_cast_needs_no_step(convert: Callable[..., Any]) -> None:
    result = convert(
        [{"accept": ACCEPT}, {"layout": "NCHW"}], np.full((2, 4, 5, 3), 7, np.uint8), ("FP32", [-1, 3, 4, 5])
    )
    assert (result.dtype, result.shape, result.flags.c_contiguous) == (np.float32, (2, 3, 4, 5), True)


@pytest.mark.parametrize(
    ("have", "want"), [("UINT8", "INT32"), ("FP64", "FP16"), ("INT64", "FP32"), ("BOOL", "UINT8"), ("UINT8", "BF16")]
)
def test_casts_that_lose_no_whole_number_are_made(convert: Callable[..., Any], have: str, want: str) -> None:
    array = np.ones((1, 2), numpy_type(have))
    result = convert([{"accept": {"datatype": have, "shape": [-1, 2]}}], array, (want, [-1, 2]))
    assert result.dtype == numpy_type(want)
    assert result.tolist() == [[1, 1]]


@pytest.mark.parametrize(("have", "want"), [("FP32", "INT64"), ("INT64", "INT32")])
def test_other_casts_must_be_written(input_error: Callable[..., Any], have: str, want: str) -> None:
    error = input_error([{"accept": {"datatype": have, "shape": [-1, 2]}}], (want, [-1, 2]))
    assert error.message == f"the steps give {have} [-1, 2] but the model's input x takes {want} [-1, 2]"
    assert error.where == ["inputs", 0, "convert"]
    assert error.fix == f'Add {{ cast = "{want}" }} at the end.'


def test_a_wrong_layout_is_told_with_the_step_that_mends_it(input_error: Callable[..., Any]) -> None:
    error = input_error([{"accept": ACCEPT}], ("FP32", [-1, 3, 4, 5]))
    assert error.message == "the steps give UINT8 [-1, 4, 5, 3] but the model's input x takes FP32 [-1, 3, 4, 5]"
    assert error.fix == 'Add { layout = "NCHW" } at the end.'
    first = {**ACCEPT, "shape": [-1, 3, 4, 5], "layout": "NCHW"}
    assert input_error([{"accept": first}], ("FP32", [-1, 4, 5, 3])).fix == 'Add { layout = "NHWC" } at the end.'


@pytest.mark.parametrize("steps", [[{"accept": ACCEPT}], [{"accept": ACCEPT}, "flatten"]])
def test_a_wrong_shape_is_told_with_both_shapes(input_error: Callable[..., Any], steps: Any) -> None:
    error = input_error(steps, ("FP32", [-1, 3, 6, 6]))
    assert "resize, layout, flatten or reshape" in error.fix


def test_text_for_a_model_of_numbers_is_refused(input_error: Callable[..., Any]) -> None:
    error = input_error(["text"], ("FP32", [-1]))
    assert error.message == "the steps give BYTES [-1] but the model's input x takes FP32 [-1]"
    assert error.fix == "Add the steps that turn BYTES into FP32."


def test_a_size_that_is_known_only_at_run_time_is_checked_then(
    convert: Callable[..., Any], elements: Callable[..., Any]
) -> None:
    takes = ("FP32", [-1, 3])
    assert convert(["csv"], elements("1,2,3"), takes).tolist() == [[1, 2, 3]]
    with pytest.raises(
        InputError, match=r"the shape is \[1, 2\] after the steps, but the model's input x takes \[-1, 3\]"
    ):
        convert(["csv"], elements("1,2"), takes)


def test_a_model_of_one_row_tells_callers_so(input_plan: Callable[..., Any], elements: Callable[..., Any]) -> None:
    plan = input_plan([{"csv": ["p", "q"]}], ("FP64", [1, 2]))
    assert plan.signature["inputs"] == [{"name": "x", "datatype": "BYTES", "shape": [1]}]
    assert plan.convert_inputs({"x": elements("1,2")})["x"].tolist() == [[1, 2]]
    with pytest.raises(InputError, match=r'input "x" must be BYTES \[1\], not object \[2\]'):
        plan.convert_inputs({"x": elements("1,2", "3,4")})


def test_a_model_without_rows_takes_one(input_plan: Callable[..., Any], elements: Callable[..., Any]) -> None:
    plan = input_plan([{"csv": ["p", "q"]}], ("FP64", [2]))
    assert plan.signature["inputs"][0]["shape"] == [1]
    assert plan.convert_inputs({"x": elements("1,2")})["x"].tolist() == [1, 2]


def test_a_declared_shape_with_too_many_rows_for_a_model_without_rows_is_refused(convert: Callable[..., Any]) -> None:
    steps = [{"accept": {"datatype": "FP32", "shape": [2, 3]}}]
    with pytest.raises(InputError, match="the model takes one row at a time, not 2"):
        convert(steps, np.ones((2, 3), np.float32), ("FP32", [3]))


def test_a_model_that_takes_a_single_value_takes_it_of_one_row(convert: Callable[..., Any]) -> None:
    steps = [{"accept": {"datatype": "FP32", "shape": [-1]}}]
    result = convert(steps, np.ones(1, np.float32), ("FP32", []))
    assert result.shape == ()
    assert convert([{"scale": 2}], np.array(1, np.float32), ("FP32", [])) == 2


def test_a_flow_is_described_in_words() -> None:
    assert str(Flow("FP32", (-1, 3))) == "FP32 [-1, 3]"
    assert str(Flow("UINT8", (-1, -1, -1, 3), True, 3, "RGB")) == "RGB images of any size"
    assert str(Flow("UINT8", (-1, 2, 4, 1), True, 3, "L")) == "L images of 2 x 4"


@given(
    st.sampled_from(["BOOL", "UINT8", "INT8", "INT32", "INT64", "UINT64"]),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5),
)
def test_a_cast_to_whole_numbers_keeps_the_value_or_refuses_it(datatype: str, values: list[int]) -> None:
    if datatype == "BOOL":
        assert cast(np.array(values), "BOOL").tolist() == [value != 0 for value in values]
        return
    limits = np.iinfo(numpy_type(datatype))
    if all(limits.min <= value <= limits.max for value in values):
        assert cast(np.array(values, np.int64), datatype).tolist() == values
    else:
        with pytest.raises(RowError, match=f"a value does not fit {datatype}"):
            cast(np.array(values, np.int64), datatype)


@given(st.lists(st.floats(width=32), min_size=1, max_size=5))
def test_a_cast_of_floats_cuts_fractions_off_or_refuses(values: list[float]) -> None:
    array = np.array(values, np.float32)
    if all(-1 < value < 256 for value in values):
        assert cast(array, "UINT8").tolist() == [int(value) for value in values]
    else:
        with pytest.raises(RowError) as caught:
            cast(array, "UINT8")
        assert caught.value.row == next(row for row, value in enumerate(values) if not -1 < value < 256)


def test_a_cast_of_floats_that_overflow_is_refused_but_infinity_stays() -> None:
    assert cast(np.array([np.inf, 1.0]), "FP32").tolist() == [np.inf, 1.0]
    with pytest.raises(RowError, match="a value does not fit FP16") as caught:
        cast(np.array([[1.0], [1e5]]), "FP16")
    assert caught.value.row == 1
    with pytest.raises(RowError) as alone:
        cast(np.array(1e300), "FP32")
    assert alone.value.row is None


def test_a_cast_of_nothing_and_of_truth() -> None:
    assert cast(np.empty((0, 2)), "UINT8").shape == (0, 2)
    assert cast(np.array([True]), "UINT8").tolist() == [1]
    assert cast(np.array([True]), "FP32").tolist() == [1.0]
