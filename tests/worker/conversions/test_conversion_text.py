from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver_worker.conversions.plan import ConversionPlan
from salver_worker.errors import InputError


@pytest.fixture
def tidied(convert: Any, elements: Any) -> Any:
    def run(parameters: Any, *texts: Any) -> list[bytes]:
        result: list[bytes] = convert([{"text": parameters}], elements(*texts), ("BYTES", [-1])).tolist()
        return result

    return run


@pytest.mark.parametrize(
    ("parameters", "text", "result"),
    [
        ({}, " As It Is ", " As It Is "),
        ({"lower": True, "strip": True}, " ÄB ", "äb"),
        ({"max_length": 2}, "äöü", "äö"),
        ({"unicode": "NFKC"}, "ﬁ", "fi"),
        ({"replace": [[r"\s+", " "], ["(a)(b)", r"\2\1"]]}, "x \n ab", "x ba"),
        ({"strip": True, "max_length": 1}, "  ab", "a"),
    ],
)
def test_a_text_is_tidied(tidied: Any, parameters: Any, text: str, result: str) -> None:
    assert tidied(parameters, text) == [result.encode()]


def test_other_encodings_become_utf_8(tidied: Any) -> None:
    assert tidied({"encoding": "latin-1"}, b"\xe4") == ["ä".encode()]
    assert tidied({"encoding": "utf-16"}, "ä".encode("utf-16")) == ["ä".encode()]
    assert tidied({}, "\ufeffa") == [b"a"]


def test_bytes_of_another_encoding_are_refused_with_their_row(tidied: Any) -> None:
    with pytest.raises(InputError, match=r'input "x", row 1: the bytes are not UTF-8 text \(byte 1\)'):
        tidied({}, "a", b"a\xff")
    with pytest.raises(InputError, match=r"the bytes are not ascii text \(byte 0\)"):
        tidied({"encoding": "ascii"}, "ä")


def test_texts_keep_the_shape_that_the_model_takes(input_plan: Any, elements: Any) -> None:
    plan = input_plan([{"text": {"lower": True}}], ("BYTES", [-1, 2]))
    assert plan.signature["inputs"][0]["shape"] == [-1, 2]
    assert plan.convert_inputs({"x": elements("A", "B").reshape(1, 2)})["x"].tolist() == [[b"a", b"b"]]
    with pytest.raises(InputError, match="row 1: "):
        plan.convert_inputs({"x": elements("A", "B", b"\xff", "D").reshape(2, 2)})


def test_a_model_of_a_single_text_is_served(input_plan: Any, elements: Any) -> None:
    plan = input_plan([{"text": {"lower": True}}], ("BYTES", []))
    assert plan.convert_inputs({"x": elements("A").reshape(())})["x"].tolist() == b"a"


@pytest.mark.parametrize("replace", [[["(", ""]], [["a", r"\1"]], [["a", r"\g<b>"]]])
def test_a_pattern_that_does_not_work_is_refused(input_error: Any, replace: Any) -> None:
    error = input_error([{"text": {"replace": replace}}], ("BYTES", [-1]))
    assert error.message.startswith(
        f"text: replace has the pattern {replace[0][0]!r} with {replace[0][1]!r}, which does not"
    )
    assert error.where == ["inputs", 0, "convert", 0, "text", "replace"]


@pytest.mark.parametrize("replace", ["a", ["a"], [["a"]], [["a", 1]]])
def test_replacements_are_pairs(input_error: Any, replace: Any) -> None:
    message = input_error([{"text": {"replace": replace}}], ("BYTES", [-1])).message
    assert message.startswith("text: replace must be a list of [pattern, text] pairs, not ")


@given(st.text())
def test_lower_and_strip_are_pythons_own(text: str) -> None:
    signature = {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [-1]}], "outputs": []}
    plan = ConversionPlan.bind(signature, [{"convert": [{"text": {"lower": True, "strip": True}}]}], [], "")
    import numpy as np

    array = np.array([("." + text).encode()], object)
    assert plan.convert_inputs({"x": array})["x"][0].decode() == ("." + text).strip().lower()


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("[PAD]\r\n[UNK]\r\nhello\r\nworld\r\n", encoding="utf-8")
    return path


@pytest.fixture
def numbered(convert: Any, elements: Any, words: Path) -> Any:
    def run(parameters: Any, *texts: Any, width: int = -1) -> Any:
        step = {"vocabulary": {"file": words.name, **parameters}}
        return convert([step], elements(*texts), ("INT64", [-1, width])).tolist()

    return run


def test_tokens_become_numbers_filled_up_to_the_longest(numbered: Any) -> None:
    assert numbered({}, "hello  world", "world", "") == [[2, 3], [3, 0], [0, 0]]
    assert numbered({}) == []


def test_a_length_cuts_and_fills(numbered: Any) -> None:
    parameters = {"length": 3, "unknown": "[UNK]", "pad": 9, "lower": True}
    assert numbered(parameters, "Hello", "hello x world hello", width=3) == [[2, 9, 9], [2, 1, 3]]


def test_characters_can_be_tokens(convert: Any, elements: Any, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text(" \na\n\u2028\n", encoding="utf-8")
    step = {"vocabulary": {"file": "letters.txt", "split": "characters", "unknown": 7, "pad": "a"}}
    assert convert([step], elements("a b\u2028"), ("INT64", [-1, -1])).tolist() == [[1, 0, 7, 2]]


def test_the_file_alone_is_enough(input_plan: Any, words: Path) -> None:
    plan = input_plan([{"text": {"lower": True}}, {"vocabulary": words.name}], ("INT64", [-1, -1]))
    assert plan.signature["inputs"] == [{"name": "x", "datatype": "BYTES", "shape": [-1]}]


def test_a_token_that_is_not_known_is_refused(numbered: Any) -> None:
    with pytest.raises(InputError, match="input \"x\", row 1: the token 'moon' is not in the vocabulary"):
        numbered({}, "hello", "hello moon")


@pytest.mark.parametrize(
    ("content", "parameters", "message", "where"),
    [
        ("a\n\nb", {}, "vocabulary: line 2 of words.txt is empty", ["file"]),
        ("a\nb\na", {}, "vocabulary: line 3 of words.txt repeats line 1", ["file"]),
        ("\n\n", {}, "vocabulary: words.txt has no tokens", ["file"]),
        ("a", {"unknown": "?"}, 'vocabulary: unknown = "?" is not a token of the file', ["unknown"]),
        ("a", {"pad": -1}, "vocabulary: pad must be a token of the file, or its number, not -1", ["pad"]),
        ("a", {"length": 0}, "vocabulary: length must be a positive integer, not 0", ["length"]),
    ],
)
def test_a_vocabulary_must_be_right(
    input_error: Any, words: Path, content: str, parameters: Any, message: str, where: Any
) -> None:
    words.write_text(content, encoding="utf-8")
    error = input_error([{"vocabulary": {"file": words.name, **parameters}}], ("INT64", [-1, -1]))
    assert error.message == message
    assert error.where == ["inputs", 0, "convert", 0, "vocabulary", *where]
