from typing import Annotated, Literal

import msgspec
import pytest

from salver.settings.values import as_text, checked, expectation, from_text, from_texts, without_password

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Time = Annotated[float, msgspec.Meta(gt=0)]
Choice = Literal["loopback", "all"]
Choices = tuple[Literal["mms", "tfserving"], ...]
Names = tuple[str, ...]


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (Port, "8080", 8080),
        (Port, " 0 ", 0),
        (Time, "2", 2.0),
        (Time, "0.5", 0.5),
        (float, "1e3", 1000.0),
        (bool, "true", True),
        (bool, "0", False),
        (str, "~/data", "~/data"),
        (Choice, "all", "all"),
        (Names, "a, b,,c", ("a", "b", "c")),
        (Names, "", ()),
        (Choices, "mms", ("mms",)),
    ],
)
def test_text_becomes_a_value_of_the_type(type_, text, value):
    read = from_text(type_, text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (Port, "70000"),
        (Port, "http"),
        (Port, ""),
        (Count, "0"),
        (Time, "0"),
        (Time, "nan"),
        (Time, "inf"),
        (bool, "perhaps"),
        (Choice, "everybody"),
        (Choices, "mms,grpc"),
    ],
)
def test_text_that_is_no_such_value_is_refused(type_, text):
    with pytest.raises(ValueError):  # noqa: PT011  the message is never shown
        from_text(type_, text)


def test_a_repeated_flag_makes_one_list():
    assert from_texts(Names, ("a,b", "c")) == ("a", "b", "c")


def test_a_file_gives_typed_values_and_no_text_is_read_as_a_number():
    assert checked(Names, ["a"]) == ("a",)
    assert checked(Time, 3) == 3.0
    with pytest.raises(ValueError):  # noqa: PT011
        checked(Port, "8080")
    with pytest.raises(ValueError):  # noqa: PT011
        checked(Count, True)


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (str, "text"),
        (bool, "true or false"),
        (int, "a whole number"),
        (Port, "a whole number from 0 to 65535"),
        (Count, "a whole number, 1 or more"),
        (Time, "a number above 0"),
        (Annotated[str, msgspec.Meta(max_length=9)], "text"),
        (Choice, "one of loopback, all"),
        (Names, "a list of text"),
        (Choices, "a list of mms, tfserving"),
    ],
)
def test_what_is_expected_is_said_in_words(type_, words):
    assert expectation(type_) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (("a", "b"), "a,b"), (30.0, "30"), (0.5, "0.5"), (8080, "8080"), ("-", "-")],
)
def test_a_value_is_written_as_a_variable_would_spell_it(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("postgresql://salver:secret@db/salver", "postgresql://salver:***@db/salver"),
        ("postgresql://salver:se:c@r/et@db/salver", "postgresql://salver:***@db/salver"),
        ("postgresql://:secret@db/salver", "postgresql://:***@db/salver"),
        ("postgresql://db/salver?user=x&password=secret&a=b", "postgresql://db/salver?user=x&password=***&a=b"),
        ("postgresql://salver@db:5432/salver", "postgresql://salver@db:5432/salver"),
        ("", ""),
        ("~/.salver", "~/.salver"),
        (8080, 8080),
        (("a", "b"), ("a", "b")),
    ],
)
def test_a_password_in_a_url_is_not_shown(value, shown):
    assert without_password(value) == shown
