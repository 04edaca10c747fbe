"""RELIABILITY T26: environments are built once, whole, beside what answers, and none is used before it is there."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import requests
from journey_models import write_model
from journey_server import Server, eventually

from environment_bench import Bench, play, version_of
from tiny_wheels import make_wheel

pytestmark = pytest.mark.timeout(600)  # packages may have to be fetched
CODE = """
    import sys

    import tinylib


    def predict(x: float) -> str:
        return tinylib.VERSION + " on " + ".".join(map(str, sys.version_info[:2]))
"""
OWN = ".".join(map(str, sys.version_info[:2]))
BUILT_S = 60.0
Serve = Callable[..., AbstractContextManager[Server]]
Figure = Callable[[str], None]


@pytest.fixture(scope="session")
def numpy_wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of NumPy for this Python: what an air-gapped machine would be given."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    subprocess.run([*pip, "--only-binary", ":all:", "--no-deps", "--dest", str(folder), "numpy"], check=True)
    return folder


@pytest.fixture
def wheels(numpy_wheels: Path, tmp_path: Path) -> Path:
    """That folder, with two versions of a library that contradict each other."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for wheel in numpy_wheels.iterdir():
        (folder / wheel.name).symlink_to(wheel)
    for version in ("1.0", "2.0"):
        make_wheel(folder, "tinylib", version)
    return folder


def model(folder: Path, requirements: str, code: str = CODE, **manifest: Any) -> Path:
    write_model(folder, code, **manifest)
    (folder / "requirements.txt").write_text(f"{requirements}\n")
    return folder


def offline(wheels: Path) -> dict[str, Any]:
    return {"offline": True, "wheels_dir": wheels}


def answer(server: Server, name: str, version: int | None = None) -> str:
    place = "" if version is None else f"/versions/{version}"
    reply = server.post(f"/api/v1/models/{name}{place}/predict", json={"inputs": {"x": [1.0]}})
    assert reply.status_code == 200, reply.text
    text: str = reply.json()["outputs"]["output"][0]
    return text


def state(server: Server, name: str) -> dict[str, Any]:
    document: dict[str, Any] = server.version(name)
    return document


