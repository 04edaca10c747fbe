"""Packages of small models; environments are of wheels of a few bytes unless a test says otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.packaging.base import Packaged, Wanted
from salver.packaging.making import make_package
from salver.replicas.environments.base import EnvironmentSettings
from salver.settings import Settings
from tiny_wheels import make_wheel

Make = Callable[..., Packaged]


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    for name, version in (("numpy", "1.0"), ("tinylib", "1.0"), ("tinylib", "2.0"), ("scikit-learn", "1.5.2")):
        make_wheel(folder, name.replace("-", "_"), version)
    make_wheel(folder, "joblib", "1.0")
    return folder


@pytest.fixture
def make(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a package in the folder `out`, without running the model."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    settings = Settings(environments=EnvironmentSettings(offline=True, wheels_dir=str(wheels)))
    (tmp_path / "out").mkdir()

    def run(path: Path | str, target: Path | None = None, **wanted: object) -> Packaged:
        asked = Wanted(**{"path": str(path), "is_checked": False, **wanted})  # type: ignore[arg-type]
        return make_package(asked, settings, tmp_path / "environments", target or tmp_path / "out", lambda _: None)

    return run
