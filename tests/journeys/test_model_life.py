"""A model's life at a real server, by the commands that people type: published, switched, routed, scaled, deleted.

Requests go on through the switches, and what was acknowledged is there again after the server was killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from journey_server import Server, eventually, plain_environment

from salver_client import Client

ADDS = """
def predict(x: int) -> int:
    return x + {number}
"""


@pytest.fixture
def adder(tmp_path: Path) -> Callable[[int], Path]:
    """`adder(2)`: a file whose model adds 2."""

    def write(number: int, code: str = ADDS) -> Path:
        path = tmp_path / f"build-{number}" / "adder.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(code.format(number=number))
        return path

    return write


class Shell:
    """Types commands at a server's data directory, as the server's own user."""

    def __init__(self, server: Server) -> None:
        self._data = server.data

    def __call__(self, *arguments: Any, status: int = 0) -> str:
        """What the command prints; on its standard error when it is meant to fail."""
        command = [sys.executable, "-m", "salver", *map(str, arguments), "--data-dir", str(self._data)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=plain_environment("shell"))
        assert ran.returncode == status, f"{arguments}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout if status == 0 else ran.stderr

    def json(self, *arguments: Any) -> Any:
        return json.loads(self(*arguments, "--json"))


def answered(server: Server, at: str = "") -> int:
    """What the model adds to 100."""
    answer = server.post(f"/api/v1/models/adder{at}/predict", json={"inputs": {"x": 100}})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["outputs"]["output"][0]) - 100


@contextmanager
def asking(server: Server) -> Iterator[list[int]]:
    """Asks again and again while it lasts; the statuses of all answers."""
    statuses: list[int] = []
    is_over = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            while not is_over.is_set():
                url = f"{server.url}/api/v1/models/adder/predict"
                statuses.append(session.post(url, json={"inputs": {"x": 1}}, timeout=30).status_code)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def states(shell: Shell) -> dict[int, str | None]:
    return {each["version"]: each["state"] for each in shell.json("versions", "adder")["versions"]}


@pytest.mark.proof("T10")
@pytest.mark.slow
def test_a_model_lives_from_its_first_push_to_its_end(server: Any, adder: Any, figure: Any) -> None:
    """RELIABILITY T10 at its end: killed after everything was set, the server comes back with all of it."""
    with server() as first:
        shell = Shell(first)
        assert "load adder/1" in shell("push", adder(1), "--plan")
        assert shell.json("models") == []
        assert "adder version 1: READY (default)" in shell("push", adder(1))
        assert answered(first) == 1

        with asking(first) as statuses:
            shell("push", adder(2))
            eventually(lambda: states(shell) == {2: "READY", 1: None}, 10.0, "version 2 has taken over")
            assert answered(first) == 2
            shell("promote", "adder", 1)
            assert answered(first) == 1
            shell("rollback", "adder")
            assert answered(first) == 2
        assert len(statuses) > 10
        assert set(statuses) == {200}, "a switch loses nothing"

        shell("label", "adder", "canary", 1)
        assert (answered(first, "/labels/canary"), answered(first, "/versions/1")) == (1, 1)
        shell("route", "adder", "1=50", "2=50", "--sticky", "header:X-User")
        shell("scale", "adder", 2)
        assert [version["replicas_ready"] for version in shell.json("models", "adder")["versions"]] == [2, 2]

        bad = adder(3, "raise ValueError('no weights')\ndef predict(x: int) -> int:\n    return x + {number}\n")
        told = shell("push", bad, status=1)
        assert "no weights" in told
        assert "fix:" in told
        assert answered(first, "/versions/2") == 2
        before = shell.json("models", "adder")
        first.crash()

    with server() as again:
        shell = Shell(again)
        after = shell.json("models", "adder")
        for name in ("default_version", "labels", "route", "policy", "scale"):
            assert after[name] == before[name], name
        assert states(shell) == {3: "FAILED", 2: "READY", 1: "READY"}
        assert "no weights" in shell("versions", "adder")
        assert answered(again, "/labels/canary") == 1
        assert [worker["state"] for worker in after["versions"][1]["replicas"]] == ["READY", "READY"]

        shell("unload", "adder")
        eventually(lambda: states(shell) == {3: "FAILED", 2: "UNLOADED", 1: "UNLOADED"}, 10.0, "it is unloaded")
        answer = again.post("/api/v1/models/adder/predict", json={"inputs": {"x": 1}})
        assert answer.json()["error"]["code"] == "MODEL_NOT_READY"
        shell("load", "adder", 2)
        assert answered(again, "/versions/2") == 2

        assert "CONFLICT" not in shell("delete", "adder", 1, "--yes", status=1)
        shell("label", "adder", "canary", "--delete")
        shell("route", "adder", "--delete")
        shell("delete", "adder", 1, "--yes")
        assert 1 not in states(shell)
        shell("delete", "adder", "--yes")
        assert shell.json("models") == []
        lines = again.get("/api/v1/audit", headers=admin_of(again)).json()["lines"]
        assert {"models.publish", "models.promote", "models.delete"} <= {line["operation"] for line in lines}
    figure(f"killed: labels, route, policy, scale, states are back; {len(statuses)} requests during switches, 0 lost")


def admin_of(server: Server) -> dict[str, str]:
    with Client(socket_path=str(server.data / "server.sock")) as client:
        key = client.create_key("journey", "admin")
    return {"Authorization": f"Bearer {key.key}"}


@pytest.mark.slow
def test_every_front_end_knows_of_a_change_when_it_is_acknowledged(server: Any, adder: Any) -> None:
    with server(processes=2) as running, Client(socket_path=str(running.data / "server.sock")) as client:
        for number in range(1, 4):
            assert client.push(adder(number), "adder").is_settled
            assert {answered(running) for _ in range(20)} == {number}
