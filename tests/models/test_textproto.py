"""Protobuf's text format, held to protobuf's own reader and writer."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from salver.models import textproto
from salver.models.textproto import Message, TextProtoError, parse

COLOURS = {"RED": 0, "GREEN": 1, "BLUE": -2}

MODELS = r"""
# what TensorFlow Serving's users write
model_config_list: {
  config: {
    name: "half_" 'plus' "_two",
    base_path: "/models/caf\303\251\u00e9\x41";
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 123 versions: [124, 0x7d] } }
    version_labels { key: "stable" value: 123 }
    version_labels < key: 'canary', value: 124 >
  }
  config { name: "empty" }
}
"""


def test_a_model_config_file_is_read_as_it_is_written() -> None:
    (models,) = parse(MODELS).messages("model_config_list")
    first, second = models.messages("config")
    assert first.string("name") == "half_plus_two"
    assert first.string("base_path") == "/models/cafééA"
    policy = first.message("model_version_policy")
    assert policy is not None
    specific = policy.message("specific")
    assert specific is not None
    assert specific.integers("versions") == (123, 124, 125)
    labels = {key: entry.integer("value") for key, entry in first.entries("version_labels").items()}
    assert labels == {"stable": 123, "canary": 124}
    assert second.message("model_version_policy") is None
    assert not second.has("base_path")
    assert [field.name for field in first.beyond({"name", "base_path"})] == [
        "model_platform",
        "model_version_policy",
        "version_labels",
        "version_labels",
    ]


def test_tritons_own_examples_are_read(data: Path) -> None:
    texts = sorted((data / "triton").glob("*/config.pbtxt"))
    assert len(texts) == 5
    for path in texts:
        config = parse(path.read_text())
        assert config.string("name") == path.parent.name
        assert config.integer("max_batch_size", within=textproto.INT32) == 8
        assert all(tensor.integers("dims") for tensor in config.messages("input"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x: 1.5", 1.5), ("x: -.5", -0.5), ("x: 2.", 2.0), ("x: 1e3", 1000.0), ("x: 1.5E-1f", 0.15), ("x: 7f", 7.0),
        ("x: 010", 8.0), ("x: -0x1F", -31.0), ("x: - 3", -3.0), ("x: inf", math.inf), ("x: -Infinity", -math.inf),
        ("x: 0", 0.0),
    ],
)  # fmt: skip
def test_numbers_are_those_of_the_format(text: str, value: float) -> None:
    assert parse(text).number("x") == value


def test_what_is_not_there_has_its_default() -> None:
    empty = parse("  # nothing\n")
    assert (empty.string("x"), empty.string("x", "none"), empty.data("x"), empty.integer("x")) == ("", "none", b"", 0)
    assert (empty.number("x"), empty.boolean("x"), empty.enum("x", COLOURS, "RED")) == (0.0, False, "RED")
    assert (empty.message("x"), empty.messages("x"), empty.strings("x")) == (None, (), ())
    assert math.isnan(parse("x: nan").number("x"))


def test_lists_of_every_kind() -> None:
    message = parse(
        "b: [true, f, 1] c: [RED, 1, BLUE, -2] n: [1, .5] s: ['a', 'b' 'c'] m [{ x: 1 }, < >] e: [] f: 1, f: 2;"
    )
    assert message.booleans("b") == (True, False, True)
    assert message.enums("c", COLOURS) == ("RED", "GREEN", "BLUE", "BLUE")
    assert message.numbers("n") == (1.0, 0.5)
    assert message.strings("s") == ("a", "bc")
    assert [inner.integer("x") for inner in message.messages("m")] == [1, 0]
    assert message.integers("e") == ()
    assert message.integers("f") == (1, 2)


def test_every_escape() -> None:
    assert parse(r"""x: "\a\b\f\n\r\t\v\?\\\'\"\0\377\xfg\U0001F600" """).data("x") == (
        b"\a\b\f\n\r\t\v?\\'\"\x00\xff\x0fg" + "😀".encode()
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name 3", "line 1, column 6: expected a colon behind name, found 3"),
        ("a: 1\n b { c: }", "line 2, column 9: expected a value, found }"),
        ("a {\n  b: 1\n", "line 3, column 1: expected a field's name, found the end of the text"),
        ("a { b: 1 >", "line 1, column 10: expected a field's name, found >"),
        ("3: 4", "line 1, column 1: expected a field's name, found 3"),
        ("[type.googleapis.com/x] { }", "line 1, column 1: extensions and Any are not read"),
        ("a: [1 2]", "line 1, column 7: expected a comma or ], found 2"),
        ("a: [1,]", "line 1, column 7: expected a value, found ]"),
        ("a [1]", "line 1, column 4: expected a message in braces, found 1"),
        ("a: -b", "line 1, column 5: expected a number behind the minus, found b"),
        ('a: "x\n"', "line 1, column 4: a string does not end on its line"),
        (r'a: "\q"', r"line 1, column 4: there is no escape \q"),
        (r'a: "\400"', r"line 1, column 4: the escape \400 is more than one byte"),
        (r'a: "\ud800"', r"line 1, column 4: the escape \ud800 is no character"),
        (r'a: "\U00110000"', r"line 1, column 4: the escape \U00110000 is no character"),
        ('a: "\ud800"', "line 1, column 4: a string holds half of a surrogate pair"),
        ("a: 08", "line 1, column 4: 08 begins with 0, so it is octal, and has a digit above 7"),
        ("a: 12b", "line 1, column 6: 12 runs into what follows it"),
        ("a: 1.2.3", "line 1, column 7: 1.2 runs into what follows it"),
        ("a: €", "line 1, column 4: '€' has no meaning here"),
        (f"a: {'9' * 401}", "line 1, column 4: a number has 401 characters, the limit is 400"),
        ("a:" + "{a:" * 101, "line 1, column 303: messages nest deeper than 100"),
    ],
)
def test_what_is_no_message_is_refused_at_its_place(text: str, said: str) -> None:
    with pytest.raises(TextProtoError) as refused:
        parse(text)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("method", "text", "said"),
    [
        ("string", "x: 1", "line 1, column 4: x must be a string, not 1"),
        ("string", "x { }", "line 1, column 3: x must be a string, not a message"),
        ("string", r'x: "\377"', "line 1, column 4: x is no UTF-8"),
        ("string", "x: 'a'\nx: 'b'", "line 2, column 1: x stands twice, and it may stand once"),
        ("integer", "x: 1.0", "line 1, column 4: x must be a whole number, not 1.0"),
        ("integer", "x { }", "line 1, column 3: x must be a whole number, not a message"),
        ("integer", "x: -0x8000000000000001", "x must be between -9223372036854775808 and 9223372036854775807, not"),
        ("number", "x: '1'", "line 1, column 4: x must be a number, not '1'"),
        ("number", "x: one", "line 1, column 4: x must be a number, not one"),
        ("number", "x { }", "line 1, column 3: x must be a number, not a message"),
        ("boolean", "x: 2", "line 1, column 4: x must be true or false, not 2"),
        ("boolean", "x { }", "line 1, column 3: x must be true or false, not a message"),
        ("message", "x: 2", "line 1, column 4: x must be a message in braces, not 2"),
    ],
)
def test_a_value_that_is_none_of_its_field_is_refused_at_its_place(method: str, text: str, said: str) -> None:
    with pytest.raises(TextProtoError) as refused:
        getattr(parse(text), method)("x")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x: PINK", "x must be one of RED, GREEN, BLUE, not PINK"),
        ("x: 7", "x must be one of RED, GREEN, BLUE, not 7"),
        ("x: 'RED'", "x must be a name, not 'RED'"),
        ("x { }", "x must be a name, not a message"),
    ],
)
def test_an_enum_takes_its_names_and_their_numbers_only(text: str, said: str) -> None:
    with pytest.raises(TextProtoError, match=said):
        parse(text).enum("x", COLOURS)


def test_a_text_beyond_the_limit_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textproto, "MAX_CHARACTERS", 10)
    with pytest.raises(TextProtoError, match="the text has 11 characters, the limit is 10"):
        parse("a: 12345678")


def _sample_type() -> Any:
    """A message type with a field of every kind, made here so that no generated code is needed."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="sample.proto", package="sample", syntax="proto2")
    sample = file.message_type.add(name="Sample")
    plain = {
        "data": field.TYPE_BYTES,
        "text": field.TYPE_STRING,
        "whole": field.TYPE_INT64,
        "number": field.TYPE_DOUBLE,
        "flag": field.TYPE_BOOL,
    }
    for number, (name, kind) in enumerate(plain.items(), 1):
        sample.field.add(name=name, number=number, type=kind, label=field.LABEL_REPEATED)
    named = {"colour": field.TYPE_ENUM, "inner": field.TYPE_MESSAGE}
    types = {"colour": ".sample.Colour", "inner": ".sample.Sample"}
    for number, (name, kind) in enumerate(named.items(), 6):
        sample.field.add(name=name, number=number, type=kind, label=field.LABEL_REPEATED, type_name=types[name])
    colour = file.enum_type.add(name="Colour")
    for name, number in COLOURS.items():
        colour.value.add(name=name, number=number)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sample.Sample"))


