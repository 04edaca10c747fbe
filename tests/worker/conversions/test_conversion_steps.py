"""How steps are written, and what is said when they are written wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from salver_worker.conversions.catalogue import STEPS
from salver_worker.conversions.step import BOTH, INPUT, OUTPUT

IMAGE = ("FP32", [-1, 3, 8, 8])


@pytest.mark.parametrize(
    ("steps", "message", "where"),
    [
        ("decode_image", "convert must be a list of steps", []),
        ([3], "a step must be its name, or a table with one key: its name = its parameters", [0]),
        (
            [{"resize": 1, "crop": 2}],
            "a step must be its name, or a table with one key: its name = its parameters",
            [0],
        ),
        (["decode_imag"], 'there is no step "decode_imag"; did you mean "decode_image"?', [0]),
        (["decode_image", {"zzz": 1}], 'there is no step "zzz"', [1]),
        (["softmax"], "softmax works on outputs, not on inputs", [0]),
        (
            ["decode_image", {"resize": {"siz": 3}}],
            'resize: has no parameter siz; did you mean "size"?',
            [1, "resize", "siz"],
        ),
        (
            ["decode_image", "resize"],
            "resize: needs size: [height, width], two positive integers, or one for the shorter side",
            [1],
        ),
        (
            ["decode_image", {"resize": {"size": [2]}}],
            "resize: size must be [height, width], two positive integers, or one for the shorter side, not [2]",
            [1, "resize", "size"],
        ),
        (
            ["decode_image", {"resize": [2, 0]}],
            "resize: size must be [height, width], two positive integers, or one for the shorter side, not [2, 0]",
            [1, "resize"],
        ),
        (["decode_image", {"grey": 3}], "grey: takes a table of parameters, not 3", [1, "grey"]),
        (
            [{"decode_image": {"exif": 1}}],
            "decode_image: exif must be true or false, not 1",
            [0, "decode_image", "exif"],
        ),
        (
            [{"decode_image": {"max_pixels": True}}],
            "decode_image: max_pixels must be a whole number from 1 to 178956970, not true",
            [0, "decode_image", "max_pixels"],
        ),
        (
            [{"decode_image": {"formats": ["EPS"]}}],
            'decode_image: formats must be a list of names of formats, not ["EPS"]',
            [0, "decode_image", "formats"],
        ),
        (
            [{"decode_image": "CMYK"}],
            'decode_image: mode must be one of "L", "RGB", "RGBA", not "CMYK"',
            [0, "decode_image"],
        ),
        ([{"resize": [8, 8]}, "decode_image"], "resize: needs images but gets FP32 [-1, 3, 8, 8]", [0]),
        (["decode_image", {"scale": 2}, {"resize": 8}], "resize: needs images but gets FP32 [-1, -1, -1, 3]", [2]),
        ([{"csv": ["a"]}, "decode_image"], "decode_image: needs BYTES [-1] but gets FP64 [-1, 1]", [1]),
        (["text", {"scale": 2}], "scale: needs numbers but gets BYTES [-1]", [1]),
        (["decode_image", "text"], "text: needs BYTES but gets RGB images of any size", [1]),
        (
            [{"accept": {"datatype": "FP32", "shape": [-1, 3, 8, 8]}}, "invert"],
            "invert: needs images or UINT8 values but gets FP32 [-1, 3, 8, 8]",
            [1],
        ),
        (["decode_image", {"columns": ["a"]}], "columns: must be the first step of its row", [1]),
        ([{"scale": {"by": "x" * 80}}], 'scale: by must be a number, not "' + "x" * 56 + "...", [0, "scale", "by"]),
        ([{"scale": float("inf")}], "scale: by must be a number, not Infinity", [0, "scale"]),
    ],
)
def test_a_wrong_step_is_refused_with_its_place(
    input_error: Callable[..., Any], steps: Any, message: str, where: list[Any]
) -> None:
    error = input_error(steps, IMAGE)
    assert error.message == message
    assert error.where == ["inputs", 0, "convert", *where]
    assert error.fix.endswith(".") or "pip install" in error.fix


@pytest.mark.parametrize(
    ("steps", "message", "where"),
    [
        (["decode_image"], "decode_image works on inputs, not on outputs", [0]),
        ([{"top_k": 1}, {"round": 2}], "round: stands after a step that gives several outputs", [1]),
        ([{"cast": "INT64"}, "softmax"], "softmax: needs floating numbers but gets INT64 [-1, 4]", [1]),
        ([{"label": ["a"]}], "label: needs whole numbers but gets FP32 [-1, 4]", [0]),
    ],
)
def test_a_wrong_output_step_is_refused_with_its_place(
    output_error: Callable[..., Any], steps: Any, message: str, where: list[Any]
) -> None:
    error = output_error(steps, ("FP32", [-1, 4]))
    assert error.message == message
    assert error.where == ["outputs", 0, "convert", *where]


def test_the_fix_lists_what_there_is(input_error: Callable[..., Any]) -> None:
    assert input_error(["decode_image", {"crop": {}}], IMAGE).fix == "The parameters of crop: box."
    assert input_error(["decode_image", {"grey": 1}], IMAGE).fix == "The parameters of grey: none."
    assert "decode_image, resize" in input_error(["nothing_like_it"], IMAGE).fix


def test_every_step_of_the_catalogue_is_complete() -> None:
    names = [step.name for step in STEPS]
    assert len(set(names)) == len(names)
    for step in STEPS:
        assert step.stages in ((INPUT,), (OUTPUT,), BOTH)
        assert (step.bind is None) != (step.source is None)
        assert step.summary.endswith(".")
        assert not step.main or step.main in {parameter.name for parameter in step.parameters}
        for parameter in step.parameters:
            assert parameter.doc.endswith(".")
            assert parameter.default is not None or parameter.default_words
