"""Which function of a Python file is the model."""

from __future__ import annotations

import pytest

from salver.errors import Code, LoadError
from salver.models.pythonfile import pick_function

SOURCE = b"""
import os
from tools import clean as tidy
try:
    from fast import predict_fast
except ImportError:
    def predict_fast(x):
        hidden = 1
        return x
limit = 3
class Model:
    def predict(self, x): ...
def _inner(): ...
def predict(x): ...
"""


@pytest.mark.parametrize("wanted", ["predict", "predict_fast", "tidy", "os", "limit", "Model", "_inner"])
def test_whatever_the_file_may_have_can_be_asked_for(wanted: str) -> None:
    assert pick_function(SOURCE, "app.py", wanted) == wanted


def test_what_it_cannot_have_is_told_with_the_nearest_name() -> None:
    with pytest.raises(LoadError, match=r"app\.py has no function `predikt`") as caught:
        pick_function(SOURCE, "app.py", "predikt")
    assert caught.value.code is Code.FORMAT_UNKNOWN
    assert caught.value.fix == "Did you mean `predict`?"


def test_names_inside_of_functions_and_classes_are_not_the_files() -> None:
    with pytest.raises(LoadError, match="has no function `hidden`"):
        pick_function(SOURCE, "app.py", "hidden")


@pytest.mark.parametrize(("source", "names"), [(b"def f(): ...", "f"), (b"", "there is none")])
def test_without_a_near_name_all_are_told(source: bytes, names: str) -> None:
    with pytest.raises(LoadError) as caught:
        pick_function(source, "app.py", "zebra")
    assert caught.value.fix == f"Name one that it has: {names}."


def test_a_file_that_imports_everything_of_another_may_have_anything() -> None:
    assert pick_function(b"from other import *", "app.py", "anything") == "anything"


@pytest.mark.parametrize(
    ("source", "function"),
    [
        (SOURCE, "predict"),
        (b"predict = make()", "predict"),
        (b"def score(x): ...\nclass Row: ...\ndef _help(): ...", "score"),
        (b"async def score(x): ...", "score"),
        (b"def one(): ...\ndef two(): ...", None),
        (b"class Model:\n    def predict(self, x): ...", None),
        (b"this is not python", None),
        (b"\x00", None),
        (b"x = " + b"(" * 5000, None),
    ],
)
def test_without_a_wish_the_obvious_one_is_taken(source: bytes, function: str | None) -> None:
    assert pick_function(source, "app.py", None) == function


def test_a_file_of_another_python_is_not_judged() -> None:
    assert pick_function(b"print 'old'", "app.py", "predict") == "predict"