Sample = _sample_type()
LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "data": st.lists(st.binary(max_size=8), max_size=3),
    "text": st.lists(st.text(max_size=8), max_size=3),
    "whole": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
    "number": st.lists(st.floats(allow_nan=False), max_size=3),
    "flag": st.lists(st.booleans(), max_size=3),
    "colour": st.lists(st.sampled_from(sorted(COLOURS.values())), max_size=3),
}
SAMPLES = st.recursive(
    st.fixed_dictionaries({}, optional=LEAVES),
    lambda inner: st.fixed_dictionaries({}, optional={**LEAVES, "inner": st.lists(inner, max_size=3)}),
    max_leaves=6,
)


def _values(message: Message) -> dict[str, Any]:
    found = {
        "data": message._all("data", textproto._data),
        "text": message.strings("text"),
        "whole": message.integers("whole"),
        "number": message.numbers("number"),
        "flag": message.booleans("flag"),
        "colour": tuple(COLOURS[name] for name in message.enums("colour", COLOURS)),
        "inner": tuple(_values(inner) for inner in message.messages("inner")),
    }
    return {name: list(value) for name, value in found.items() if value}


def _without_blanks(sample: dict[str, Any]) -> dict[str, Any]:
    return {name: [_without_blanks(item) if isinstance(item, dict) else item for item in value]
            for name, value in sample.items() if value}  # fmt: skip


