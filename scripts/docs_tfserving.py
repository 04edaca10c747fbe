#!/usr/bin/env python3
"""Writes the table of docs/wires/tfserving.md: every flag of the command, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

from salver.cli.tensorflow_flags import table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "wires" / "tfserving.md"
BEGIN = "<!-- flags: written by scripts/docs_tfserving.py -->"
END = "<!-- end of flags -->"


def page(text: str) -> str:
    """The page with the table as the code has it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