def salver(server: Server, *arguments: str, expect: int = 0) -> str:
    command = [sys.executable, "-m", "salver", *arguments, "--data-dir", str(server.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def built(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/api/v1/environments", headers=server.admin).json()["environments"]
    return found


def test_contradicting_versions_of_one_library_are_served_side_by_side(
    server: Serve, wheels: Path, tmp_path: Path
) -> None:
    paths = [model(tmp_path / "old", "tinylib<2", name="old"), model(tmp_path / "new", "tinylib>=2", name="new")]
    with server(*paths, **offline(wheels)) as running:
        assert (answer(running, "old"), answer(running, "new")) == (f"1.0 on {OWN}", f"2.0 on {OWN}")
        assert "building old version 1: Its environment is being built: resolving 2 requirements" in running.printed
        assert state(running, "old")["environment"].startswith(f"Python {OWN}.")
        assert {tuple(each["used_by"][0].values()) for each in built(running)} == {("old", 1), ("new", 1)}


def test_another_interpreter_is_one_line_of_the_manifest(server: Serve, tmp_path: Path) -> None:
    """With the package index of this machine: the other Python needs another NumPy."""
    series = "3.12" if OWN != "3.12" else "3.11"
    other = _interpreter(series)
    make_wheel(tmp_path / "wheels", "tinylib", "1.0")
    path = model(tmp_path / "m", "tinylib", name="m", environment={"python": series})
    with server(path, wheels_dir=tmp_path / "wheels", interpreters=other) as running:
        assert answer(running, "m") == f"1.0 on {series}"


def _interpreter(series: str) -> str:
    """The path of another Python. Skips loudly where there is none."""
    places = [*map(Path, os.environ.get("PATH", "").split(os.pathsep)), *Path.home().glob(".pyenv/versions/*/bin")]
    for folder in places:
        path = folder / f"python{series}"
        if folder.name != "shims" and os.access(path, os.X_OK):
            return str(path)
    pytest.skip(f"NO PYTHON {series}: install one to see that models can run in another interpreter")


@pytest.mark.slow
def test_a_new_version_is_built_while_the_old_one_answers(server: Serve, wheels: Path, tmp_path: Path) -> None:
    first = model(tmp_path / "one" / "m", "tinylib<2")
    second = model(tmp_path / "two" / "m", "tinylib>=2")
    broken = model(tmp_path / "three" / "m", "tinylib>=9")
    with server(wait="announced", **offline(wheels)) as running:
        salver(running, "push", str(first), "--wait", "60")
        assert answer(running, "m") == f"1.0 on {OWN}"
        pushed = running.post(
            "/api/v1/models/m/versions?file=m.zip&wait=0", data=_zipped(second), headers=_zip(running)
        )
        assert pushed.status_code == 201, pushed.text
        seen = set()
        while state(running, "m")["version"] != 2 or state(running, "m")["state"] != "READY":
            seen.add(state(running, "m")["state"])
            answer(running, "m")  # by one of both, never nobody
        assert "BUILDING" in seen
        assert answer(running, "m") == f"2.0 on {OWN}"

        told = salver(running, "push", str(broken), "--wait", "60", expect=1)
        assert "the requirements cannot be met together" in told
        assert "only tinylib<=2.0 is available" in " ".join(told.split()).replace(" | ", " ")
        assert answer(running, "m") == f"2.0 on {OWN}"
        assert "BUILDING" not in salver(running, "versions", "m")

        make_wheel(wheels, "tinylib", "9.0")
        salver(running, "load", "m", "--wait", "60")
        assert answer(running, "m") == f"9.0 on {OWN}"


def _zipped(folder: Path) -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    return buffer.getvalue()


def _zip(server: Server) -> dict[str, str]:
    return {**server.admin, "Content-Type": "application/zip"}


def test_the_example_proves_the_environment(server: Serve, wheels: Path, tmp_path: Path) -> None:
    """The same code and the same example: right with one library, wrong with the other."""
    right, wrong = model(tmp_path / "right", "tinylib<2"), model(tmp_path / "wrong", "tinylib>=2")
    for folder in (right, wrong):
        expected = f'[example]\ninputs = {{ x = [1.0] }}\nexpect = {{ output = ["1.0 on {OWN}"] }}\n'
        (folder / "model.toml").write_text(expected)
    with server(right, wrong, wait="announced", **offline(wheels)) as running:
        eventually(lambda: state(running, "wrong")["state"] == "FAILED", BUILT_S, "the wrong one has failed")
        eventually(lambda: state(running, "right")["state"] == "READY", BUILT_S, "the right one is ready")
        assert "2.0 on" in state(running, "wrong")["reason"]


@pytest.mark.slow
def test_who_may_publish_but_not_install_uses_what_is_approved(server: Serve, wheels: Path, tmp_path: Path) -> None:
    path = model(tmp_path / "m", "tinylib<2")
    with server(wait="announced", **offline(wheels)) as running:
        made = json.loads(salver(running, "keys", "create", "--role", "publisher", "--label", "ci", "--json"))
        key = {"Authorization": f"Bearer {made['key']}", "Content-Type": "application/zip"}

        def push() -> requests.Response:
            return running.post("/api/v1/models/m/versions?file=m.zip&wait=60", data=_zipped(path), headers=key)

        refused = push()
        assert refused.status_code == 403
        assert "numpy, tinylib<2" in refused.json()["error"]["message"]
        assert built(running) == []
        assert (
            running.post(
                "/api/v1/environments",
                json={"requirements": ["tinylib<2"]},
                headers={"Authorization": key["Authorization"]},
            ).status_code
            == 403
        )
        assert "is_plan" not in salver(running, "env", "build", str(path), "--plan")
        assert built(running) == []
        salver(running, "env", "build", str(path))
        assert push().status_code == 201
        assert answer(running, "m") == f"1.0 on {OWN}"


@pytest.mark.slow
def test_environments_are_listed_locked_and_removed_by_command(server: Serve, wheels: Path, tmp_path: Path) -> None:
    path = model(tmp_path / "m", "tinylib<2", name="m")
    with server(path, **offline(wheels)) as running:
        (row,) = built(running)
        listed = salver(running, "env", "list")
        assert row["id"][:12] in listed
        assert "m/1" in listed
        assert "tinylib" in salver(running, "env", "show", row["id"][:8])

        other = tmp_path / "needs.txt"
        other.write_text("tinylib>=2\n")
        salver(running, "env", "lock", str(other), "-o", str(tmp_path / "x.lock"))
        lock = (tmp_path / "x.lock").read_text()
        assert "tinylib==2.0" in lock
        assert "://" not in lock
        assert "install the packages of the lock" in salver(running, "env", "build", str(tmp_path / "x.lock"), "--plan")
        salver(running, "env", "build", str(tmp_path / "x.lock"))
        assert len(built(running)) == 2
        assert salver(running, "env", "show", row["id"], "--lock").startswith("numpy==")

        assert "would be removed" in salver(running, "env", "prune", "--plan")
        assert len(built(running)) == 2
        salver(running, "env", "prune")
        assert [each["id"] for each in built(running)] == [row["id"]]
        assert answer(running, "m") == f"1.0 on {OWN}"
        actions = [line["operation"] for line in running.get("/api/v1/audit", headers=running.admin).json()["lines"]]
        assert {"environments.lock", "environments.build", "environments.prune"} <= set(actions)


@pytest.mark.slow
@pytest.mark.proof("T26")
def test_a_server_killed_during_a_build_goes_on_after_it(
    server: Serve, wheels: Path, tmp_path: Path, figure: Figure
) -> None:
    path = model(tmp_path / "m", "tinylib<2", name="m")
    with server(path, wait="announced", **offline(wheels)) as running:
        eventually(lambda: "installing" in running.printed, BUILT_S, "packages are being installed")
        running.crash()
        staging = running.data / "environments" / "staging"
        left = len(list(staging.iterdir()))
        half = list((running.data / "environments" / "ready").iterdir())
    started = time.monotonic()
    with server(path, **offline(wheels)) as running:
        assert answer(running, "m") == f"1.0 on {OWN}"
        assert list(staging.iterdir()) == []
        figure(
            f"killed while it installed ({left} unfinished, {len(half)} built): "
            f"ready {time.monotonic() - started:.1f} s after the next start"
        )


@pytest.mark.slow
@pytest.mark.proof("T26")
def test_how_long_environments_take(server: Serve, wheels: Path, tmp_path: Path, figure: Figure) -> None:
    """Cold, then for another model that wants the same, then after a restart."""
    one, two = (model(tmp_path / name, "tinylib<2", name=name) for name in ("one", "two"))
    with server(wait="announced", **offline(wheels)) as running:
        cold = _pushed(running, one)
        warm = _pushed(running, two)
        (row,) = built(running)
    started = time.monotonic()
    with server(**offline(wheels)) as running:
        assert answer(running, "two") == f"1.0 on {OWN}"
        restarted = time.monotonic() - started
    parts = (
        f"{cold:.1f} s from push to ready when nothing was there",
        f"{row['build_s']:.1f} s of it installing",
        f"{warm:.1f} s for the next model that wants the same",
        f"{restarted:.1f} s to both after a restart",
    )
    figure(f"NumPy and a small library: {', '.join(parts)}")


def _pushed(server: Server, path: Path) -> float:
    started = time.monotonic()
    salver(server, "push", str(path), "--wait", "60")
    return time.monotonic() - started


KILLED = """
import asyncio, sys
from pathlib import Path
from environment_bench import OLD, Bench
print("begun", flush=True)
asyncio.run(Bench(Path(sys.argv[1])).python(OLD))
print("done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.proof("T26")
def test_a_process_killed_at_any_moment_of_a_build_leaves_nothing_half_used(
    tmp_path: Path, request: pytest.FixtureRequest, figure: Figure
) -> None:
    """Killed after 0, 120, 240 ms and so on: what is found then is a whole environment, or none."""
    tests = Path(__file__).parents[1]
    script = tmp_path / "build.py"
    script.write_text(KILLED)
    found = []
    for number in range(60 if request.config.getoption("--long") else 12):
        process = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "bench")],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(tests)},
            start_new_session=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(number * 0.12 % 1.5)
        process.kill()
        process.wait()
        process.stdout.close()

        async def look(bench: Bench) -> None:
            bench.shelf.sweep()
            there = await bench.builder.all()
            found.append(len(there))
            for each in there:
                assert version_of(str(bench.shelf.python(each.id))) == "1.0"
                await bench.builder.prune([], is_plan=False)

        (tmp_path / "bench").mkdir(exist_ok=True)
        play(Bench(tmp_path / "bench"), look)
    assert 0 in found
    assert 1 in found
    figure(
        f"killed at {len(found)} moments of a build: {found.count(0)} times nothing was there, "
        f"{sum(found)} times all of it"
    )
