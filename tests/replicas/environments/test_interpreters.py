"""The interpreters of this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from salver.errors import LoadError
from salver.replicas.environments.interpreters import Interpreters, candidates, look_at


def own_path() -> str:
    return os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]


def program(path: Path, text: str = "exit 1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_virtual_environment_and_a_launcher_are_seen_through(tmp_path: Path) -> None:
    launcher = program(tmp_path / "python3.11", f'exec {sys.executable} "$@"')
    found = asyncio.run(look_at(str(launcher)))
    assert found.path == own_path()
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert found.platform.startswith("cpython linux-")


@pytest.mark.parametrize("text", ["exit 1", "echo hello", "kill -9 $$"])
def test_what_is_no_python_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(LoadError, match=r"odd cannot be used"):
        asyncio.run(look_at(str(program(tmp_path / "odd", text))))


def test_the_own_interpreter_is_the_one_behind_the_virtual_environment() -> None:
    assert asyncio.run(Interpreters((), "").find("")).path == own_path()


def test_a_path_is_looked_at_as_it_is_given() -> None:
    assert asyncio.run(Interpreters((), "").find(sys.executable)).path == own_path()


def test_what_is_on_the_path_is_known_and_what_does_not_work_is_not(tmp_path: Path) -> None:
    good = program(tmp_path / "bin" / "python3.11", f'exec {sys.executable} "$@"')
    program(tmp_path / "bin" / "python3.7")
    program(tmp_path / "bin" / "python3", f'exec {sys.executable} "$@"')
    known = asyncio.run(Interpreters((), str(good.parent)).known())
    assert [each.path for each in known] == [own_path()]


def test_an_interpreter_of_the_settings_that_does_not_work_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="cannot be used"):
        asyncio.run(Interpreters((str(program(tmp_path / "python3.7")),), "").find("3.7"))


def test_of_pyenv_the_interpreters_are_taken_and_not_its_shims(tmp_path: Path) -> None:
    program(tmp_path / "shims" / "python3.8")
    real = program(tmp_path / "versions" / "3.8.18" / "bin" / "python3.8")
    program(tmp_path / "versions" / "3.8.18" / "bin" / "python3.8-config")
    other = program(tmp_path / "bin" / "python3.9")
    path = os.pathsep.join([str(tmp_path / "shims"), str(tmp_path / "bin"), str(tmp_path / "nowhere"), ""])
    assert list(candidates(path)) == [str(real), str(other)]
