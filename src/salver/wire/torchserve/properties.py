"""The grammar of Java's properties files (java.util.Properties.load), and the variables in their values. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from salver.errors import Code, StartupError

_BLANKS = " \t\f"
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_UNICODE = re.compile(r"[0-9A-Fa-f]{4}")
_VARIABLE = re.compile(r"\$\$([^$]+)\$\$")


def parse_properties(text: str, name: str) -> dict[str, str]:
    """The values by their keys; of a key that comes twice the last one counts.

    `name` is what an error calls the file. Raises StartupError(SETTINGS_INVALID) for a broken `\\u` escape.
    """
    properties: dict[str, str] = {}
    for number, line in _logical_lines(text):
        end = _end_of_key(line)
        rest = line[end:].lstrip(_BLANKS)
        if rest[:1] in ("=", ":") and rest:
            rest = rest[1:].lstrip(_BLANKS)
        place = f"{name} line {number}"
        properties[_unescaped(line[:end], place)] = _unescaped(rest, place)
    return properties


def with_variables(properties: Mapping[str, str], environment: Mapping[str, str], name: str) -> dict[str, str]:
    """Each `$$NAME$$` replaced by that variable. Raises StartupError(SETTINGS_INVALID) when there is none."""

    def value_of(found: re.Match[str], key: str) -> str:
        if found[1] in environment:
            return environment[found[1]]
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"{name}: {key} needs the variable {found[1]}, which is not set.",
            fix=f"Set {found[1]}, or write the value itself.",
        )

    return {
        key: _VARIABLE.sub(lambda found, key=key: value_of(found, key), value)  # type: ignore[misc]
        for key, value in properties.items()
    }


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that say something, with the number of their first; a backslash at the end goes on in the next."""
    begun: tuple[int, str] | None = None
    for number, natural in enumerate(_LINE_ENDS.split(text), 1):
        line = natural.lstrip(_BLANKS)
        if begun is None and line[:1] in ("", "#", "!"):
            continue
        first, before = begun or (number, "")
        if _goes_on(line):
            begun = first, before + line[:-1]
        else:
            begun = None
            yield first, before + line
    if begun is not None:
        yield begun


def _goes_on(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _end_of_key(line: str) -> int:
    """The first sign that ends a key and is not escaped."""
    is_escaped = False
    for index, sign in enumerate(line):
        if sign in "=:" + _BLANKS and not is_escaped:
            return index
        is_escaped = sign == "\\" and not is_escaped
    return len(line)


def _unescaped(text: str, place: str) -> str:
    signs: list[str] = []
    index = 0
    while index < len(text):
        if text[index] != "\\":
            signs.append(text[index])
            index += 1
            continue
        letter = text[index + 1 : index + 2]
        if letter == "u":
            digits = _UNICODE.match(text, index + 2)
            if digits is None:
                message = f"{place}: \\u must be followed by four hex digits."
                raise StartupError(Code.SETTINGS_INVALID, message, fix="Write a backslash twice if one is meant.")
            signs.append(chr(int(digits[0], 16)))
            index += 6
            continue
        signs.append(_ESCAPED.get(letter, letter))
        index += 2
    return "".join(signs).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
