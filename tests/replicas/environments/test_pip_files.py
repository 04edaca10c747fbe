"""Reading pip's files of this machine."""

from __future__ import annotations

from pathlib import Path

from salver.replicas.environments.base import EnvironmentSettings
from salver.replicas.environments.pipfiles import installer_variables


def test_the_file_that_pip_is_pointed_to_is_read_and_one_that_is_not_there_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://index/simple\n")
    chosen = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "XDG_CONFIG_DIRS": str(tmp_path / "nowhere")}
    assert installer_variables(EnvironmentSettings(), chosen)["UV_DEFAULT_INDEX"] == "https://index/simple"
    off = {"PIP_CONFIG_FILE": "/dev/null"}
    assert "UV_DEFAULT_INDEX" not in installer_variables(EnvironmentSettings(), off)
