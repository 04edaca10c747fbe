"""What one argument of `salver serve` may mean."""

from __future__ import annotations

import pytest

from salver.models.arguments import Argument, readings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model.onnx", [Argument("model.onnx")]),
        ("app.py:predict", [Argument("app.py:predict"), Argument("app.py", "predict")]),
        ("iris=model.pkl", [Argument("iris=model.pkl"), Argument("model.pkl", None, "iris")]),
        (
            "m=dir/app.py:f",
            [
                Argument("m=dir/app.py:f"),
                Argument("m=dir/app.py", "f"),
                Argument("dir/app.py:f", None, "m"),
                Argument("dir/app.py", "f", "m"),
            ],
        ),
        ("data/run=3/model.onnx", [Argument("data/run=3/model.onnx")]),
        ("x=", [Argument("x=")]),
        ("=x", [Argument("=x")]),
        ("app.py:not-a-name", [Argument("app.py:not-a-name")]),
        ("model.onnx:predict", [Argument("model.onnx:predict")]),
    ],
)
def test_the_literal_path_comes_first_and_every_other_reading_after_it(text: str, expected: list[Argument]) -> None:
    assert list(readings(text)) == expected
