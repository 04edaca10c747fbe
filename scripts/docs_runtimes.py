#!/usr/bin/env python3
"""Writes the generated part of docs/runtimes/README.md: every runtime, from its row, its case in the conformance suite
and the figures that `scripts/runtimes --write` has measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "worker")]

from runtime_cases import Case, all_cases  # noqa: E402

from salver_worker.runtimes.specs import SPECS, RuntimeSpec  # noqa: E402

FOLDER = ROOT / "docs" / "runtimes"
PAGE = FOLDER / "README.md"
FIGURES = FOLDER / "figures.json"
BEGIN = "<!-- runtimes: written by scripts/docs_runtimes.py -->"
END = "<!-- end of runtimes -->"
BATCHING = {
    "rows": "rows",
    "model": "rows, where the model lets it",
    "requests": "requests, in a list",
}
TRUST = {"data": "data", "code": "**code**"}


def page(text: str) -> str:
    """The page with its generated part made anew."""
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    figures = json.loads(FIGURES.read_text())
    return f"{before}{BEGIN}\n\n{what(all_cases(), figures)}\n\n{costs(figures)}\n\n{END}{after}"


def what(cases: Mapping[str, Case], figures: Mapping[str, Any]) -> str:
    lines = [
        "| runtime | what it opens | files | datatypes | batched by | parts | trust | tested with |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join((*lines, *(_what(spec, cases[spec.name], figures) for spec in SPECS)))


def _what(spec: RuntimeSpec, case: Case, figures: Mapping[str, Any]) -> str:
    files = ", ".join(f"`{name}`" for name in (*spec.extensions, *spec.markers))
    python = f", Python {case.series}" if case.series else ""
    tested = ", ".join(case.requirements or spec.requirements) or figures.get(spec.name, {}).get("version", "")
    cells = (
        f"`{spec.name}`",
        spec.label,
        files,
        ", ".join(spec.datatypes) or ("any bytes" if spec.payload == "body" else "as the model says"),
        BATCHING[spec.batching],
        "yes" if spec.streams else "",
        TRUST[spec.trust],
        tested + python,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def costs(figures: Mapping[str, Any]) -> str:
    lines = [
        "| runtime | library | ready after | memory | 1 row | a row of 64 |",
        "|---|---|---|---|---|---|",
    ]
    rows = [
        f"| `{spec.name}` | {_library(found)} | {found['start_s']:.2f} s "
        f"| {found['memory_mib']} MiB | {found['one_row_us']} us | {found['row_of_many_us']} us |"
        for spec in SPECS
        if (found := figures.get(spec.name))
    ]
    return "\n".join((*lines, *rows))


def _library(found: Mapping[str, Any]) -> str:
    python = f"Python {found['python']}"
    return python if found["version"] == python else f"{found['version']}, {python}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
