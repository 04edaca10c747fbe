"""What a function's header, its SIGNATURE and the example say of inputs and outputs."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.function import FunctionModel, function_model
from salver_worker.runtimes.function_target import Target


class Flower(TypedDict):
    length: float
    colour: str


class Verdict(NamedTuple):
    label: str
    score: float


@dataclasses.dataclass
class Box:
    corners: list[float]
    is_sure: bool


class Unclear(TypedDict):
    anything: Any


def model(function: Callable[..., Any], declared: Any = None, **example: Any) -> FunctionModel:
    return function_model(Target("f", None, function, declared), example, {})


def inputs(function: Callable[..., Any], declared: Any = None, **example: Any) -> list[tuple[str, str, list[int]]]:
    rows = model(function, declared, **example).signature["inputs"]
    return [(row["name"], row["datatype"], row["shape"]) for row in rows]


def outputs(function: Callable[..., Any], declared: Any = None) -> list[tuple[str, str, list[int]]]:
    rows = model(function, declared).signature["outputs"]
    return [(row["name"], row["datatype"], row["shape"]) for row in rows]


def test_without_annotations_a_parameter_is_a_table_of_numbers() -> None:
    def predict(x):
        return x

    assert inputs(predict) == [("x", "FP64", [-1, -1])]
    assert outputs(predict) == []
    assert model(predict).details["called"] == "once for each batch"


def test_arrays_mean_the_whole_batch() -> None:
    def predict(
        a: np.ndarray,
        b: npt.NDArray[np.float32],
        c: npt.NDArray[Any],
        d: npt.NDArray[np.str_],
        e: npt.NDArray[np.bytes_],
        f: npt.NDArray[np.floating[Any]],
        g: npt.NDArray[np.complex128],
        h: npt.NDArray[np.floating],  # type: ignore[type-arg]  # as users write it
    ):
        return a

    assert [datatype for _, datatype, _ in inputs(predict)] == [
        "FP64",
        "FP32",
        "FP64",
        "BYTES",
        "BYTES",
        "FP64",
        "FP64",
        "FP64",
    ]
    assert {str(shape) for *_, shape in inputs(predict)} == {"[-1, -1]"}


def test_python_types_mean_one_row() -> None:
    def predict(a: float, b: int, c: bool, d: str, e: bytes, f: list[float], g: Sequence[list[str]], h: list, i: Any):
        return a

    assert inputs(predict) == [
        ("a", "FP64", [-1]),
        ("b", "INT64", [-1]),
        ("c", "BOOL", [-1]),
        ("d", "BYTES", [-1]),
        ("e", "BYTES", [-1]),
        ("f", "FP64", [-1, -1]),
        ("g", "BYTES", [-1, -1, -1]),
        ("h", "FP64", [-1, -1]),
        ("i", "FP64", [-1]),
    ]
    assert model(predict).details["called"] == "once for each row"


def test_old_spellings_mean_the_same() -> None:
    def predict(a: list[float], b: typing.Iterable[str]) -> list[int]:
        return []

    assert inputs(predict) == [("a", "FP64", [-1, -1]), ("b", "BYTES", [-1, -1])]
    assert outputs(predict) == [("output", "INT64", [-1, -1])]


def test_parameters_with_defaults_are_options_and_not_inputs() -> None:
    def predict(x: np.ndarray, threshold: float = 0.5, *, mode: str = "fast"):
        return x

    assert inputs(predict) == [("x", "FP64", [-1, -1])]


def test_a_typed_dict_names_the_inputs_of_a_row() -> None:
    def predict(row: Flower):
        return row

    assert inputs(predict) == [("length", "FP64", [-1]), ("colour", "BYTES", [-1])]


@pytest.mark.parametrize("annotation", [dict, dict[str, Any], Mapping[str, float], pd.DataFrame])
def test_a_dict_or_table_takes_its_names_from_the_example_or_the_signature(annotation: Any) -> None:
    def predict(rows):
        return rows

    predict.__annotations__["rows"] = annotation
    assert inputs(predict, None, age=[31.0], city=["Oslo"]) == [("age", "FP64", [-1]), ("city", "BYTES", [-1])]
    declared = {"inputs": [{"name": "age", "datatype": "FP32", "shape": [-1]}]}
    assert inputs(predict, declared) == [("age", "FP32", [-1])]
    with pytest.raises(LoadFailure, match="does not say which inputs") as caught:
        inputs(predict)
    assert "SIGNATURE" in caught.value.fix


def test_keyword_arguments_take_their_names_from_the_example_too() -> None:
    def predict(**tensors):
        return tensors

    assert inputs(predict, None, a=[[1]], b=[[True]]) == [("a", "INT64", [-1, 1]), ("b", "BOOL", [-1, 1])]


@pytest.mark.parametrize(
    ("value", "datatype", "shape"),
    [
        ([[1.0, 2.0]], "FP64", [-1, 2]),
        ([1, 2], "INT64", [-1]),
        ([True], "BOOL", [-1]),
        (["a"], "BYTES", [-1]),
        ([[["a", "b"]]], "BYTES", [-1, 1, 2]),
        ({"file": "a.jpg"}, "BYTES", [-1]),
        ([{"file": "a.jpg"}, {"file": "b.jpg"}], "BYTES", [-1]),
    ],
)
def test_the_example_tells_datatype_and_shape(value: Any, datatype: str, shape: list[int]) -> None:
    assert inputs(lambda x: x, None, x=value) == [("x", datatype, shape)]


def test_an_annotation_decides_the_datatype_and_the_example_the_shape() -> None:
    def predict(x: npt.NDArray[np.float32]):
        return x

    assert inputs(predict, None, x=[[1, 2, 3]]) == [("x", "FP32", [-1, 3])]


@pytest.mark.parametrize("value", [1.5, [None], [[1], [2, 3]]])
def test_an_example_without_rows_is_refused(value: Any) -> None:
    with pytest.raises(LoadFailure) as caught:
        inputs(lambda x: x, None, x=value)
    assert caught.value.where == ["example", "inputs", "x"]


def test_the_signature_decides_everything_it_names() -> None:
    declared = {
        "inputs": [{"name": "x", "datatype": "UINT8", "shape": [-1, 28, 28]}],
        "outputs": [{"name": "digit", "datatype": "INT32", "shape": [-1]}],
    }
    subject = model(lambda x: x, declared, x=[[1.0]])
    assert subject.signature["inputs"] == declared["inputs"]
    assert subject.signature["outputs"] == declared["outputs"]
    assert subject.has_batch_dimension


def test_a_function_without_inputs_has_no_rows() -> None:
    subject = model(lambda count=2: list(range(count)))
    assert subject.signature["inputs"] == []
    assert not subject.has_batch_dimension
    assert subject.predict({}, {"count": 3})["output"].tolist() == [0, 1, 2]


def test_a_signature_with_a_fixed_first_dimension_has_no_rows() -> None:
    declared = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [3]}], "outputs": []}
    assert not model(lambda x: x, declared).has_batch_dimension


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        (
            {"inputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}]},
            "SIGNATURE names the inputs y, and the function",
        ),
        ({"inputs": [{"name": "x", "datatype": "float", "shape": [-1]}]}, "'float' is none of"),
        ({"inputs": [{"name": "x"}]}, "is not a list of inputs or outputs"),
        ({"inputs": 5}, "is not a list of inputs or outputs"),
        ({"outputs": [5]}, "is not a list of inputs or outputs"),
        ("FP32", "is not a list of inputs or outputs"),
    ],
)
def test_a_signature_that_is_wrong_is_refused(declared: Any, reason: str) -> None:
    with pytest.raises(LoadFailure, match=reason):
        model(lambda x: x, declared)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (float, [("output", "FP64", [-1])]),
        (str, [("output", "BYTES", [-1])]),
        (list[float], [("output", "FP64", [-1, -1])]),
        (Verdict, [("label", "BYTES", [-1]), ("score", "FP64", [-1])]),
        (Flower, [("length", "FP64", [-1]), ("colour", "BYTES", [-1])]),
        (Box, [("corners", "FP64", [-1, -1]), ("is_sure", "BOOL", [-1])]),
        (tuple[int, str], [("output_0", "INT64", [-1]), ("output_1", "BYTES", [-1])]),
        (tuple[int, complex], []),
        (Unclear, []),
        (np.ndarray, []),
        (npt.NDArray[np.float32], []),
        (dict[str, float], []),
        (complex, []),
        (None, []),
        (Any, []),
    ],
)
def test_what_a_function_of_one_row_returns(annotation: Any, expected: list[Any]) -> None:
    def predict(x: float):
        return x

    predict.__annotations__["return"] = annotation
    assert outputs(predict) == expected


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (list[float], [("output", "FP64", [-1])]),
        (list[list[int]], [("output", "INT64", [-1, -1])]),
        (float, []),  # one number for a whole batch tells nothing of its rows
        (np.ndarray, []),
        (tuple[list[str], list[float]], [("output_0", "BYTES", [-1]), ("output_1", "FP64", [-1])]),
    ],
)
def test_what_a_function_of_a_batch_returns(annotation: Any, expected: list[Any]) -> None:
    def predict(x: np.ndarray):
        return x

    predict.__annotations__["return"] = annotation
    assert outputs(predict) == expected


def test_kinds_of_parameters_are_not_mixed() -> None:
    def mixed(a: float, b: np.ndarray): ...
    def beside_a_dict(row: dict, other): ...
    def beside_a_table(rows: pd.DataFrame, other: np.ndarray): ...

    with pytest.raises(LoadFailure, match="some parameters mean one row"):
        model(mixed)
    for function in (beside_a_dict, beside_a_table):
        with pytest.raises(LoadFailure, match="holds all inputs"):
            model(function, None, x=[1.0])


def test_what_is_not_understood_is_named() -> None:
    def strange(x: complex): ...
    def deep(x: list[dict]): ...
    def many(*x): ...
    def nameless(x, /): ...
    def undefined(x: Nowhere): ...  # noqa: F821  that is the point

    for function, reason in [
        (strange, "the parameter x is annotated <class 'complex'>"),
        (deep, "the parameter x is annotated list"),
        (many, "no name that callers could use"),
        (nameless, "no name that callers could use"),
        (undefined, "the annotations of .*undefined cannot be read: name 'Nowhere'"),
    ]:
        with pytest.raises(LoadFailure, match=reason):
            model(function)
