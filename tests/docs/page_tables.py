"""Reads tables out of Markdown pages."""

from __future__ import annotations

import re
from pathlib import Path

CELL_END = re.compile(r"(?<!\\)\|")
WORD = re.compile(r"`([^`]+)`")


def table(page: Path, section: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    text = page.read_text(encoding="utf-8")
    _, found, below = text.partition(f"\n{section}\n")
    assert found, f"{page.name} has no heading {section!r}"
    lines = below.partition("\n#")[0].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in CELL_END.split(line)[1:-1]])
    return rows


def words(cell: str) -> list[str]:
    """What stands between backquotes in a cell."""
    return WORD.findall(cell)
