from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

RGB = ("UINT8", [-1, -1, -1, 3])
ACCEPT = {"datatype": "UINT8", "shape": [-1, 1, 1, 3], "layout": "NHWC"}


@pytest.fixture
def pixel(convert: Any, elements: Any, encoded: Any) -> Any:
    """The first pixel of a picture of one colour after some steps."""

    def run(colour: Any, *steps: Any, mode: str = "RGB", takes: Any = RGB) -> list[int]:
        picture = elements(encoded(Image.new("RGBA", (2, 2), colour)))
        result: list[int] = convert([{"decode_image": mode}, *steps], picture, takes)[0, 0, 0].tolist()
        return result

    return run


def test_grey_has_one_channel(pixel: Any) -> None:
    takes = ("UINT8", [-1, -1, -1, 1])
    assert pixel((255, 0, 0, 9), "grey", takes=takes) == [76]
    assert pixel((0, 255, 0, 9), "grey", takes=takes, mode="RGBA") == [150]
    assert pixel((7, 7, 7, 9), "grey", takes=takes, mode="L") == [7]


def test_invert_turns_dark_into_light_and_leaves_transparency(pixel: Any) -> None:
    assert pixel((255, 0, 10, 9), "invert") == [0, 255, 245]
    assert pixel((255, 0, 10, 9), "invert", mode="RGBA", takes=("UINT8", [-1, -1, -1, 4])) == [0, 255, 245, 9]
    assert pixel((9, 9, 9, 9), "invert", mode="L", takes=("UINT8", [-1, -1, -1, 1])) == [246]


def test_invert_works_on_bytes_of_pixels_too(convert: Any) -> None:
    array = np.array([[0, 255, 10]], np.uint8)
    assert convert(["invert"], array, ("UINT8", [-1, 3])).tolist() == [[255, 0, 245]]


def test_a_digit_on_paper_becomes_white_on_black(pixel: Any) -> None:
    assert pixel((255, 255, 255, 255), "grey", "invert", {"resize": [1, 1]}, takes=("UINT8", [-1, 1, 1, 1])) == [0]


def test_colour_order_turns_rgb_round(pixel: Any) -> None:
    assert pixel((1, 2, 3, 255), {"colour_order": "BGR"}) == [3, 2, 1]
    assert pixel((1, 2, 3, 255), {"colour_order": "RGB"}) == [1, 2, 3]
    assert pixel((1, 2, 3, 255), {"colour_order": "BGR"}, {"colour_order": "RGB"}) == [1, 2, 3]


def test_colour_order_follows_the_channels(convert: Any) -> None:
    array = np.array([1, 2, 3], np.uint8).reshape(1, 1, 1, 3)
    steps = [{"accept": ACCEPT}, {"layout": "CHW"}, {"colour_order": "BGR"}]
    assert convert(steps, array, ("UINT8", [-1, 3, 1, 1])).ravel().tolist() == [3, 2, 1]


def test_layout_moves_the_channels_both_ways(convert: Any) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    accept = {"datatype": "UINT8", "shape": [-1, 2, 4, 3], "layout": "NHWC"}
    first = convert([{"accept": accept}, {"layout": "NCHW"}], array, ("UINT8", [-1, 3, 2, 4]))
    assert np.array_equal(first, array.transpose(0, 3, 1, 2))
    accept = {"datatype": "UINT8", "shape": [-1, 3, 2, 4], "layout": "NCHW"}
    assert np.array_equal(convert([{"accept": accept}, {"layout": "NHWC"}], first, ("UINT8", [-1, 2, 4, 3])), array)
    assert np.array_equal(convert([{"accept": accept}, {"layout": "NCHW"}], first, ("UINT8", [-1, 3, 2, 4])), first)


def test_channels_must_be_known(input_error: Any) -> None:
    for step in ({"layout": "NCHW"}, {"colour_order": "BGR"}):
        error = input_error([step], ("FP32", [-1, 3, 8, 8]))
        assert error.message.endswith(": does not know where the channels of FP32 [-1, 3, 8, 8] are")
        assert error.fix == "Begin with decode_image, or with accept and its layout."


def test_colour_order_needs_three_channels(input_error: Any) -> None:
    error = input_error([{"decode_image": "L"}, {"colour_order": "BGR"}], RGB)
    assert error.message == "colour_order: needs images with 3 channels but gets UINT8 [-1, -1, -1, 1]"
    assert error.where == ["inputs", 0, "convert", 1]
