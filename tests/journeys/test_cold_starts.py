"""Models that are loaded when somebody asks for them, at a real server.

RELIABILITY T25, and what a caller sees who comes while a version is loaded.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from journey_load import quantile
from journey_models import new_nonce, right_answer
from journey_server import Server, eventually
from journey_versions import AT_ONCE, MODEL, Versions, state_changes, versions
from journey_wires import MMS, NATIVE, WIRES

COLD = "Salver-Cold-Start"
SLOW_LOAD = "import time\ntime.sleep({})\n"
MIB = 1024 * 1024


def asleep(served: Versions, load_s: float, **more: Any) -> None:
    """A version that sleeps, and takes `load_s` to load."""
    served.push(1, head=SLOW_LOAD.format(load_s), **more)
    served.client.scale(MODEL, on_demand=True, idle_unload_s=1.0)
    served.wait_for({1: "UNLOADED"})
    served.client.scale(MODEL, idle_unload_s=None, how=AT_ONCE)


@pytest.mark.proof("COLD")
@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_requests_on_all_protocols_wait_until_the_version_is_loaded_once(
    tmp_path: Path, figure: Any, processes: int
) -> None:
    with versions(tmp_path, processes=processes) as served:
        asleep(served, 0.5)
        loads_before = loads_of(served.server)[f"{MODEL}/1"]

        def ask(number: int) -> tuple[requests.Response, bool]:
            wire, nonce = WIRES[number % 3], new_nonce()
            answer = wire.ask(served.server.url, MODEL, {"nonce": nonce, "act": ""})
            return answer, answer.ok and wire.row(answer.json())["answer"] == right_answer(nonce)

        with ThreadPoolExecutor(18) as pool:
            cold = list(pool.map(ask, range(18)))
        assert all(is_right for _, is_right in cold), Counter(answer.status_code for answer, _ in cold)
        assert all(0 < int(answer.headers[COLD]) < 30_000 for answer, _ in cold)
        for number in range(9):
            answer, is_right = ask(number)
            assert is_right
            assert COLD not in answer.headers
        assert loads_of(served.server)[f"{MODEL}/1"] == loads_before + 1
        figure(f"{len(cold)} requests while it slept: 1 load, all answered and told so; 9 after it, none told so")


def loads_of(server: Server) -> Counter[str]:
    return Counter(version for version, _, to in state_changes(server) if to == "STARTING")


@pytest.mark.proof("COLD")
@pytest.mark.slow
def test_a_deadline_that_passes_while_it_is_loaded_is_told_and_the_load_goes_on(tmp_path: Path) -> None:
    with versions(tmp_path) as served:
        asleep(served, 1.5)
        for wire in WIRES:
            values = {"nonce": 1, "act": ""}
            answer = wire.ask(served.server.url, MODEL, values, headers={"Salver-Deadline-Ms": "200"})
            assert answer.status_code == (408 if wire is MMS else 504)
            assert wire.error_code(answer.json())
            assert COLD not in answer.headers
        served.wait_for({1: "READY"})
        assert COLD not in NATIVE.ask(served.server.url, MODEL, {"nonce": 1, "act": ""}).headers


@pytest.mark.proof("COLD")
@pytest.mark.slow
def test_a_caller_that_hangs_up_while_it_is_loaded_leaves_nothing_behind(tmp_path: Path) -> None:
    with versions(tmp_path) as served:
        asleep(served, 1.0)
        host, _, port = served.server.url.removeprefix("http://").partition(":")
        body = b'{"inputs": {"nonce": [1], "act": [""]}}'
        head = f"POST {NATIVE.address(MODEL)} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        with contextlib.closing(socket.create_connection((host, int(port)))) as caller:
            caller.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            eventually(lambda: served.states() == {1: "STARTING"}, 10, "it is being loaded")
        served.wait_for({1: "READY"})
        cancelled = [
            name for name in served.server.metrics() if "salver_requests_total" in name and "CANCELLED" in name
        ]
        assert cancelled
        assert NATIVE.ask(served.server.url, MODEL, {"nonce": 1, "act": ""}).ok


@pytest.mark.proof("COLD")
@pytest.mark.slow
def test_whoever_waits_for_a_version_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    marker = tmp_path / "broken"
    head = f"import pathlib, time\ntime.sleep(0.3)\nassert not pathlib.Path({str(marker)!r}).exists(), 'no weights'\n"
    with versions(tmp_path) as served:
        served.push(1, head=head)
        served.client.scale(MODEL, on_demand=True, idle_unload_s=1.0)
        served.wait_for({1: "UNLOADED"})
        marker.touch()
        with ThreadPoolExecutor(6) as pool:
            ask = lambda wire: wire.ask(served.server.url, MODEL, {"nonce": 1, "act": ""})  # noqa: E731
            told = list(pool.map(ask, WIRES * 2))
        assert {answer.status_code for answer in told} <= {503, 404}
        assert "could not be loaded" in told[0].json()["error"]["message"]
        assert all(COLD not in answer.headers for answer in told)
        assert served.states() == {1: "FAILED"}


@pytest.mark.proof("T25")
@pytest.mark.slow
def test_many_models_share_the_memory_of_a_few(tmp_path: Path, figure: Any, size: Any) -> None:
    """Which ones are asked for follows Zipf's law."""
    models, room, requests_wanted = size(12, 200), size(4, 20), size(100, 2000)
    names = [f"m{number}" for number in range(models)]
    with versions(tmp_path) as served:
        outcome = served.push(1, name="measured")
        assert outcome.now is not None
        worker_mib = outcome.now.versions[0].replicas[0].rss_bytes / MIB
        served.client.delete("measured")
        for name in names:
            served.push(1, name=name, how=AT_ONCE)
            served.client.scale(name, on_demand=True, how=AT_ONCE)
    budget_mib = int((room + 0.5) * worker_mib)
    with versions(tmp_path, memory_budget_mb=budget_mib) as served:
        weights = list(itertools.accumulate(1 / rank for rank in range(1, models + 1)))
        chance = random.Random(25)
        asked = [chance.choices(names, cum_weights=weights)[0] for _ in range(requests_wanted)]
        alone = times_alone(served, names[:room], size(50, 1000))
        residents = Residents(served)
        before = loads_of(served.server)
        with residents, ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda each: ask_one(served, *each), enumerate(asked)))
        loads = loads_of(served.server) - before
        refused = Counter(kind for kind, _, _ in answers if kind != "right")
        assert not refused, "\n".join(refused)
        never_two_at_once(served.server)
        assert residents.most <= room, residents.most
        hits = [seconds for _, is_cold, seconds in answers if not is_cold]
        cold = len(answers) - len(hits)
        tail, tail_alone = quantile(hits, 0.99), quantile(alone, 0.99)
        assert cold >= loads.total() > 0
        figure(
            f"{models} models, room for {room}: {len(answers)} requests, 0 refused; {loads.total()} loads for "
            f"{cold} cold answers, never two at once of one version; at most {residents.most} in memory; "
            f"hit p99 {1000 * tail:.1f} ms, {tail / tail_alone:.2f} times what it is while nothing is loaded; p50 "
            f"{1000 * quantile(hits, 0.5):.1f} ms, {quantile(hits, 0.5) / quantile(alone, 0.5):.2f} times"
        )


