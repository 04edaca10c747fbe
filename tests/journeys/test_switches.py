"""Versions come and go under load: no request is lost, and none is answered by a version that is gone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journey_load import Load, steady_load
from journey_models import SEVEN, write_model
from journey_server import Server, eventually, serving
from journey_wires import NATIVE

LED = (str(Path(__file__).with_name("journey_led_server.py")),)
SLOW = "sleep 0.05"
BETWEEN = 30
"""Requests from one switch to the next."""


class Toml(str):
    """A value as model.toml has it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


WRONG = {"inputs": Toml('{nonce = [1], act = [""]}'), "expect": Toml("{answer = [99]}")}


class Led:
    """A server, and what it should serve."""

    def __init__(self, running: Server, folder: Path) -> None:
        self.running = running
        self._folder = folder

    def model(self, version: int, *, head: str = "", name: str = "", **manifest: Any) -> Path:
        """A model that says its version in each answer; `head` is run when it is loaded."""
        code = SEVEN.replace("    pid: int\n", "    pid: int\n    version: int\n")
        code = head + code.replace("os.getpid())\n", f"os.getpid(), {version})\n")
        return write_model(self._folder / (name or f"v{version}"), code, name="seven", **manifest)

    def want(self, versions: dict[int, Path], **fields: Any) -> None:
        document = {"name": "seven", "versions": {number: str(path) for number, path in versions.items()}, **fields}
        (self.running.data / "wanted.json").write_text(json.dumps(document))
        os.kill(self.running.pid, signal.SIGUSR1)

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = self.running.get("/api/v1/models/seven", headers=self.running.admin).json()
        return document

    def states(self) -> dict[int, str]:
        return {int(each["version"]): each["state"] for each in self.status().get("versions", ())}

    def wait_for(self, states: dict[int, str], within_s: float = 30.0) -> float:
        """The time when the versions were in these states, and there was no other."""
        eventually(lambda: self.states() == states, within_s, f"the versions are {states}, not {self.states()}")
        return time.monotonic()


@contextlib.contextmanager
def led(folder: Path, **settings: Any) -> Iterator[Led]:
    """A server that serves version 1 of the model `seven`, and can be told to serve something else."""
    first = Led(None, folder).model(1)  # type: ignore[arg-type]
    with serving(first, folder=folder, program=LED, **settings) as running:
        yield Led(running, folder)


@contextlib.contextmanager
def loads(led: Led) -> Iterator[tuple[Load, Load]]:
    """Quick requests over all protocols, and some that are in flight for a while."""
    url = led.running.url
    with steady_load(url, "seven", clients=4) as quick, steady_load(url, "seven", clients=1, act=SLOW) as slow:
        yield quick, slow


def nothing_was_lost(*loads: Load) -> int:
    """How many requests there were: all of them answered, and rightly."""
    kinds = sum((load.kinds() for load in loads), loads[0].kinds() - loads[0].kinds())
    assert set(kinds) == {"right"}, kinds
    return kinds.total()


@pytest.mark.parametrize("processes", [1, 2])
def test_switches_under_load_lose_nothing_and_leave_nobody_with_the_old_version(
    tmp_path: Path, figure: Any, processes: int
) -> None:
    with led(tmp_path, processes=processes) as server:
        paths = {1: server.model(1), 2: server.model(2)}
        settled: list[tuple[float, float, int]] = []
        """From when to when nothing but one version was there."""
        with loads(server) as (quick, slow):
            for version in (2, 1, 2, 1):
                server.want({version: paths[version]})
                since, before = server.wait_for({version: "READY"}), len(quick.outcomes)
                eventually(lambda before=before: len(quick.outcomes) > before + BETWEEN, 30, "requests are answered")
                settled.append((since, time.monotonic(), version))
        requests = nothing_was_lost(quick, slow)
        for since, until, version in settled:
            answers = [each for each in (*quick.outcomes, *slow.outcomes) if since < each.sent_at < until]
            assert {each.version for each in answers} == {version}
        figure(f"{requests} requests during 4 switches, none lost")


