"""Finds the line of a key in TOML text, so that an error about a value can point at the place where it is written.

The text is expected to be valid TOML: ``tomllib`` judges that and has lines of its own for what it refuses. What is not
valid ends the search early; the lines found until then still answer.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACES = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED_KEY = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'')
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # up to two quotes may stand right before the closing three
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\[\]{}#\n]+")


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line (from 1) of the value at `path`, else of the nearest key around it, else 1."""
    lines = key_lines(text)
    return next((lines[key] for key in _inwards_out(tuple(path)) if key in lines), 1)


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line of every key and of every element of an array, by path."""
    scanner = _Scanner(text)
    with suppress(ValueError, RecursionError):  # not TOML, or nested deeper than a stack: what was found still helps
        scanner.read_document()
    return scanner.lines


def _inwards_out(path: KeyPath) -> list[KeyPath]:
    return [path[:length] for length in range(len(path), 0, -1)]


class _Scanner:
    """Walks the text once. A table that several headers mention belongs to the header that opens it by its own name."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._position = 0
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._array_sizes: dict[KeyPath, int] = {}

    def read_document(self) -> None:
        table: KeyPath = ()
        while True:
            self._take(_BLANK)
            if self._position == len(self._text):
                return
            if self._is_at("["):
                table = self._read_header()
            else:
                self._read_pair(table)

    def _read_header(self) -> KeyPath:
        line = self._line()
        is_array = self._is_at("[[")
        self._expect("[[" if is_array else "[")
        *parents, name = self._read_key()
        self._expect("]]" if is_array else "]")
        path = (*self._enter((), parents, line), name)
        if not is_array:
            self.lines[path] = line
            return path
        index = self._array_sizes.get(path, 0)
        self._array_sizes[path] = index + 1
        self.lines.setdefault(path, line)
        self.lines[(*path, index)] = line
        return (*path, index)

    def _enter(self, table: KeyPath, names: list[str], line: int) -> KeyPath:
        """The path of `names` below `table`; an array of tables stands for its last element."""
        for name in names:
            table = (*table, name)
            self.lines.setdefault(table, line)
            if table in self._array_sizes:
                table = (*table, self._array_sizes[table] - 1)
        return table

    def _read_pair(self, table: KeyPath) -> None:
        line = self._line()
        *parents, name = self._read_key()
        path = (*self._enter(table, parents, line), name)
        self.lines[path] = line
        self._expect("=")
        self._take(_SPACES)
        self._read_value(path)

    def _read_key(self) -> list[str]:
        names = []
        while True:
            self._take(_SPACES)
            quoted = self._is_at('"') or self._is_at("'")
            name = self._take(_QUOTED_KEY if quoted else _BARE_KEY)
            names.append(tomllib.loads(f"key = {name}")["key"] if quoted else name)
            self._take(_SPACES)
            if not self._is_at("."):
                return names
            self._expect(".")

    def _read_value(self, path: KeyPath) -> None:
        if self._is_at("["):
            self._read_array(path)
        elif self._is_at("{"):
            self._read_inline_table(path)
        elif self._is_at('"') or self._is_at("'"):
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _read_array(self, path: KeyPath) -> None:
        self._expect("[")
        index = 0
        while not self._is_past("]"):
            element = (*path, index)
            self.lines[element] = self._line()
            self._read_value(element)
            self._is_past(",")
            index += 1

    def _read_inline_table(self, path: KeyPath) -> None:
        self._expect("{")
        while not self._is_past("}"):
            self._read_pair(path)
            self._is_past(",")

    def _is_past(self, mark: str) -> bool:
        """Step over blanks, and over `mark` when it comes next."""
        self._take(_BLANK)
        if not self._is_at(mark):
            return False
        self._expect(mark)
        return True

    def _is_at(self, mark: str) -> bool:
        return self._text.startswith(mark, self._position)

    def _expect(self, mark: str) -> None:
        if not self._is_at(mark):
            raise ValueError(f"no {mark} at {self._position}")
        self._position += len(mark)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._position)
        if match is None:
            raise ValueError(f"no {pattern.pattern} at {self._position}")
        self._position = match.end()
        return match.group()

    def _line(self) -> int:
        return bisect_left(self._line_ends, self._position) + 1
