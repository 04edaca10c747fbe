"""The page of all runtimes is made of their rows, their cases and the figures that were measured last."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from salver_worker.runtimes.specs import SPECS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_runtimes", ROOT / "scripts" / "docs_runtimes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(script: ModuleType) -> None:
    text = script.PAGE.read_text()
    assert script.page(text) == text, "run scripts/docs_runtimes.py"


def test_every_runtime_was_measured(script: ModuleType) -> None:
    assert set(json.loads(script.FIGURES.read_text())) == {spec.name for spec in SPECS}, "run scripts/runtimes --write"


def test_every_page_of_a_runtime_is_named_by_it(script: ModuleType) -> None:
    text = script.PAGE.read_text()
    for path in script.FOLDER.glob("*.md"):
        assert path == script.PAGE or f"({path.name})" in text, f"{path.name} is not linked"