@given(SAMPLES, st.booleans(), st.booleans(), st.booleans())
def test_what_protobuf_writes_is_read_back(sample: dict[str, Any], one_line: bool, short: bool, utf8: bool) -> None:
    text = text_format.MessageToString(
        Sample(**sample), as_one_line=one_line, use_short_repeated_primitives=short, as_utf8=utf8
    )
    assert _values(parse(text)) == _without_blanks(sample)


WORDS = st.sampled_from(
    ["text", "whole", "number", "flag", "colour", "inner", ":", "{", "}", "<", ">", "[", "]", ",", ";", "-", "1", "017",
     "0x1f", "1.5", "2e3", "inf", "true", "RED", "GREEN", "'a'", '"b\\n"', "# note\n", "\n"]
)  # fmt: skip


@settings(max_examples=500)
@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_whatever_protobuf_reads_is_read_the_same(text: str) -> None:
    try:
        known = text_format.Parse(text, Sample())
    except (text_format.ParseError, ValueError):
        known = None
    if known is not None:
        again = text_format.Parse(text_format.MessageToString(known), Sample())
        assert _values(parse(text)) == _values(parse(text_format.MessageToString(again)))


@given(st.text(alphabet=st.sampled_from(list("ab{}<>[]:,;-/.\"'\\#\n 0189xXeEfF_é\ud800")), max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    with suppress(TextProtoError):
        assert isinstance(parse(text), Message)
