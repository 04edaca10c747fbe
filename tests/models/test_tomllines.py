"""The line of a key in TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.models.tomllines import KeyPath, key_lines, line_of

MANIFEST = '''\
# a comment with [brackets] and "quotes"
name = "squeezenet"
deadline_s = 1.5  # trailing
text = """one
[not.a.header]
x = "\\""""""
raw = \'\'\'
y = 1'\'\'\'

[environment]
variables = { "A.B" = "}", 'c d' = "#", e = ["]", { f = 1 }] }
build.flags.wide = true

[[inputs]]
name = "image"
convert = [  # steps
  "decode_image",

  { resize = { size = [227,
                       227], mode = "bilinear" } },
]

[[inputs]]
name = "mask"

  [inputs.extra.deep]
  at = 1979-05-27 07:32:00

[ batching . "quoted key" ]
rows = 3
[batching]
delay = +inf
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("deadline_s",), 3),
        (("text",), 4),
        (("raw",), 7),
        (("environment",), 10),
        (("environment", "variables", "A.B"), 11),
        (("environment", "variables", "c d"), 11),
        (("environment", "variables", "e", 1, "f"), 11),
        (("environment", "build", "flags"), 12),
        (("environment", "build", "flags", "wide"), 12),
        (("inputs",), 14),
        (("inputs", 0), 14),
        (("inputs", 0, "name"), 15),
        (("inputs", 0, "convert", 0), 17),
        (("inputs", 0, "convert", 1, "resize", "size"), 19),
        (("inputs", 0, "convert", 1, "resize", "size", 1), 20),
        (("inputs", 0, "convert", 1, "resize", "mode"), 20),
        (("inputs", 1, "name"), 24),
        (("inputs", 1, "extra"), 26),
        (("inputs", 1, "extra", "deep", "at"), 27),
        (("batching", "quoted key", "rows"), 30),
        (("batching",), 31),
        (("batching", "delay"), 32),
    ],
)
def test_each_key_of_a_document_has_its_line(path: KeyPath, line: int) -> None:
    assert line_of(MANIFEST, path) == line


def test_the_example_is_what_tomllib_reads() -> None:
    assert _paths(tomllib.loads(MANIFEST)) == set(key_lines(MANIFEST))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("inputs", 1, "feeds"), 23),
        (("inputs", 1, "extra", "deep", "missing", 4, "x"), 26),
        (("inputs", 9, "name"), 14),
        (("nothing", "of", "it"), 1),
        ((), 1),
    ],
)
def test_a_key_that_is_not_there_falls_back_to_the_nearest_around_it(path: KeyPath, line: int) -> None:
    assert line_of(MANIFEST, path) == line


def test_lines_count_the_same_with_windows_line_ends() -> None:
    assert key_lines(MANIFEST.replace("\n", "\r\n")) == key_lines(MANIFEST)


def test_text_that_ends_too_early_still_gives_the_lines_before() -> None:
    assert key_lines("a = 1\nb = [1, {c = 2}, \n") == {
        ("a",): 1, ("b",): 2, ("b", 0): 2, ("b", 1): 2, ("b", 1, "c"): 2, ("b", 2): 3,
    }  # fmt: skip


def test_a_header_that_does_not_close_still_gives_the_lines_before() -> None:
    assert key_lines("a = 1\n[b\nc = 1") == {("a",): 1}


def test_arrays_nested_deeper_than_a_stack_fall_back() -> None:
    assert line_of("a = 1\nb = " + "[" * 100_000, ("b", 0, 0, "deep")) == 2


@given(st.text(alphabet="a.=[]{},\"'#\\\n 1"))
def test_any_text_at_all_has_an_answer(text: str) -> None:
    assert line_of(text, ("a", 0)) >= 1


class _Writer:
    """Writes values as TOML in one of the many ways there are, and notes the line at which each key began."""

    def __init__(self, draw: Any) -> None:
        self.text = ""
        self.lines: dict[KeyPath, int] = {}
        self._draw = draw

    def put(self, text: str) -> None:
        self.text += text

    def mark(self, path: KeyPath) -> None:
        self.lines[path] = self.text.count("\n") + 1

    def choose(self, *options: str) -> str:
        return str(self._draw(st.sampled_from(options)))

    def key(self, name: str) -> str:
        quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
        return self.choose(quoted, name) if bare else quoted

    def pair(self, path: KeyPath, name: str, value: Any) -> None:
        self.mark((*path, name))
        self.put(f"{self.key(name)}{self.choose(' = ', '=')}")
        self.value((*path, name), value)

    def value(self, path: KeyPath, value: Any) -> None:
        if isinstance(value, dict):
            self.inline_table(path, value)
        elif isinstance(value, list):
            self.array(path, value)
        else:
            self.put(self.scalar(value))

    def inline_table(self, path: KeyPath, value: dict[str, Any]) -> None:
        self.put("{ ")
        for index, (name, inner) in enumerate(value.items()):
            self.put(", " if index else "")
            self.pair(path, name, inner)
        self.put("}")

    def array(self, path: KeyPath, value: list[Any]) -> None:
        self.put("[")
        for index, inner in enumerate(value):
            self.put(self.choose("", " ", "\n  ", "  # [ } , \" '''\n\n"))
            self.mark((*path, index))
            self.value((*path, index), inner)
            self.put(self.choose(",", " ,", "\n,"))
        self.put("]")

    def scalar(self, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, str):
            return repr(value)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        forms = [f'"{escaped}"', f'"""\n{escaped}"""']
        if "'" not in value:
            forms += [f"'{value}'", f"'''\n{value}'''"]
        return self.choose(*forms)

    def table(self, path: KeyPath, value: dict[str, Any]) -> None:
        """Plain values first, then what may be written below headers of its own."""
        later = {name: inner for name, inner in value.items() if self.may_have_header(inner)}
        for name, inner in value.items():
            if name not in later:
                self.pair(path, name, inner)
                self.put(self.choose("\n", "  # x = [1\n", "\n\n"))
        for name, inner in later.items():
            header = ".".join(self.key(part) for part in (*path, name) if isinstance(part, str))
            if isinstance(inner, dict):
                self.mark((*path, name))
                self.put(f"[{header}]\n")
                self.table((*path, name), inner)
            else:
                self.mark((*path, name))
                for index, element in enumerate(inner):
                    self.mark((*path, name, index))
                    self.put(f"[[ {header} ]]\n")
                    self.table((*path, name, index), element)

    def may_have_header(self, value: Any) -> bool:
        is_tables = isinstance(value, list) and value != [] and all(isinstance(inner, dict) for inner in value)
        return (is_tables or isinstance(value, dict)) and self.choose("header", "inline") == "header"


_NAMES = st.text(alphabet="ab-_ .\"'[#\\é", min_size=1, max_size=4)
_SCALARS = st.integers(0, 99) | st.booleans() | st.text(alphabet="a\"'[]{}#=,\\ ", max_size=6)
_TABLES = st.dictionaries(
    _NAMES,
    st.recursive(
        _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=8
    ),
    max_size=4,
)


@given(st.data())
def test_every_key_that_tomllib_reads_is_found_where_it_was_written(data: st.DataObject) -> None:
    document = data.draw(_TABLES)
    writer = _Writer(data.draw)
    writer.table((), document)
    assert tomllib.loads(writer.text) == document
    assert key_lines(writer.text) == writer.lines


def _paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, (dict, list)):
        items = list(value.items() if isinstance(value, dict) else enumerate(value))
    return {(*path, key) for key, _ in items} | {deep for key, inner in items for deep in _paths(inner, (*path, key))}
