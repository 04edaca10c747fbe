"""The highest values of an output, with their places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from salver.errors import RequestError
from salver.wire.openinference.classification import classified
from salver.wire.openinference.request import Wish


def texts(array: Any, classes: int, *, has_rows: bool = True, labels: tuple[str, ...] = ()) -> Any:
    return classified(Wish("y", classes=classes), array, labels, has_rows=has_rows).tolist()


def test_a_place_with_a_label_says_it() -> None:
    scores = np.array([[1.5, 3.25, 0.5]], "<f8")
    assert texts(scores, 3, labels=("cat", "süß")) == [["3.250000:1:süß".encode(), b"1.500000:0:cat", b"0.500000:2"]]


def test_each_row_has_its_highest() -> None:
    scores = np.array([[1.1, 3.3, 0.5], [0.1, 0.2, 4.4]], "<f8")
    assert texts(scores, 2) == [[b"3.300000:1", b"1.100000:0"], [b"4.400000:2", b"0.200000:1"]]
    assert texts(scores.astype("<f2"), 1) == [[b"3.300781:1"], [b"4.398438:2"]]


def test_without_rows_all_values_are_one_row() -> None:
    assert texts(np.array([[5, 7], [9, 9]], "<i8"), 3, has_rows=False) == [b"9:2", b"9:3", b"7:1"]
    assert texts(np.int64(3)[...], 9) == [b"3:0"]


def test_no_more_than_there_are() -> None:
    assert texts(np.array([[1, 2]], "u1"), 9) == [[b"2:1", b"1:0"]]


def test_only_numbers_have_an_order(objects) -> None:
    with pytest.raises(RequestError, match="classification is not supported for output 'y'"):
        texts(objects(b"a"), 1)


@given(arrays.arrays(np.int64, st.integers(1, 12), elements=st.integers(-4, 4)))
def test_equal_values_keep_their_order(row: Any) -> None:
    wanted = sorted(range(len(row)), key=lambda index: (-row[index], index))
    assert texts(row, len(row), has_rows=False) == [f"{row[index]}:{index}".encode() for index in wanted]


def test_it_is_answered_as_text(decode, answer, version_info, tensor) -> None:
    version = version_info([("x", "FP32", (-1,))], [("y", "FP16", (-1, 3))])
    wanted = [{"name": "y", "parameters": {"classification": 1}}]
    request = decode(version, {"inputs": [tensor("x", "FP32", [1], [1])], "outputs": wanted})
    (output,) = answer(version, request, {"y": np.array([[1, 3, 2]], "<f2")}).document["outputs"]
    assert output == {"name": "y", "datatype": "BYTES", "shape": [1, 1], "data": ["3.000000:1"]}
