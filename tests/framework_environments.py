"""Environments with a framework in them, for tests of what runs in one.

They are built once by uv, by what they hold, and kept in `.frameworks` of the checkout; SALVER_TEST_FRAMEWORKS names
another folder.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from salver.replicas.environments.base import EnvironmentSettings
from salver.replicas.environments.pipfiles import installer_variables

ROOT = Path(__file__).resolve().parent.parent
BUILD_S = 1000


@functools.cache
def framework_python(*requirements: str, series: str = "") -> str:
    """The interpreter of an environment with NumPy and these packages; `series` is its Python, as "3.8".

    Skips where that Python is not on this machine.
    """
    python = interpreter(series)
    wanted = ("numpy", *requirements)
    digest = hashlib.sha256("\n".join((python, *wanted)).encode()).hexdigest()[:16]
    shelf = Path(os.environ.get("SALVER_TEST_FRAMEWORKS") or ROOT / ".frameworks")
    shelf.mkdir(parents=True, exist_ok=True)
    folder = shelf / digest
    with (shelf / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "whole").exists():
            _build(folder, python, wanted)
    return str(folder / "bin" / "python")


def interpreter(series: str) -> str:
    """A real Python of this series, seen through the launchers of pyenv; the tests' own where `series` is empty."""
    if not series or series == ".".join(map(str, sys.version_info[:2])):
        return sys.executable
    homes = sorted(Path.home().glob(f".pyenv/versions/{series}.*/bin/python"))
    found = str(homes[-1]) if homes else shutil.which(f"python{series}")
    if found is None:
        pytest.skip(f"NO PYTHON {series}: install one to test what needs it")
    return found


def run_in(python: str, code: str, *arguments: str | Path, timeout: float = 300) -> str:
    """What a program prints in the interpreter `python`; its words when it fails."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def _build(folder: Path, python: str, requirements: tuple[str, ...]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    uv = str(Path(sys.executable).with_name("uv"))
    _run(uv, "venv", "--quiet", "--python", python, str(folder))
    _run(uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *requirements)
    (folder / "whole").touch()


def _run(*command: str) -> None:
    variables = {"HOME": str(Path.home()), **installer_variables(EnvironmentSettings(), os.environ)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
