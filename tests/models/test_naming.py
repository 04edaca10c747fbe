"""What models may be called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.models.naming import choose_name, clean_name, is_name, stem


@pytest.mark.parametrize("name", ["a", "7", "squeezenet_v1.1", "Model-2", "a" * 128])
def test_a_name_is_letters_digits_dots_dashes_and_underscores(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", ".a", "-a", "_a", "a/b", "a b", "ä", "a" * 129, "a\n", "../x", "a:b"])
def test_anything_else_is_no_name(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("my model", "my-model"),
        ("  Größe (final)  ", "Groe-final"),
        ("__init__", "init__"),
        ("a//b\\c", "a-b-c"),
        ("模型", ""),
        ("...", ""),
        ("fine_1.0", "fine_1.0"),
    ],
)
def test_cleaning_keeps_what_it_can(text: str, name: str) -> None:
    assert clean_name(text) == name


@given(st.text(max_size=300))
def test_what_cleaning_leaves_is_a_name(text: str) -> None:
    cleaned = clean_name(text)
    assert cleaned == "" or is_name(cleaned)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True).filter(lambda name: name[-1] != "-"))
def test_cleaning_changes_no_name(name: str) -> None:
    assert clean_name(name) == name


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("model.onnx", "model"),
        ("squeezenet_v1.1.onnx", "squeezenet_v1.1"),
        ("iris.joblib.gz", "iris"),
        ("iris.pkl.bz2", "iris"),
        ("archive.tar.gz", "archive"),
        ("plain", "plain"),
        (".hidden", ".hidden"),
    ],
)
def test_a_stem_is_the_file_name_without_its_format(file: str, expected: str) -> None:
    assert stem(file) == expected


def test_a_given_name_goes_before_all_others() -> None:
    assert choose_name("mine", "its own", "path") == ("mine", None)


def test_a_models_own_name_goes_before_its_paths() -> None:
    assert choose_name(None, "own", "path") == ("own", None)


def test_a_name_that_had_to_be_cleaned_is_told() -> None:
    name, note = choose_name(None, None, "my model")
    assert name == "my-model"
    assert note is not None
    assert note.startswith("named my-model, because `my model` is not 1 to 128 letters")
