"""From a model in a program to a server's answer: packed, proved, pushed or served as a file, and held to itself."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from journey_server import Server, eventually, plain_environment

import salver_client
from salver_client import Client, How
from tiny_wheels import make_wheel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # packages are fetched and installed
OWN = ".".join(map(str, sys.version_info[:2]))
BUILT_S = 300.0
Serve = Callable[..., AbstractContextManager[Server]]
APP = """
    import tinylib
    from words import GREETING


    def predict(x: float) -> str:
        return "%s %s %g" % (GREETING, tinylib.VERSION, x)
"""


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of NumPy for this Python, and a small library."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    subprocess.run([*pip, "--only-binary", ":all:", "--no-deps", "--dest", str(folder), "numpy"], check=True)
    for version in ("1.0", "2.0"):
        make_wheel(folder, "tinylib", version)
    return folder


@pytest.fixture
def shell(tmp_path: Path, wheels: Path) -> Callable[..., Any]:
    """Runs `salver` in the test's folder; environments are shared by all servers and packages of the test."""

    def run(*arguments: object, expect: int = 0) -> str:
        command = [sys.executable, "-m", "salver", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=600, env=variables(tmp_path, wheels)
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout if expect == 0 else done.stderr

    return run


def variables(folder: Path, wheels: Path) -> dict[str, str]:
    return {
        **plain_environment("no server"),
        "SALVER_DATA_DIR": str(folder / "shell"),
        "SALVER_ENVIRONMENTS_DIR": str(folder / "environments"),
        "SALVER_WHEELS_DIR": str(wheels),
        "SALVER_OFFLINE": "true",
    }


def settings(folder: Path, wheels: Path) -> dict[str, Any]:
    return {"environments_dir": folder / "environments", "wheels_dir": wheels, "offline": True}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "greet.py").write_text(textwrap.dedent(APP))
    (tmp_path / "words.py").write_text('GREETING = "hello"\n')
    return tmp_path / "greet.py"


@pytest.fixture
def package(model: Path, shell: Callable[..., Any], tmp_path: Path) -> Path:
    line = ("package", model, "--requirements", "tinylib<2", "--example", '{"x": [1.5]}', "--json")
    made = json.loads(shell(*line))
    assert (made["packages"], made["has_answer"]) == (2, True)
    assert made["record"]["proved_with"] == {"runtime": f"Python {OWN}", "python": OWN}
    return tmp_path / str(made["path"])


def answer(server: Server, name: str) -> str:
    with Client(server.url) as client:
        return str(client.predict(name, {"x": [2.5]}).outputs["output"][0])


def test_a_package_is_pushed_once_and_has_the_same_address_everywhere(
    server: Serve, package: Path, shell: Callable[..., Any], wheels: Path, tmp_path: Path
) -> None:
    digest = json.loads(shell("package", "show", package, "--json"))["digest"]
    assert package.name == f"greet@{digest[:16]}.salver"
    with zipfile.ZipFile(package) as archive:
        assert json.loads(archive.read("example.json"))["expect"] == {"output": ["hello 1.0 1.5"]}
    with server(wait="announced", **settings(tmp_path, wheels)) as running:
        there = ("--url", running.url, "--key", running.admin["Authorization"].split()[1])
        assert "load greet/1" in shell("push", package, "--plan", *there)
        assert shell("push", package, "--wait", "120", *there).endswith(f"version 1 is sha256:{digest}\n")
        assert answer(running, "greet") == "hello 1.0 2.5"
        assert running.version("greet")["environment"].startswith(f"Python {OWN}")
        again = shutil.copy(package, tmp_path / "another.name")
        assert f"version 1 is sha256:{digest}" in shell("push", again, *there)
        listed = json.loads(shell("versions", "greet", "--json", *there))["versions"]
        assert [(each["version"], each["digest"]) for each in listed] == [(1, digest)]


def test_a_package_is_served_as_it_is_and_a_changed_one_is_not(
    server: Serve, package: Path, shell: Callable[..., Any], wheels: Path, tmp_path: Path
) -> None:
    with server(package, **settings(tmp_path, wheels)) as running:
        assert answer(running, "greet") == "hello 1.0 2.5"
        assert "Python function predict, in a package" in running.printed
        key = running.admin["Authorization"].split()[1]
    bad = tmp_path / "bad.salver"
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(bad, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"hello", b"howdy"))
    told = shell("serve", bad, "--port", "0", expect=1)
    assert "bad.salver is a package whose file example.json was changed" in told
    assert "salver package" in told
    with server(wait="announced", **settings(tmp_path, wheels)) as running:
        there = ("--url", running.url, "--key", key)
        assert "whose file example.json was changed" in shell("push", bad, "--name", "greet", *there, expect=1)


def test_a_folder_that_is_watched_may_have_packages(
    server: Serve, package: Path, model: Path, shell: Callable[..., Any], wheels: Path, tmp_path: Path
) -> None:
    first = tmp_path / "models" / "greet" / "1"
    first.mkdir(parents=True)
    shutil.copy(package, first)
    watched = {"watch_s": 0.2, "quiet_s": 0.5, **settings(tmp_path, wheels)}
    with server(tmp_path / "models", **watched) as running:
        assert answer(running, "greet") == "hello 1.0 2.5"
        second = tmp_path / "models" / "greet" / "2"
        second.mkdir()
        shell("package", model, "--requirements", "tinylib>=2", "-o", second, "--no-check")
        eventually(lambda: answer(running, "greet") == "hello 2.0 2.5", BUILT_S, "the second package serves")


