from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from salver_worker.conversions.plan import ConversionPlan, OutputError

SCORES = ("FP32", [-1, 3])


def plan_of(steps: Any, gives: Any) -> ConversionPlan:
    spec = {"name": "y", "datatype": gives[0], "shape": gives[1]}
    return ConversionPlan.bind({"inputs": [], "outputs": [spec]}, [], [{"convert": steps}], "")


FLOATS = arrays.arrays(np.float32, (2, 3), elements=st.floats(-100, 100, width=32))


@given(FLOATS)
def test_softmax_adds_up_to_1_and_keeps_the_order(scores: Any) -> None:
    result = plan_of(["softmax"], SCORES).convert_outputs({"y": scores})["y"]
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.sum(axis=-1), 1, rtol=1e-5)
    for row in range(2):
        assert (np.diff(result[row][np.argsort(scores[row], kind="stable")]) >= 0).all()


def test_softmax_of_huge_and_infinite_scores(answer: Any) -> None:
    assert answer(["softmax"], np.array([[1e30, 0, 0]], np.float32), SCORES).tolist() == [[1, 0, 0]]
    assert answer(["softmax"], np.array([[-np.inf, 0, 0]], np.float32), SCORES).tolist() == [[0, 0.5, 0.5]]
    assert np.isnan(answer(["softmax"], np.full((1, 3), -np.inf, np.float32), SCORES)).all()
    assert answer(["softmax"], np.ones((1, 3), np.float16), ("FP16", [-1, 3])).dtype == np.float32
    assert answer(["softmax"], np.zeros((0, 3), np.float32), SCORES).shape == (0, 3)


@given(FLOATS)
def test_sigmoid_lies_between_0_and_1(scores: Any) -> None:
    result = plan_of(["sigmoid"], SCORES).convert_outputs({"y": scores * 10})["y"]
    expected = [[1 / (1 + math.exp(-score * 10)) if score > -70 else 0 for score in row] for row in scores.tolist()]
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("step", ["softmax", "argmax", {"top_k": 1}])
def test_classes_need_a_dimension(output_error: Any, step: Any) -> None:
    assert output_error([step], ("FP32", [])).message.endswith(": needs a dimension of classes but gets FP32 []")


def test_argmax_gives_numbers_or_names(output_plan: Any) -> None:
    array = np.array([[1, 5, 5], [9, 0, 0]], np.float32)
    plan = output_plan(["argmax"], SCORES)
    assert plan.signature["outputs"] == [{"name": "y", "datatype": "INT64", "shape": [-1]}]
    assert plan.convert_outputs({"y": array})["y"].tolist() == [1, 0]
    plan = output_plan([{"argmax": ["cat", "dog", "cow"]}], SCORES)
    assert plan.signature["outputs"] == [{"name": "y", "datatype": "BYTES", "shape": [-1]}]
    assert plan.convert_outputs({"y": array})["y"].tolist() == [b"dog", b"cat"]


def test_argmax_of_no_classes_is_an_output_error(answer: Any) -> None:
    with pytest.raises(OutputError, match="the model gave no classes"):
        answer(["argmax"], np.zeros((1, 0)), ("FP64", [-1, -1]))


