from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from salver_worker.conversions.catalogue import STEPS
from salver_worker.conversions.chain import read_steps

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_conversions", ROOT / "scripts" / "docs_conversions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_conversions_is_current(script: ModuleType) -> None:
    text = (ROOT / "docs" / "conversions.md").read_text(encoding="utf-8")
    assert script.page(text) == text, "run scripts/docs_conversions.py"


def test_every_step_has_its_section(script: ModuleType) -> None:
    text = script.render(STEPS)
    for step in STEPS:
        assert f"\n### {step.name}\n" in text


def test_the_examples_of_the_page_are_right() -> None:
    text = (ROOT / "docs" / "conversions.md").read_text(encoding="utf-8")
    manifests = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)]
    assert manifests
    for manifest in manifests:
        for row in manifest.get("inputs", []):
            assert read_steps(row["convert"], "input", [])
        for row in manifest.get("outputs", []):
            assert read_steps(row["convert"], "output", [])
