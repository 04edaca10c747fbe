from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from salver_worker.conversions.crop import centre_box
from salver_worker.conversions.pillow import pillow_image
from salver_worker.conversions.resize import bilinear_without_antialias, shorter_side_to
from salver_worker.errors import InputError

RGB = ("UINT8", [-1, -1, -1, 3])
GREY = ("UINT8", [-1, -1, -1, 1])


@pytest.fixture
def through(convert: Callable[..., Any], elements: Callable[..., Any], encoded: Callable[..., bytes]) -> Any:
    """The pixels of an image after some steps."""

    def run(pixels: Any, *steps: Any, mode: str = "RGB") -> Any:
        image = Image.fromarray(np.asarray(pixels, np.uint8))
        takes = GREY if mode == "L" else RGB
        return convert([{"decode_image": mode}, *steps], elements(encoded(image)), takes)[0]

    return run


@pytest.fixture
def noise() -> Any:
    return np.random.default_rng(3).integers(0, 256, (30, 50, 3), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_stretching_is_pillows_own(through: Any, noise: Any, mode: str) -> None:
    expected = Image.fromarray(noise).resize((20, 10), Image.Resampling[mode.upper()])
    assert np.array_equal(through(noise, {"resize": {"size": [10, 20], "mode": mode}}), np.asarray(expected))


def test_one_number_is_the_shorter_side(through: Any, noise: Any) -> None:
    assert through(noise, {"resize": 15}).shape == (15, 25, 3)
    assert through(noise.transpose(1, 0, 2), {"resize": 15}).shape == (25, 15, 3)
    assert through(noise, {"center_crop": [8, 4]}, {"resize": 2}).shape == (4, 2, 3)


def test_the_known_size_of_the_shorter_side_is_told_at_once(input_plan: Any) -> None:
    plan = input_plan(["decode_image", {"crop": [0, 0, 8, 4]}, {"resize": 2}], ("UINT8", [-1, 4, 2, 3]))
    assert plan.signature["inputs"][0]["datatype"] == "BYTES"


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_the_shorter_side_gets_its_length_and_the_other_is_not_shorter(height: int, width: int, length: int) -> None:
    result = shorter_side_to(length, (height, width))
    assert min(result) == length
    assert (result[0] <= result[1]) if height <= width else (result[0] >= result[1])


def test_cover_cuts_off_what_is_too_much(through: Any) -> None:
    stripes = np.zeros((2, 6, 3))
    stripes[:, 2:4] = 200
    assert (through(stripes, {"resize": {"size": [2, 2], "keep": "cover"}}) == 200).all()
    assert through(stripes, {"resize": {"size": [7, 3], "keep": "cover"}}).shape == (7, 3, 3)


def test_contain_adds_a_border_of_the_colour(through: Any) -> None:
    white = np.full((2, 4, 3), 255)
    padded = through(white, {"resize": {"size": [4, 4], "keep": "contain", "pad": [1, 2, 3]}})
    assert padded[0, 0].tolist() == padded[3, 3].tolist() == [1, 2, 3]
    assert (padded[1:3] == 255).all()
    assert through(white, {"resize": {"size": [4, 4], "keep": "contain", "pad": 9}})[0, 0].tolist() == [9, 9, 9]
    grey = through(white, {"resize": {"size": [4, 4], "keep": "contain", "pad": 9}}, mode="L")
    assert grey[0, 0].tolist() == [9]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30), st.integers(1, 30))
def test_cover_and_contain_give_the_size_for_any_image(height: int, width: int, high: int, wide: int) -> None:
    from salver_worker.conversions.resize import Resizer

    image = Image.new("RGB", (width, height))
    for keeps in ("cover", "contain"):
        resizer = Resizer(pillow_image(), lambda one, size: one.resize(size[::-1]), (high, wide), keeps, (0, 0, 0))
        assert resizer.images([image])[0].size == (wide, high)


def test_a_sliver_does_not_grow_to_gigabytes(through: Any) -> None:
    with pytest.raises(InputError, match=r"row 0: the image of 1 x 5000 would grow to 256 x 1280000 pixels"):
        through(np.zeros((1, 5000, 3)), {"resize": 256})


def test_without_antialias_only_four_pixels_count(through: Any) -> None:
    lines = np.zeros((1, 8, 3))
    lines[:, 3:5] = 100
    plain = {"resize": {"size": [1, 2], "antialias": False}}
    assert through(lines, plain)[0, :, 0].tolist() == [0, 0]
    assert through(lines, {"resize": [1, 2]})[0, :, 0].tolist() != [0, 0]
    assert through(lines, plain, mode="L")[0, :, 0].tolist() == [0, 0]
    assert through(lines, {"resize": {"size": [1, 2], "antialias": False, "mode": "nearest"}}).shape == (1, 2, 3)