def test_a_version_that_is_gone_does_not_answer(tmp_path: Path) -> None:
    with led(tmp_path) as server:
        server.want({2: server.model(2)})
        server.wait_for({2: "READY"})
        values = {"nonce": 1, "act": ""}
        answer = server.running.post("/api/v1/models/seven/versions/1/predict", json=NATIVE.body(values))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "VERSION_NOT_FOUND")


@pytest.mark.parametrize("fault", ["raises", "hangs", "gives another answer", "refuses a recorded request"])
def test_a_new_version_that_cannot_serve_costs_the_old_one_nothing(tmp_path: Path, fault: str) -> None:
    with led(tmp_path, load_timeout_s=3) as server:
        broken = {
            "raises": {"head": "raise RuntimeError('no weights')\n"},
            "hangs": {"head": "import time\ntime.sleep(1000)\n"},
            "gives another answer": {
                "example": {"inputs": Toml('{nonce = [1], act = [""]}'), "expect": Toml("{answer = [99]}")}
            },
            "refuses a recorded request": {},
        }[fault]
        path = server.model(2, **broken)
        if fault == "refuses a recorded request":
            (path / "warmup.jsonl").write_text('{"nonce": [1], "act": ["raise"]}\n')
        with loads(server) as (quick, slow):
            server.want({2: path})
            server.wait_for({2: "FAILED", 1: "READY"})
            assert server.status()["default_version"] == 1
            server.want({2: path})
            assert server.running.is_ready(), "what fails beside the version that answers is not the server's concern"
            (path / "warmup.jsonl").unlink(missing_ok=True)
            server.want({2: server.model(2)}, retry=True)
            server.wait_for({2: "READY"})
        nothing_was_lost(quick, slow)
        assert {each.version for each in quick.outcomes} == {1, 2}


def test_more_and_fewer_replicas_under_load_lose_nothing(tmp_path: Path) -> None:
    with led(tmp_path, processes=2) as server:
        path = server.model(1)
        with loads(server) as (quick, slow):
            for replicas in (3, 1, 2, 1):
                server.want({1: path}, replicas=replicas)
                server.running.wait_for_workers("seven", replicas)
            eventually(lambda: len(server.running.worker_pids("seven")) == 1, 10, "one worker is left")
        nothing_was_lost(quick, slow)


def test_another_form_of_a_version_takes_over_without_a_gap(tmp_path: Path) -> None:
    """Its files are others, and so are its facts: the front ends have a new queue for it."""
    with led(tmp_path) as server:
        other = server.model(7, name="other", description="Not the same.")
        (pid,) = server.running.worker_pids("seven")
        with loads(server) as (quick, slow):
            server.want({1: other})
            eventually(lambda: server.running.worker_pids("seven") not in ([], [pid]), 30, "the new form serves")
            since = time.monotonic()
            eventually(lambda: not Path(f"/proc/{pid}").exists(), 30, "the old form's worker has stopped")
        nothing_was_lost(quick, slow)
        assert {each.version for each in quick.outcomes if each.sent_at > since} <= {7}


def test_a_version_sleeps_and_wakes(tmp_path: Path) -> None:
    with led(tmp_path) as server:
        path = server.model(1)
        server.want({1: path}, asleep=[1])
        server.wait_for({1: "UNLOADED"})
        assert server.running.is_ready()
        answer = NATIVE.ask(server.running.url, "seven", {"nonce": 1, "act": ""})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "MODEL_NOT_READY")
        server.want({1: path})
        server.wait_for({1: "READY"})
        eventually(lambda: NATIVE.ask(server.running.url, "seven", {"nonce": 1, "act": ""}).ok, 5, "it answers")


def test_memory_is_saved_by_stopping_the_old_version_first(tmp_path: Path) -> None:
    with led(tmp_path) as server, loads(server) as (quick, slow):
        server.want({2: server.model(2)}, preserve="resources")
        server.wait_for({2: "READY"})
        eventually(lambda: quick.outcomes[-1].version == 2, 10, "the new version answers")
    for each in (*quick.outcomes, *slow.outcomes):
        assert each.kind == "right" or each.kind.startswith(("503", "404")), "nothing that was taken is lost"
