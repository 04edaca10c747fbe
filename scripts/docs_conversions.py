#!/usr/bin/env python3
"""Writes the generated part of docs/conversions.md: every step with its parameters, from the catalogue itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from salver_worker.conversions.catalogue import STEPS
from salver_worker.conversions.step import BOTH, INPUT, OUTPUT, REQUIRED, Parameter, Step

PAGE = Path(__file__).resolve().parent.parent / "docs" / "conversions.md"
BEGIN = "<!-- steps: written by scripts/docs_conversions.py -->"
END = "<!-- end of steps -->"

TITLES = (((INPUT,), "Steps for inputs"), (BOTH, "Steps for inputs and outputs"), ((OUTPUT,), "Steps for outputs"))


def page(text: str) -> str:
    """The page with its generated part made anew."""
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n\n{render(STEPS)}\n{END}{after}"


def render(steps: Sequence[Step]) -> str:
    """Markdown of all steps, by where they may stand."""
    lines: list[str] = []
    for stages, title in TITLES:
        lines += [f"## {title}", ""]
        for step in steps:
            if step.stages == stages:
                lines += [*_step(step), ""]
    return "\n".join(lines)


def _step(step: Step) -> list[str]:
    lines = [f"### {step.name}", "", step.summary, ""]
    if not step.parameters:
        return [*lines, f'No parameters: `"{step.name}"`.']
    lines += ["| parameter | value | default | |", "|---|---|---|---|"]
    lines += [_row(parameter) for parameter in step.parameters]
    if step.main:
        lines += ["", f"Short form: `{{ {step.name} = ... }}` gives `{step.main}`."]
    return lines


def _row(parameter: Parameter) -> str:
    cells = (f"`{parameter.name}`", parameter.kind.words, _default(parameter), parameter.doc)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(parameter: Parameter) -> str:
    if parameter.default is REQUIRED:
        return "required"
    if parameter.default is None:
        return parameter.default_words
    return f"`{json.dumps(parameter.default)}`"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