def test_bilinear_without_antialias_gives_the_known_values() -> None:
    sample = bilinear_without_antialias(pillow_image())
    row = Image.fromarray(np.array([[0, 100]], np.uint8))
    assert np.asarray(sample(row, (1, 4))).tolist() == [[0, 25, 75, 100]]
    assert np.asarray(sample(row, (3, 1))).tolist() == [[50], [50], [50]]


@given(st.integers(1, 20), st.integers(1, 20))
def test_bilinear_without_antialias_is_pillows_where_the_image_grows(height: int, width: int) -> None:
    pixels = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    ours = np.asarray(bilinear_without_antialias(pillow_image())(image, (height * 2, width * 3))).astype(int)
    theirs = np.asarray(image.resize((width * 3, height * 2), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize(
    ("parameters", "message", "where"),
    [
        ({"size": 8, "keep": "cover"}, 'resize: keep = "cover" needs size = [height, width]', ["size"]),
        (
            {"size": 8, "mode": "bicubic", "antialias": False},
            'resize: antialias = false goes with mode "bilinear" or "nearest", not with "bicubic"',
            ["antialias"],
        ),
        ({"size": 8, "pad": [1, 2, 3, 4]}, "resize: pad has 4 values but the images have 3 channels", ["pad"]),
        (
            {"size": 8, "pad": 256},
            "resize: pad must be a whole number from 0 to 255, or a list with one for each channel, not 256",
            ["pad"],
        ),
        (
            {"size": 8, "keep": "crop"},
            'resize: keep must be one of "stretch", "cover", "contain", not "crop"',
            ["keep"],
        ),
    ],
)
def test_parameters_that_do_not_go_together(input_error: Any, parameters: Any, message: str, where: Any) -> None:
    error = input_error(["decode_image", {"resize": parameters}], RGB)
    assert error.message == message
    assert error.where == ["inputs", 0, "convert", 1, "resize", *where]


def test_a_pad_of_three_values_for_grey_images(input_error: Any) -> None:
    error = input_error([{"decode_image": "L"}, {"resize": {"size": 8, "pad": [1, 2, 3]}}], GREY)
    assert error.message == "resize: pad has 3 values but the images have 1 channel"


def test_center_crop_takes_the_middle_or_adds_black(through: Any, noise: Any) -> None:
    assert np.array_equal(through(noise, {"center_crop": [10, 20]}), noise[10:20, 15:35])
    assert through(noise, {"center_crop": 4}).shape == (4, 4, 3)
    padded = through(np.full((1, 2, 3), 9), {"center_crop": [3, 4]})
    assert padded[..., 0].tolist() == [[0, 0, 0, 0], [0, 9, 9, 0], [0, 0, 0, 0]]


@given(st.tuples(st.integers(1, 99), st.integers(1, 99)), st.tuples(st.integers(1, 99), st.integers(1, 99)))
def test_the_middle_has_the_size_and_lies_in_the_middle(have: tuple[int, int], want: tuple[int, int]) -> None:
    left, top, right, bottom = centre_box(have, want)
    assert (bottom - top, right - left) == want
    assert abs(top - (have[0] - bottom)) <= 1
    assert abs(left - (have[1] - right)) <= 1


def test_crop_takes_the_part(through: Any, noise: Any) -> None:
    assert np.array_equal(through(noise, {"crop": [2, 3, 4, 5]}), noise[2:6, 3:8])


@pytest.mark.parametrize("box", [[28, 0, 3, 1], [0, 48, 1, 3]])
def test_a_crop_beyond_the_image_is_refused(through: Any, noise: Any, box: Any) -> None:
    with pytest.raises(InputError, match=r"row 0: the image is 30 x 50, smaller than the"):
        through(noise, {"crop": box})


def test_a_crop_beyond_a_known_size_is_an_error_of_the_manifest(input_error: Any) -> None:
    error = input_error(["decode_image", {"resize": [8, 8]}, {"crop": {"box": [0, 4, 2, 5]}}], RGB)
    assert error.message == "crop: box reaches to 2 x 9 but the images are 8 x 8"
    assert error.where == ["inputs", 0, "convert", 2, "crop", "box"]


@pytest.mark.parametrize("box", [[0, 0, 1], [0, 0, 0, 1], [-1, 0, 1, 1], [0, 0, 1.5, 1], 3])
def test_a_box_is_four_whole_numbers(input_error: Any, box: Any) -> None:
    error = input_error(["decode_image", {"crop": box}], RGB)
    assert error.message.startswith("crop: box must be [top, left, height, width], whole numbers, not ")
