#!/usr/bin/env python3
"""Writes the tables of docs/wires/mms-commands.md: every flag and every key of MMS and TorchServe."""

from __future__ import annotations

from pathlib import Path

from salver.cli.serverflags import flags_table
from salver.wire.torchserve.configkeys import keys_table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "wires" / "mms-commands.md"
TABLES = {
    "flags": ("| flag | of | what becomes of it |\n|---|---|---|\n", flags_table),
    "keys": ("| key | of | setting | what becomes of it |\n|---|---|---|---|\n", keys_table),
}


def page(text: str) -> str:
    """The page with its tables made anew."""
    for name, (header, rows) in TABLES.items():
        begin, end = f"<!-- {name}: written by scripts/docs_mms.py -->", f"<!-- end of {name} -->"
        before, rest = text.split(begin, 1)
        text = f"{before}{begin}\n\n{header}{rows()}\n{end}{rest.split(end, 1)[1]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
