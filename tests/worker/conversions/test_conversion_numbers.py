from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver_worker.conversions.flow import numpy_type
from salver_worker.conversions.plan import ConversionPlan, OutputError
from salver_worker.errors import InputError


def accept(datatype: str, *shape: int) -> dict[str, Any]:
    return {"accept": {"datatype": datatype, "shape": list(shape)}}


def test_scale_multiplies_and_adds(answer: Any) -> None:
    array = np.array([[0, 128, 255]], np.uint8)
    result = answer([{"scale": {"by": 0.5, "offset": 1}}], array, ("UINT8", [-1, 3]))
    assert (result.dtype, result.tolist()) == (np.float32, [[1.0, 65.0, 128.5]])


@pytest.mark.parametrize(
    ("datatype", "wide"),
    [("BOOL", "FP32"), ("INT16", "FP32"), ("FP16", "FP32"), ("FP32", "FP32"), ("INT32", "FP64"), ("FP64", "FP64")],
)
def test_scale_computes_in_a_type_that_holds_the_values(output_plan: Any, datatype: str, wide: str) -> None:
    plan = output_plan([{"scale": 2}], (datatype, [-1]))
    assert plan.signature["outputs"][0]["datatype"] == wide
    assert plan.convert_outputs({"y": np.ones(1, numpy_type(datatype))})["y"].dtype == numpy_type(wide)


def test_normalize_takes_the_mean_away_and_divides(answer: Any) -> None:
    array = np.array([[10, 20]], np.float32)
    steps = [{"normalize": {"mean": [1, 2], "std": [3, 9]}}]
    assert answer(steps, array, ("FP32", [-1, 2])).tolist() == [[3.0, 2.0]]
    assert answer([{"normalize": {"mean": 10}}], array, ("FP32", [-1, 2])).tolist() == [[0.0, 10.0]]
    assert array.tolist() == [[10, 20]]


@pytest.mark.parametrize(("layout", "shape"), [("NHWC", [-1, 2, 2, 3]), ("NCHW", [-1, 3, 2, 2])])
def test_normalize_follows_the_channels(convert: Any, layout: str, shape: list[int]) -> None:
    array = np.zeros([1, *shape[1:]], np.uint8)
    steps = [
        {"accept": {"datatype": "UINT8", "shape": shape, "layout": layout}},
        {"normalize": {"mean": [1, 2, 3]}},
        {"layout": "NCHW"},
    ]
    assert convert(steps, array, ("FP32", [-1, 3, 2, 2]))[0, :, 0, 0].tolist() == [-1, -2, -3]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            [{"decode_image": "L"}, {"normalize": {"mean": [1, 2, 3]}}],
            "normalize: mean has 3 values but the image has 1 channel",
        ),
        (["decode_image", {"normalize": {"std": [1, 2]}}], "normalize: std has 2 values but the image has 3 channels"),
        (
            [accept("FP32", -1, 4), {"normalize": {"mean": [1, 2]}}],
            "normalize: mean has 2 values but a row of FP32 [-1, 4] has 4",
        ),
        (
            [accept("FP32", -1), {"normalize": {"mean": [1, 2]}}],
            "normalize: mean has 2 values but a row of FP32 [-1] has 1",
        ),
        (["decode_image", {"normalize": {"std": [1, 0, 1]}}], "normalize: std must not be 0"),
        (
            ["decode_image", {"normalize": {"mean": []}}],
            "normalize: mean must be a number, or a list with one number for each channel, not []",
        ),
    ],
)
def test_normalize_must_meet_the_channels(input_error: Any, steps: Any, message: str) -> None:
    error = input_error(steps, ("FP32", [-1, 4]))
    assert error.message == message
    assert error.where[:4] == ["inputs", 0, "convert", 1]
    assert error.where[4:6] in (["normalize", "mean"], ["normalize", "std"])


def test_normalize_checks_channels_that_were_not_known(convert: Any, elements: Any) -> None:
    steps = ["csv", {"normalize": {"mean": [1, 2]}}]
    assert convert(steps, elements("1,2"), ("FP32", [-1, -1])).tolist() == [[0, 0]]
    with pytest.raises(InputError, match="2 channels are needed, not 1"):
        convert(steps, elements("1"), ("FP32", [-1, -1]))