def test_top_k_gives_the_best_first(output_plan: Any) -> None:
    plan = output_plan([{"top_k": {"k": 2, "labels": ["cat", "dog", "cow"]}}], SCORES)
    assert plan.signature == {
        "inputs": [],
        "outputs": [
            {"name": "classes", "datatype": "BYTES", "shape": [-1, 2]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
        "ranking": {"classes": "classes", "probabilities": "probabilities"},
    }
    answers = plan.convert_outputs({"y": np.array([[0.1, 0.7, 0.2], [0.5, 0.0, 0.5]], np.float32)})
    assert answers["classes"].tolist() == [[b"dog", b"cow"], [b"cat", b"cow"]]
    np.testing.assert_allclose(answers["probabilities"], [[0.7, 0.2], [0.5, 0.5]])
    assert answers["probabilities"].dtype == np.float32


def test_top_k_without_labels_gives_numbers_under_any_names(output_plan: Any) -> None:
    plan = output_plan([{"top_k": {"k": 1, "classes": "c", "probabilities": "p"}}], ("UINT8", [-1, 3]))
    assert plan.signature["ranking"] == {"classes": "c", "probabilities": "p"}
    answers = plan.convert_outputs({"y": np.array([[0, 200, 100]], np.uint8)})
    assert (answers["c"].dtype, answers["c"].tolist(), answers["p"].tolist()) == (np.int64, [[1]], [[200.0]])


def test_top_k_of_more_dimensions_is_no_ranking(output_plan: Any) -> None:
    assert output_plan([{"top_k": 1}], ("FP32", [-1, 4, 3])).signature["ranking"] is None
    plan = output_plan([{"top_k": 2}], ("FP32", [3]))
    assert plan.signature["ranking"] is None
    assert plan.convert_outputs({"y": np.array([1, 3, 2], np.float32)})["classes"].tolist() == [1, 2]


@given(arrays.arrays(np.int64, (2, 6), elements=st.integers(-3, 3)), st.integers(1, 6))
def test_top_k_is_sorted_and_ties_go_to_the_lower_number(scores: Any, k: int) -> None:
    answers = plan_of([{"top_k": k}], ("INT64", [-1, 6])).convert_outputs({"y": scores})
    for row in range(2):
        expected = sorted(range(6), key=lambda place: (-scores[row, place], place))[:k]
        assert answers["classes"][row].tolist() == expected
        assert answers["probabilities"][row].tolist() == scores[row, expected].tolist()


def test_not_a_number_comes_last(answer: Any) -> None:
    assert answer([{"top_k": 3}], np.array([[np.nan, 1, 2]], np.float32), SCORES)["classes"].tolist() == [[2, 1, 0]]


@pytest.mark.parametrize(
    ("parameters", "shape", "message", "where"),
    [
        ({"k": 4}, [-1, 3], "top_k: k is 4 but there are only 3 classes", ["k"]),
        ({"k": 4, "labels": list("abc")}, [-1, -1], "top_k: k is 4 but there are only 3 classes", ["k"]),
        ({"k": 0}, [-1, 3], "top_k: k must be a whole number from 1, not 0", ["k"]),
        (
            {"k": 1, "labels": ["a", "b"]},
            [-1, 3],
            "top_k: the list of labels has 2 labels but the output has 3 classes",
            ["labels"],
        ),
        (
            {"k": 1, "probabilities": "classes"},
            [-1, 3],
            "top_k: classes and probabilities must have different names",
            ["probabilities"],
        ),
        (
            {"k": 1, "labels": {"0": "a", "2": "b", "1": "c", "7": "d"}},
            [-1, -1],
            "top_k: the list of labels has numbers other than 0 to 3",
            ["labels"],
        ),
        (
            {"k": 1, "labels": {"a": "b"}},
            [-1, 1],
            'top_k: the list of labels: {"a": "b"} is not a class number with its name',
            ["labels"],
        ),
        (
            {"k": 1, "labels": []},
            [-1, 1],
            "top_k: labels must be a file in the model's folder, a list of names, or a table of number = name, not []",
            ["labels"],
        ),
    ],
)
def test_top_k_must_fit_the_classes(output_error: Any, parameters: Any, shape: Any, message: str, where: Any) -> None:
    error = output_error([{"top_k": parameters}], ("FP32", shape))
    assert error.message == message
    assert error.where == ["outputs", 0, "convert", 0, "top_k", *where]


def test_classes_that_were_not_known_are_checked_at_run_time(answer: Any) -> None:
    gives = ("FP32", [-1, -1])
    with pytest.raises(OutputError, match="k is 2 but the model gave only 1 classes"):
        answer([{"top_k": 2}], np.zeros((1, 1), np.float32), gives)
    with pytest.raises(OutputError, match="there are 2 labels but the model gave 3 classes"):
        answer([{"top_k": {"k": 1, "labels": ["a", "b"]}}], np.zeros((1, 3), np.float32), gives)
    with pytest.raises(OutputError, match="a value does not fit FP32"):
        answer([{"top_k": 1}], np.full((1, 3), 1e300), ("FP64", [-1, 3]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", "cat\r\n dog \ncow\n\n"),
        ("labels.txt", "\ufeffcat\ndog\ncow"),
        ("labels.json", json.dumps(["cat", "dog", "cow"])),
        ("index_to_name.json", json.dumps({"1": "dog", "0": "cat", "2": "cow"})),
        ("index_to_name.json", json.dumps({"0": ["n01", "cat"], "1": ["n02", "dog"], "2": ["n03", "cow"]})),
        ("index_to_name.json", json.dumps({"object_type_names": ["cat", "dog", "cow"]})),
    ],
)
def test_labels_are_read_from_files(answer: Any, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert answer([{"argmax": name}], np.eye(3, dtype=np.float32), SCORES).tolist() == [b"cat", b"dog", b"cow"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.txt", b"a\n\nb", "labels.txt has no label on line 2"),
        ("labels.txt", b"", "labels.txt has no labels"),
        ("labels.txt", b"a\n\xff", "the file labels.txt is not UTF-8 (byte 2)"),
        ("labels.txt", b"a\nb", "labels.txt has 2 labels but the output has 3 classes"),
        ("labels.json", b"{", "labels.json is not JSON: Expecting property name"),
        ("labels.json", b"3", "labels.json must hold a JSON object of number and name"),
        ("labels.json", b"{}", "labels.json has no labels"),
        ("labels.json", b'{"0": 3}', 'labels.json: {"0": 3} is not a class number with its name'),
        ("labels.json", b'{"0": "a", "00": "b"}', 'labels.json: {"00": "b"} is not a class number with its name'),
        ("labels.json", b'{"-1": "a"}', 'labels.json: {"-1": "a"} is not a class number with its name'),
        ("labels.json", b'{"1234567890": "a"}', 'labels.json: {"1234567890": "a"} is not a class number with its name'),
    ],
)
def test_a_wrong_file_of_labels_is_refused(
    output_error: Any, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    error = output_error([{"top_k": {"k": 1, "labels": name}}], SCORES)
    assert error.message.startswith(f"top_k: {message}")
    assert error.where == ["outputs", 0, "convert", 0, "top_k", "labels"]


def test_label_names_class_numbers_also_with_gaps(answer: Any) -> None:
    assert answer([{"label": ["no", "yes"]}], np.array([1, 0]), ("INT64", [-1])).tolist() == [b"yes", b"no"]
    steps = [{"label": {"labels": {"3": "cat", "7": "dog"}}}]
    result = answer(steps, np.array([[7, 3]], np.uint8), ("UINT8", [-1, 2]))
    assert result.tolist() == [[b"dog", b"cat"]]


@pytest.mark.parametrize("number", [0, 5, 9, -1])
def test_a_class_without_a_name_is_an_output_error(answer: Any, number: int) -> None:
    steps = [{"label": {"labels": {"3": "cat", "7": "dog"}}}]
    with pytest.raises(OutputError, match=f'output "y": class {number} has no name in the list of labels'):
        answer(steps, np.array([3, number]), ("INT64", [-1]))


def test_a_threshold_can_be_named(answer: Any) -> None:
    steps = ["sigmoid", {"threshold": 0.5}, {"label": ["ham", "spam"]}]
    assert answer(steps, np.array([-1, 1], np.float32), ("FP32", [-1])).tolist() == [b"ham", b"spam"]
