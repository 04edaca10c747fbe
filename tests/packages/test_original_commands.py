"""The names of other servers' commands, installed as a user installs them, into an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import salver
from salver.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "packages" / "salver-originals"
NAMES = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["scripts"]


def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # uv is installed there
    environment = {**os.environ, "PATH": beside, **more}
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, env=environment, cwd=ROOT)


def test_the_two_packages_are_of_one_version() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    assert project["version"] == salver.__version__
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["originals"] == [project["name"]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both packages built as wheels, and installed with the extra from nowhere but these and the index."""
    folder = tmp_path_factory.mktemp("originals")
    wheels = folder / "wheels"
    for source in (ROOT, PACKAGE):
        built = run("uv", "build", "--wheel", "--out-dir", str(wheels), str(source))
        assert built.returncode == 0, built.stderr
    made = run("uv", "venv", "--quiet", str(folder / "venv"))
    assert made.returncode == 0, made.stderr
    python = str(folder / "venv" / "bin" / "python")
    installed = run("uv", "pip", "install", "--python", python, "--find-links", str(wheels), "salver[originals]")
    if installed.returncode and "salver-originals" not in installed.stderr:
        pytest.skip(f"NO PACKAGES: the index cannot be reached\n{installed.stderr[-2000:]}")
    assert installed.returncode == 0, installed.stderr
    return folder / "venv" / "bin"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_the_subcommand(name: str, environment: Path) -> None:
    subcommand = name.replace("_", "-")
    assert subcommand in COMMANDS
    original = run(str(environment / name), "--help")
    ours = run(str(environment / "salver"), subcommand, "--help")
    assert (original.returncode, original.stdout) == (0, ours.stdout)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_line_that_cannot_start_tells_it_by_its_status(environment: Path) -> None:
    done = run(str(environment / "tensorflow_model_server"), "--port=8500", SALVER_HOST="127.0.0.1", MODEL_NAME="")
    assert done.returncode == 2
    assert "model_base_path and server_options.model_config_file are empty" in done.stderr


def test_salver_alone_brings_none_of_the_names() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == {"salver"}
