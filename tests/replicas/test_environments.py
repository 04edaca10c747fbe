"""Finding the interpreter of a version."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from salver.errors import Code, LoadError
from salver.replicas.environments.interpreters import interpreter


def test_an_absolute_path_is_taken_as_it_is() -> None:
    assert interpreter(sys.executable) == sys.executable


def test_a_command_is_looked_for_on_the_path() -> None:
    assert interpreter("sh") == shutil.which("sh")


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert interpreter("~/python") == str(python)


@pytest.mark.parametrize("wanted", ["/nowhere/python", "no-such-command", "/tmp", "/etc/passwd"])
def test_what_cannot_be_run_is_an_error_that_names_it(wanted: str) -> None:
    with pytest.raises(LoadError, match=wanted) as caught:
        interpreter(wanted)
    assert caught.value.code is Code.ENVIRONMENT_BROKEN
    assert "model.toml" in caught.value.fix