def test_an_answer_that_changed_keeps_a_package_from_going_live(
    server: Serve, package: Path, model: Path, shell: Callable[..., Any], wheels: Path, tmp_path: Path
) -> None:
    example = '{"inputs": {"x": [1.5]}, "expect": {"output": ["something else"]}}'
    line = ("package", model, "--requirements", "tinylib<2", "--example", example, "-o", "wrong.salver")
    assert "something else" in shell(*line, expect=1)
    assert not (tmp_path / "wrong.salver").exists()
    shell(*line, "--no-check")
    with server(package, **settings(tmp_path, wheels)) as running:
        there = ("--url", running.url, "--key", running.admin["Authorization"].split()[1])
        shell("push", tmp_path / "wrong.salver", "--wait", "120", *there, expect=1)
        assert answer(running, "greet") == "hello 1.0 2.5"


def test_a_model_that_answers_otherwise_each_time_has_no_answer_recorded(
    shell: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "dice.py").write_text(
        "import random\n\n\ndef predict(x: float) -> float:\n    return random.random()\n"
    )
    made = json.loads(shell("package", "dice.py", "--example", "[1.0]", "--json"))
    assert not made["has_answer"]
    assert any("another each time" in note for note in made["notes"])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nosuchmodule\n\n\ndef predict(x: float) -> float:\n    return x\n", "--requirements"),
        ("W = open('weights.txt').read()\n\n\ndef predict(x: float) -> float:\n    return x\n", "--code"),
    ],
)
def test_what_is_missing_in_a_package_is_told_when_it_is_made(
    code: str, reason: str, shell: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "app.py").write_text(code)
    (tmp_path / "m" / "weights.txt").write_text("1")
    told = shell("package", tmp_path / "m" / "app.py", expect=1)
    assert "The packed model cannot be loaded" in told
    assert reason in told
    assert not list(tmp_path.glob("*.salver"))


PROGRAM = """
    import sys

    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    import mine
    import salver_client

    x = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    model = make_pipeline(mine.Times(), LogisticRegression()).fit(x, ["low", "low", "high", "high"])
    package = salver_client.package(model, name="grade", example=x[:3])
    assert package.is_locked and package.is_proved, package
    assert package.signature["outputs"][0]["name"] == "label"
    outcome = package.push(sys.argv[1], key=sys.argv[2], how=salver_client.How(wait_s=300))
    assert outcome.digest == package.digest, (outcome.digest, package.digest)
    again = package.push(sys.argv[1], key=sys.argv[2])
    assert (again.version, again.digest) == (outcome.version, outcome.digest) == (1, package.digest)
    with salver_client.Client(sys.argv[1]) as client:
        print(client.predict("grade", x).outputs["label"])
"""
MINE = """
    from sklearn.base import BaseEstimator, TransformerMixin


    class Times(TransformerMixin, BaseEstimator):
        def fit(self, x, y=None):
            return self

        def transform(self, x):
            return 2 * x
"""


def test_a_model_of_a_running_program_is_packed_pushed_and_answers(server: Serve, tmp_path: Path) -> None:
    """With the package index of this machine, and a step of the user's own that the pickle needs."""
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    (tmp_path / "mine.py").write_text(textwrap.dedent(MINE))
    shared = {"environments_dir": tmp_path / "environments"}
    with server(wait="announced", **shared) as running:
        own = {
            **plain_environment("no server"),
            "SALVER_DATA_DIR": str(tmp_path / "shell"),
            "SALVER_ENVIRONMENTS_DIR": str(tmp_path / "environments"),
        }
        key = running.admin["Authorization"].split()[1]
        done = subprocess.run(
            [sys.executable, "program.py", running.url, key],
            cwd=tmp_path,
            env=own,
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout == "['low', 'low', 'high', 'high']\n"
        assert running.version("grade")["environment"].startswith(f"Python {OWN}")


def test_a_package_without_a_lock_is_locked_by_the_server_that_gets_it(
    server: Serve, tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("halves", tmp_path / "halves.py")
    assert spec is not None
    assert spec.loader is not None
    (tmp_path / "halves.py").write_text("def predict(x: float) -> float:\n    import tinylib\n\n    return x / 2\n")
    halves = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(halves)
    monkeypatch.setitem(sys.modules, "halves", halves)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = salver_client.package(
        halves.predict, tmp_path / "h.salver", example={"x": [3.0]}, requirements=["tinylib<2"], lock=False
    )
    with server(wait="announced", **settings(tmp_path, wheels)) as running:
        key = running.admin["Authorization"].split()[1]
        outcome = made.push(running.url, key=key, how=How(wait_s=120))
        assert (outcome.digest, outcome.failures) == (made.digest, ())
        built = running.get("/api/v1/environments", headers=running.admin).json()["environments"]
        assert built[0]["used_by"] == [{"model": "predict", "version": 1}]
        with Client(running.url) as client:
            assert client.predict("predict", {"x": [3.0]}).outputs["output"] == [1.5]
