"""The page on errors names every code, and what the edge says before any protocol."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path
from types import ModuleType

import pytest
from page_tables import table, words

from salver.errors import Code
from salver.net.edge import REFUSAL_CODES


@pytest.fixture
def script(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_errors", root / "scripts" / "docs_errors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(script, root):
    text = (root / "docs" / "errors.md").read_text(encoding="utf-8")
    assert script.page(text) == text, "run scripts/docs"


def test_every_code_has_one_meaning(script):
    named = list(itertools.chain.from_iterable(script.GROUPS.values()))
    assert sorted(code.value for code in named) == sorted(code.value for code in Code)


def test_every_refusal_of_the_edge_is_in_the_table(root):
    rows = table(root / "docs" / "errors.md", "## Before any protocol")
    told = {int(status): words(code)[0] for status, code, _ in rows}
    assert told.keys() >= REFUSAL_CODES.keys()
    assert told == {status: REFUSAL_CODES.get(status, "INVALID_INPUT") for status in told}
