#!/usr/bin/env python3
"""Writes the generated parts of docs/formats.md: what becomes of a value, and the forms of an answer."""

from __future__ import annotations

from pathlib import Path

from salver.serving.payload import media
from salver.serving.payload.coercion import FOUND_IN, TABLE, Group
from salver.wire.native.accept import BYTES_ONLY, NUMBERS_ONLY, ONE_OUTPUT, AnswerKind

PAGE = Path(__file__).resolve().parent.parent / "docs" / "formats.md"
WORDS = {
    AnswerKind.JSON: "model, version and outputs by name; NaN and the infinities are `null`",
    AnswerKind.RAW: "row-major little-endian values, with shape and datatype in headers",
    AnswerKind.NPY: "an `.npy` file",
    AnswerKind.EVENTS: "[the parts of the answer](wires/native.md#answers-in-parts), each in an event as it comes",
    AnswerKind.NPZ: "an `.npz` file with an array for each output",
    AnswerKind.JSON_LINES: "an object of values by output name for each row; NaN and the infinities are `null`",
    AnswerKind.CSV: "a line of headings and one for each row",
    AnswerKind.ARROW: "a stream with one record batch",
    AnswerKind.ARROW_FILE: "the file of such a stream",
    AnswerKind.PARQUET: "a Parquet file",
    AnswerKind.MESSAGE_PACK: "the document of JSON, with NaN, the infinities and bytes as themselves",
    AnswerKind.TEXT: "the elements as they are, one on each line",
    AnswerKind.IMAGE: "the one element, where it is a JPEG, PNG, GIF or WebP; with its own type",
}
OTHER_NAMES = {
    AnswerKind.JSON_LINES: media.JSON_LINES,
    AnswerKind.NPZ: media.NPZ,
    AnswerKind.PARQUET: media.PARQUET,
    AnswerKind.MESSAGE_PACK: media.MESSAGE_PACK,
}


def page(text: str) -> str:
    """The page with its generated parts made anew."""
    for name, made in (("answers", answers()), ("coercions", coercions())):
        begin, end = f"<!-- {name}: written by scripts/docs_formats.py -->", f"<!-- end of {name} -->"
        before, rest = text.split(begin, 1)
        text = f"{before}{begin}\n\n{made}\n\n{end}{rest.split(end, 1)[1]}"
    return text


def answers() -> str:
    lines = ["| `Accept` | answer | for |", "|---|---|---|"]
    for kind in AnswerKind:
        names = [kind.value, *(name for name in OTHER_NAMES.get(kind, ()) if name != kind.value)]
        lines.append(f"| {', '.join(f'`{name}`' for name in names)} | {WORDS[kind]} | {_takes(kind)} |")
    return "\n".join(lines)


def _takes(kind: AnswerKind) -> str:
    count = "one output" if kind in ONE_OUTPUT else "any outputs"
    if kind in BYTES_ONLY:
        return f"{count} of BYTES"
    return f"{count} of numbers" if kind in NUMBERS_ONLY else count


def coercions() -> str:
    lines = [f"| what is sent | into {' | into '.join(group.value for group in Group)} |", "|---" * 5 + "|"]
    lines += [
        f"| {source.value} | {' | '.join(rules[group].value for group in Group)} |" for source, rules in TABLE.items()
    ]
    lines += ["", "| | where it is found |", "|---|---|"]
    lines += [f"| {source.value} | {words} |" for source, words in FOUND_IN.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
