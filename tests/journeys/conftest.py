"""Journeys: the server as its users run it, real clients, real workers that really die."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))  # the modules beside this file are imported by name

from journey_models import SEVEN, write_model
from journey_server import Server, serving

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def server(tmp_path: Path) -> Callable[..., AbstractContextManager[Server]]:
    """Starts a server on paths, with settings as keywords; see `journey_server.serving`."""
    return lambda *paths, **settings: serving(*paths, folder=tmp_path, **settings)


@pytest.fixture
def seven(tmp_path: Path) -> Callable[..., Path]:
    """Writes the model whose answer a client can compute; keywords become lines of its model.toml."""
    return lambda **manifest: write_model(tmp_path / str(manifest.get("name", "seven")), SEVEN, **manifest)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keeps a sentence with what was measured, for the end of the run."""
    kept = request.config.stash.setdefault(FIGURES, [])
    proofs = sorted({name for mark in request.node.iter_markers("proof") for name in mark.args})
    if not request.config.getoption("--long"):
        return lambda sentence: kept.append(f"{request.node.name}: {sentence}")
    words = request.node.name.replace("test_", "", 1).replace("_", " ")
    return lambda sentence: kept.append(f"| {', '.join(proofs)} | {words} | {sentence} |")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("figures of the journeys")
        for sentence in figures:
            terminalreporter.write_line(sentence)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real models and pictures; tests that need it are skipped where it is not."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SALVER_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"NO TEST DATA: set SALVER_TEST_DATA to the folder of real models (looked at {folder})")
    return folder