def times_alone(served: Versions, names: list[str], requests_wanted: int) -> list[float]:
    """What hits take while nothing is loaded."""
    for name in names:
        ask_one(served, 0, name)
    asked = list(itertools.islice(itertools.cycle(names), requests_wanted))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda each: ask_one(served, *each), enumerate(asked)))
    assert {kind for kind, _, _ in answers} == {"right"}
    return [seconds for _, is_cold, seconds in answers if not is_cold]


def ask_one(served: Versions, number: int, name: str) -> tuple[str, bool, float]:
    """What became of it, whether it was a cold start, and how long it took."""
    wire, nonce = WIRES[number % 3], new_nonce()
    sent_at = time.monotonic()
    answer = wire.ask(served.server.url, name, {"nonce": nonce, "act": ""}, headers={"Salver-Deadline-Ms": "60000"})
    seconds = time.monotonic() - sent_at
    if not answer.ok:
        return f"{answer.status_code} {answer.text[:200]}", COLD in answer.headers, seconds
    is_right = wire.row(answer.json())["answer"] == right_answer(nonce)
    return "right" if is_right else "wrong", COLD in answer.headers, seconds


def never_two_at_once(server: Server) -> None:
    """A version that is loaded was not loaded already."""
    loaded: set[str] = set()
    for version, _, to in state_changes(server):
        if to == "STARTING":
            assert version not in loaded
            loaded.add(version)
        elif to in ("DRAINING", "STOPPED", "FAILED"):
            loaded.discard(version)


class Residents:
    """Looks again and again at how many workers there are, while it lasts."""

    def __init__(self, served: Versions) -> None:
        self.most = 0
        self._server = served.server
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Residents:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.2):
            workers = [each for each in self._server.processes().values() if "salver_worker" in each]
            self.most = max(self.most, len(workers))
