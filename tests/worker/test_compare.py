"""When an example's answer is the expected one."""

from __future__ import annotations

from typing import Any

import pytest

from salver_worker.compare import matches, shown


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([[1.0, 2.0]], [[1.005, 2.0]]),
        ([[1.0]], [[1.0, 2.0, 3.0]]),  # a prefix along the last dimension
        ([1, 2], [1, 2]),
        ([1.0, 2.0], [1, 2]),
        ([1, 2], [1.0, 2.0]),
        (1000.0, 1005.0),  # within a hundredth of its size
        ([["cat"]], [[b"cat", b"dog"]]),
        ("text", "text"),
        (float("nan"), float("nan")),
        (float("inf"), float("inf")),
        ({"a": [1.0]}, {"a": [1.0, 2.0], "b": 3}),
        ([True], [True]),
        (None, None),
        ([], [1, 2]),
    ],
)
def test_these_agree(expected: Any, actual: Any) -> None:
    assert matches(expected, actual, 0.01)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([[1.0, 2.0]], [[1.05, 2.0]]),
        ([[1.0], [2.0]], [[1.0]]),
        ([[1.0]], [[1.0], [2.0]]),  # a missing row is not a prefix
        ([1.0, 2.0], [1.0]),
        ([1], [2]),
        ([1.0], 1.0),
        ("1.0", 1.0),
        (1.0, True),
        ("cat", b"dog"),
        (float("nan"), 1.0),
        (float("inf"), 1e300),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, [1]),
    ],
)
def test_these_do_not(expected: Any, actual: Any) -> None:
    assert not matches(expected, actual, 0.01)


def test_long_values_are_cut_in_messages() -> None:
    assert shown([1.5]) == "[1.5]"
    assert shown(list(range(1000))).endswith("...")
    assert len(shown(list(range(1000)))) < 210
