"""How a function is called, and what it may return."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from salver_worker.errors import InputError
from salver_worker.failures import OutputInvalid
from salver_worker.runtimes.function import FunctionModel, function_model
from salver_worker.runtimes.function_target import Target

FLOATS = {"x": np.array([[1.0, 2.0], [3.0, 4.0]])}


class Verdict(NamedTuple):
    label: str
    score: float


@dataclasses.dataclass
class Box:
    corners: list[float]
    is_sure: bool


def model(function: Callable[..., Any], declared: Any = None, **example: Any) -> FunctionModel:
    return function_model(Target("f", None, function, declared), example, {})


def call(
    function: Callable[..., Any], inputs: dict[str, Any], declared: Any = None, **parameters: Any
) -> dict[str, Any]:
    example = {name: array.tolist() for name, array in inputs.items() if array.dtype != object}
    subject = model(function, declared, **example)
    try:
        outputs = subject.predict(inputs, parameters)
    finally:
        subject.close()
    return {name: array.tolist() for name, array in outputs.items()}


def text(*values: bytes) -> Any:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def test_a_batch_function_sees_all_rows_at_once() -> None:
    assert call(lambda x: x.sum(axis=1), FLOATS) == {"output": [3.0, 7.0]}


def test_a_function_may_change_and_keep_its_arrays() -> None:
    kept = []

    def predict(x):
        kept.append(x)
        x *= 10
        return x

    given = np.array([[1.0]])
    given.setflags(write=False)
    assert call(predict, {"x": given}) == {"output": [[10.0]]}
    assert given.tolist() == [[1.0]]
    assert kept[0].base is None


def test_a_row_function_is_called_once_for_each_row_with_plain_values() -> None:
    seen = []

    def predict(age: float, city: str, raw: bytes, tags: list[str]) -> float:
        seen.append((age, city, raw, tags))
        return age * 2

    tags = np.array([[b"a", b"b"], [b"c", b"d"]], object)
    inputs = {"age": np.array([1.0, 2.0]), "city": text("Å".encode(), b"B"), "raw": text(b"\xff", b""), "tags": tags}
    assert call(predict, inputs) == {"output": [2.0, 4.0]}
    assert seen == [(1.0, "Å", b"\xff", ["a", "b"]), (2.0, "B", b"", ["c", "d"])]
    assert type(seen[0][0]) is float


def test_a_row_may_come_as_a_dict() -> None:
    def predict(row: dict[str, Any]) -> float:
        return row["age"] + row["weight"]

    assert call(predict, {"age": np.array([1.0, 2.0]), "weight": np.array([10.0, 20.0])}) == {"output": [11.0, 22.0]}


def test_a_batch_may_come_as_a_table() -> None:
    def predict(rows: pd.DataFrame):
        assert list(rows.columns) == ["age", "pair"]
        return rows["age"] + rows["pair"].map(sum)

    inputs = {"age": np.array([1.0, 2.0]), "pair": np.array([[1.0, 1.0], [2.0, 2.0]])}
    assert call(predict, inputs) == {"output": [3.0, 6.0]}


def test_any_names_may_be_taken_as_keyword_arguments() -> None:
    assert call(lambda **tensors: tensors, FLOATS) == {"x": FLOATS["x"].tolist()}


def test_text_of_an_example_and_of_str_arrays_arrives_as_str() -> None:
    subject = model(lambda x: [type(value).__name__ for value in x], None, x=["a"])
    assert subject.predict({"x": text(b"a", b"b")}, {})["output"].tolist() == [b"str", b"str"]


def test_bytes_that_are_not_text_are_the_callers_error() -> None:
    def predict(city: str):
        return city

    with pytest.raises(InputError, match="the input city holds bytes that are not UTF-8"):
        call(predict, {"city": text(b"\xff")})


def test_options_come_from_the_requests_parameters() -> None:
    def predict(x: np.ndarray, factor: float = 2.0, mode: str = "fast", extra=None):
        return {"y": x[:, 0] * factor, "mode": [mode] * len(x), "extra": [str(extra)] * len(x)}

    assert call(predict, FLOATS)["y"] == [2.0, 6.0]
    answer = call(predict, FLOATS, None, factor=10, mode="slow", extra=[1], unknown="ignored")
    assert answer == {"y": [10.0, 30.0], "mode": [b"slow"] * 2, "extra": [b"[1]"] * 2}


def test_options_reach_every_row() -> None:
    def predict(x: float, offset: int = 0) -> float:
        return x + offset

    assert call(predict, {"x": np.array([1.0, 2.0])}, None, offset=5) == {"output": [6.0, 7.0]}


@pytest.mark.parametrize("wrong", [{"factor": "2"}, {"factor": True}, {"mode": 1}, {"count": 1.5}])
def test_an_option_of_another_type_is_the_callers_error(wrong: dict[str, Any]) -> None:
    def predict(x: np.ndarray, factor: float = 2.0, mode: str = "fast", count: int = 1):
        return x

    (name,) = wrong
    with pytest.raises(InputError, match=f"the parameter {name} must be"):
        call(predict, FLOATS, None, **wrong)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ([1, 2], {"output": [1, 2]}),
        (np.array([1.5, 2.5]), {"output": [1.5, 2.5]}),
        (["a", "b"], {"output": [b"a", b"b"]}),
        ([b"a", b"b"], {"output": [b"a", b"b"]}),
        (np.array(["a", "b"]), {"output": [b"a", b"b"]}),
        ({"a": [1, 2], "b": [[1.0], [2.0]]}, {"a": [1, 2], "b": [[1.0], [2.0]]}),
        (([1, 2], ["x", "y"]), {"output_0": [1, 2], "output_1": [b"x", b"y"]}),
        (Verdict(["a", "b"], [1.0, 2.0]), {"label": [b"a", b"b"], "score": [1.0, 2.0]}),
        (Box([[1.0], [2.0]], [True, False]), {"corners": [[1.0], [2.0]], "is_sure": [True, False]}),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), {"a": [1, 2], "b": [b"x", b"y"]}),
        (pd.Series([1, 2]), {"output": [1, 2]}),
    ],
)
def test_a_batch_function_may_return(result: Any, expected: dict[str, Any]) -> None:
    assert call(lambda x: result, FLOATS) == expected


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([1.0, 2.0], {"output": [1.0, 2.0]}),
        (["a", "bc"], {"output": [b"a", b"bc"]}),
        ([[1, 2], [3, 4]], {"output": [[1, 2], [3, 4]]}),
        ([Verdict("a", 1.0), Verdict("b", 2.0)], {"label": [b"a", b"b"], "score": [1.0, 2.0]}),
        ([{"a": 1}, {"a": 2}], {"a": [1, 2]}),
        ([("a", 1), ("b", 2)], {"output_0": [b"a", b"b"], "output_1": [1, 2]}),
        ([np.float32(1), np.float32(2)], {"output": [1.0, 2.0]}),
    ],
)
def test_a_row_function_may_return(results: list[Any], expected: dict[str, Any]) -> None:
    left = list(results)

    def predict(x: float):
        return left.pop(0)

    assert call(predict, {"x": np.array([0.0, 0.0])}) == expected


def test_results_take_the_declared_names_and_datatypes() -> None:
    declared = {
        "outputs": [
            {"name": "digit", "datatype": "INT32", "shape": [-1]},
            {"name": "score", "datatype": "FP32", "shape": [-1]},
        ]
    }
    subject = model(lambda x: ([1, 2], [0.5, 1]), declared)
    outputs = subject.predict(FLOATS, {})
    assert {name: array.dtype.name for name, array in outputs.items()} == {"digit": "int32", "score": "float32"}
    one = {"outputs": [{"name": "score", "datatype": "FP32", "shape": [-1]}]}
    assert list(model(lambda x: [1, 2], one).predict(FLOATS, {})) == ["score"]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "returned None"),
        ([None, None], "the output output is not a table of numbers or text"),
        ([[1], [2, 3]], "the output output is not a table of numbers or text"),
        ({"a": [object(), object()]}, "the output a is not a table"),
        (5.0, "the output output is one value for 2 rows"),
    ],
)
def test_a_result_that_cannot_travel_is_invalid(result: Any, reason: str) -> None:
    with pytest.raises(OutputInvalid, match=reason):
        call(lambda x: result, FLOATS)


def test_a_result_that_would_lose_its_value_is_invalid() -> None:
    def predict(x: float) -> int:
        return 1.5  # type: ignore[return-value]  # that is the mistake

    with pytest.raises(OutputInvalid, match="the output output is float64, and int64 is declared"):
        call(predict, {"x": np.array([0.0])})


def test_rows_with_different_outputs_are_invalid() -> None:
    results = [{"a": 1}, {"b": 1}]

    def predict(x: float):
        return results.pop(0)

    with pytest.raises(OutputInvalid, match="the same outputs for every row"):
        call(predict, {"x": np.array([0.0, 0.0])})


def test_one_value_is_the_answer_for_one_row() -> None:
    assert call(lambda x: x.sum(), {"x": np.array([[1.0, 2.0]])}) == {"output": [3.0]}


def test_a_function_that_counts_no_rows_may_return_one_value() -> None:
    declared = {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [2, 2]}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": []}],
    }
    assert call(lambda x: x.sum(), FLOATS, declared) == {"y": 10.0}


def test_no_rows_give_no_rows() -> None:
    def predict(x: float) -> float:
        raise AssertionError

    assert call(predict, {"x": np.zeros(0)}) == {"output": []}


def test_the_rows_of_an_async_function_run_together() -> None:
    import asyncio

    async def predict(x: float) -> float:
        await both.wait()
        return x + 1

    both = asyncio.Barrier(2)
    assert call(predict, {"x": np.array([1.0, 2.0])}) == {"output": [2.0, 3.0]}


def test_an_async_batch_function_is_awaited() -> None:
    async def predict(x):
        return x

    assert call(predict, FLOATS) == {"output": FLOATS["x"].tolist()}


def test_when_one_row_of_an_async_function_fails_the_others_end() -> None:
    import asyncio

    ended = []

    async def predict(x: float) -> float:
        try:
            if x == 1:
                raise ValueError("one")
            await asyncio.sleep(3600)
        finally:
            ended.append(x)
        return x

    with pytest.raises(ValueError, match="one"):
        call(predict, {"x": np.array([2.0, 1.0])})
    assert sorted(ended) == [1.0, 2.0]