def test_clip_keeps_the_datatype(answer: Any) -> None:
    floats = answer([{"clip": {"min": 0.5, "max": 2}}], np.array([0, 1, 9], np.float32), ("FP32", [-1]))
    assert (floats.dtype, floats.tolist()) == (np.float32, [0.5, 1, 2])
    whole = answer([{"clip": {"min": -5, "max": 999}}], np.array([0, 255], np.uint8), ("UINT8", [-1]))
    assert (whole.dtype, whole.tolist()) == (np.uint8, [0, 255])
    assert answer([{"clip": {"max": 3}}], np.array([0, 255], np.uint8), ("UINT8", [-1])).tolist() == [0, 3]
    assert answer([{"clip": {"min": 3}}], np.array([0, 255], np.int64), ("INT64", [-1])).tolist() == [3, 255]


@pytest.mark.parametrize(
    ("datatype", "parameters", "message", "where"),
    [
        ("FP32", {}, "clip: needs min, max or both", []),
        ("FP32", {"min": 2, "max": 1}, "clip: min is above max", ["clip", "min"]),
        ("INT32", {"min": 0.5}, "clip: min and max must be whole numbers for INT32", []),
        ("BOOL", {"min": 0}, "clip: cannot clip BOOL", []),
    ],
)
def test_clip_needs_bounds_that_make_sense(
    output_error: Any, datatype: str, parameters: Any, message: str, where: Any
) -> None:
    error = output_error([{"clip": parameters}], (datatype, [-1]))
    assert error.message == message
    assert error.where == ["outputs", 0, "convert", 0, *where]


def test_cast_gives_the_datatype_or_refuses_the_value(convert: Any) -> None:
    steps = [accept("FP64", -1), {"cast": "INT64"}]
    assert convert(steps, np.array([1.9, -1.9]), ("INT64", [-1])).tolist() == [1, -1]
    with pytest.raises(InputError, match='input "x", row 1: a value does not fit INT64'):
        convert(steps, np.array([1.0, np.nan]), ("INT64", [-1]))


def test_cast_has_no_text(output_error: Any) -> None:
    assert output_error([{"cast": "BYTES"}], ("FP32", [-1])).message.startswith("cast: datatype must be one of ")


def test_round_keeps_some_digits(answer: Any) -> None:
    array = np.array([0.12345, 2.5, 3e38, np.inf, np.nan], np.float32)
    result = answer([{"round": 2}], array, ("FP32", [-1]))
    expected = np.array([0.12, 2.5, 3e38, np.inf, np.nan], np.float32)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, expected)
    assert answer([{"round": 15}], np.array([1e300]), ("FP64", [-1])).tolist() == [1e300]


def test_threshold_gives_whole_numbers_or_others(answer: Any) -> None:
    array = np.array([0.4, 0.5, np.nan], np.float32)
    whole = answer([{"threshold": 0.5}], array, ("FP32", [-1]))
    assert (whole.dtype, whole.tolist()) == (np.int64, [0, 1, 0])
    other = answer([{"threshold": {"at": 0.5, "above": 1.5, "below": -1}}], array, ("FP32", [-1]))
    assert (other.dtype, other.tolist()) == (np.float32, [-1, 1.5, -1])


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=4), st.floats(-10, 10), st.floats(0.1, 10))
def test_scale_and_normalize_undo_each_other(values: list[float], offset: float, by: float) -> None:
    spec = {"name": "y", "datatype": "FP64", "shape": [-1]}
    steps = [{"scale": {"by": by, "offset": offset}}, {"normalize": {"mean": offset, "std": by}}]
    plan = ConversionPlan.bind({"inputs": [], "outputs": [spec]}, [], [{"convert": steps}], "")
    np.testing.assert_allclose(plan.convert_outputs({"y": np.array(values)})["y"], values, rtol=1e-6, atol=1e-6)


def test_numbers_that_text_is_not_are_output_errors(answer: Any) -> None:
    with pytest.raises(OutputError):
        answer([{"cast": "UINT8"}], np.array([300]), ("INT64", [-1]))
