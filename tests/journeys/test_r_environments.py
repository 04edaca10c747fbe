"""Two models of R that want contradicting versions of one package, served side by side by one server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from journey_server import Server

from r_repository import RRepository, needs_r, r_version, renv_lock, tiny_repository

pytestmark = [needs_r, pytest.mark.slow, pytest.mark.timeout(900)]
CODE = 'predict <- function(x) list(said = rep(paste("it is", tinytop::said()), length(x)))\n'
Serve = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> RRepository:
    return tiny_repository(tmp_path_factory.mktemp("cran"))


def model(folder: Path, **packages: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "predict.R").write_text(CODE)
    (folder / "renv.lock").write_text(renv_lock(**packages))
    (folder / "model.toml").write_text(f'name = "{folder.name}"\n[example]\ninputs = {{ x = [1.0] }}\n')
    return folder


def answers(server: Server, name: str) -> list[str]:
    """Over the native wire, V2 and TensorFlow Serving's REST."""
    own = server.post(f"/api/v1/models/{name}/predict", json={"inputs": {"x": [1.0]}}).json()["outputs"]["said"][0]
    rows = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
    v2 = server.post(f"/v2/models/{name}/infer", json=rows).json()["outputs"][0]["data"][0]
    tf = server.post(f"/v1/models/{name}:predict", json={"instances": [{"x": 1.0}]}).json()["predictions"][0]
    return [own, v2, tf]


def salver(server: Server, *arguments: str, expect: int = 0) -> str:
    command = [sys.executable, "-m", "salver", *arguments, "--data-dir", str(server.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_contradicting_versions_of_one_package_are_served_side_by_side(
    server: Serve, repository: RRepository, tmp_path: Path
) -> None:
    old = model(tmp_path / "old", tinytop="0.1", tinybase="1.0")
    new = model(tmp_path / "new", tinytop="0.1", tinybase="2.0")
    words = {"r_repositories": repository.url, "allow_source_packages": True}
    with server(old, new, **words) as running:
        assert answers(running, "old") == ["it is top of 1.0"] * 3
        assert answers(running, "new") == ["it is top of 2.0"] * 3
        assert "building old version 1: Its environment is being built: resolving 2 requirements" in running.printed
        assert running.version("old")["environment"].startswith(f"R {r_version()}, 2 packages, environment ")
        listed = salver(running, "env", "list")
        assert "KIND" in listed
        rows = json.loads(salver(running, "env", "list", "--json"))
        assert {(row["kind"], row["python"]) for row in rows} == {("r", r_version())}
        shown = salver(running, "env", "show", rows[0]["id"])
        assert f"R {r_version()}, " in shown
        locked = json.loads(salver(running, "env", "lock", str(old)))
        assert len(locked["Packages"]["tinybase"]["Sha256"]) == 64
        assert "R " in salver(running, "env", "build", str(new / "renv.lock"))
        assert "Leave --python out" in salver(running, "env", "build", str(new), "--python", "3.8", expect=1)
        assert "2 stay" in salver(running, "env", "prune", "--plan")


def test_a_publisher_gets_only_packages_that_somebody_approved(
    server: Serve, repository: RRepository, tmp_path: Path
) -> None:
    path = model(tmp_path / "m", tinytop="0.1", tinybase="2.0")
    words = {"r_repositories": repository.url, "allow_source_packages": True}
    with server(wait="announced", **words) as running:
        made = json.loads(salver(running, "keys", "create", "--role", "publisher", "--label", "ci", "--json"))
        secret = made["key"]
        refused = salver(running, "push", str(path), "--key", secret, expect=1)
        assert "packages that nobody approved yet: tinybase==2.0, tinytop==0.1 (renv.lock)" in refused
        salver(running, "env", "build", str(path))
        salver(running, "push", str(path), "--key", secret, "--wait", "120")
        assert answers(running, "m")[0] == "it is top of 2.0"


def test_source_that_may_not_be_built_fails_the_version_in_words(
    server: Serve, repository: RRepository, tmp_path: Path
) -> None:
    path = model(tmp_path / "m", tinytop="0.1", tinybase="2.0")
    with server(wait="announced", r_repositories=repository.url) as running:
        told = salver(running, "push", str(path), "--wait", "120", expect=1)
        assert "Packages of R come as source, and building is not allowed" in told
