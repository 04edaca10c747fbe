"""What is kept of an example's answer, so that later ones can be compared with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.compare import matches
from salver_worker.recording import MAX_VALUES, recorded


def test_numbers_lose_the_digits_that_machines_differ_in() -> None:
    answer = {"y": np.array([[1 / 3, 2e-9]], np.float32), "n": np.array([7]), "is": np.array([True])}
    assert recorded(answer) == {"y": [[0.333333, 2e-09]], "n": [7], "is": [True]}


def test_texts_are_kept_as_texts() -> None:
    assert recorded({"label": bytes_array([b"cat", b"\xff"], [2])}) == {"label": ["cat", "�"]}


def test_an_output_that_nothing_is_equal_to_is_left_out() -> None:
    assert recorded({"y": np.array([1.0, np.nan]), "z": np.array([np.inf]), "n": np.array([1])}) == {"n": [1]}


def test_long_outputs_are_cut_as_a_comparison_lets_them_be() -> None:
    long = np.arange(2.0 * MAX_VALUES).reshape(2, -1)
    kept = recorded({"y": long})
    assert [len(row) for row in kept["y"]] == [16, 16]
    assert matches(kept["y"], long.tolist(), 0.01)
    assert recorded({"y": np.zeros((MAX_VALUES, 2, 1))}) == {}


def test_a_single_number_is_kept() -> None:
    assert recorded({"y": np.array(0.5)}) == {"y": 0.5}


def test_a_handlers_answer_is_kept_as_json_or_as_text() -> None:
    assert recorded('{"a": [0.1234567], "b": {"c": "d"}}') == {"body": {"a": [0.123457], "b": {"c": "d"}}}
    assert recorded("meow") == {"body": "meow"}
    assert recorded('{"a": null}') == {}
    assert recorded("x" * (MAX_VALUES + 1)) == {}


def test_a_worker_tells_it_when_it_is_asked(start_worker: Callable[..., Any], driver: Any, tmp_path: Any) -> None:
    path = tmp_path / "app.py"
    path.write_text("def predict(x: float) -> float:\n    return x / 3\n")
    manifest = {"example": {"inputs": {"x": [1.0]}}}
    asked = start_worker().load("function", path, manifest=manifest, options={"record_example": True})
    assert asked.header["example_answer"] == {"output": [0.333333]}
    without = start_worker().load("function", path, options={"record_example": True})
    assert without.header["example_answer"] is None
    assert "example_answer" not in start_worker().load("function", path, manifest=manifest).header
