"""Recorded requests warm a model up, and one that it refuses keeps it from going live."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver_worker import warmup
from salver_worker.failures import LoadFailure
from salver_worker.warmup import warm_up

COUNTED = """
    seen = []

    def predict(x: float) -> float:
        seen.append(x)
        return len(seen)
    """


def record(folder: Path, *lines: Any) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "warmup.jsonl").write_text("\n".join(texts))


def refusal(folder: Path, *lines: Any) -> LoadFailure:
    record(folder, *lines)
    with pytest.raises(LoadFailure) as caught:
        warm_up(str(folder), lambda recorded: None)
    return caught.value


def test_a_model_without_recorded_requests_needs_none(tmp_path: Path) -> None:
    warm_up(str(tmp_path), lambda recorded: pytest.fail("there is nothing to run"))


def test_each_recorded_request_is_run_in_order(tmp_path: Path) -> None:
    record(tmp_path, {"x": [1]}, "", {"x": [2]}, " ")
    ran: list[Any] = []
    warm_up(str(tmp_path), ran.append)
    assert ran == [{"inputs": {"x": [1]}}, {"inputs": {"x": [2]}}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [("{", "line 3: it is no JSON: "), ("[1]", "line 3: it is no JSON object with the request's inputs")],
)
def test_a_line_that_is_no_request_is_named(tmp_path: Path, line: str, reason: str) -> None:
    failure = refusal(tmp_path, {"x": 1}, "", line)
    assert failure.message.startswith(f"warmup.jsonl, {reason}")
    assert "warmup.jsonl" in failure.fix


def test_there_may_be_a_thousand_requests(tmp_path: Path) -> None:
    record(tmp_path, *[{"x": 1}] * 1000)
    warm_up(str(tmp_path), lambda recorded: None)
    assert refusal(tmp_path, *[{"x": 1}] * 1001).message == "warmup.jsonl, line 1001: there are more than 1000 requests"


def test_a_line_has_a_longest_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "MAX_LINE_BYTES", 20)
    assert refusal(tmp_path, {"x": 1}, {"x": "a" * 20}).message == "warmup.jsonl, line 2: it is longer than 20 bytes"


def test_a_model_is_warm_when_it_is_ready(serve_function: Callable[..., Any], driver: Any, tmp_path: Path) -> None:
    record(tmp_path, {"x": [1.0]}, {"x": [2.0]}, {"x": [3.0, 4.0]})
    worker = serve_function(COUNTED)
    answer = worker.attach().predict(driver.tensor("x", [5.0], "FP64"))
    assert answer.arrays["output"].tolist() == [5], "four rows came before"


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"z": [1.0]}, "the request has an input z; the model's inputs are: x"),
        ({}, "the request has no input x"),
        ({"x": ["a"]}, "the request's input x is not a table of numbers"),
        ({"x": [-1.0]}, "the model failed on the request: "),
    ],
)
def test_a_request_that_the_model_refuses_keeps_it_from_going_live(
    start_worker: Callable[..., Any], driver: Any, tmp_path: Path, inputs: Any, reason: str
) -> None:
    path = tmp_path / "app.py"
    path.write_text("def predict(x: float) -> float:\n    assert x >= 0, 'below zero'\n    return x\n")
    record(tmp_path, {"x": [1.0]}, inputs)
    answer = start_worker().load("function", path)
    assert answer.verb == driver.frames.FAILED
    assert answer.header["code"] == "LOAD_FAILED"
    assert answer.header["message"].startswith(f"warmup.jsonl, line 2: {reason}")
