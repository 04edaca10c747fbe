"""How a server begins and ends: ready when it can answer, nothing lost on the way out, nobody left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time

import pytest
import requests
from journey_load import Outcome, ask
from journey_models import write_model
from journey_server import Server, eventually
from journey_wires import NATIVE, WIRES

LOADS_SLOWLY = """
import time
time.sleep({seconds})
def predict(nonce: int, act: str) -> int:
    return nonce
"""


STARTS_A_CHILD = """
import os
import subprocess
child = subprocess.Popen(["sleep", "1000"])
def predict(nonce: int) -> int:
    return child.pid
"""


class Balancer:
    """A load balancer's behaviour: it looks every `interval_s`, and sends only while the last look said ready."""

    def __init__(self, server: Server, interval_s: float, act: str, clients: int) -> None:
        self.outcomes: list[Outcome] = []
        self.is_sending = True
        self._url = server.url
        self._interval_s = interval_s
        self._act = act
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._look)]
        self._threads += [threading.Thread(target=self._send, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _look(self) -> None:
        while self.is_sending and not self._ended.wait(self._interval_s):
            try:
                self.is_sending = requests.get(self._url + "/readyz", timeout=5).status_code == 200
            except requests.RequestException:
                self.is_sending = False

    def _send(self, number: int) -> None:
        wire = WIRES[number % len(WIRES)]
        with requests.Session() as session:
            while self.is_sending:
                self.outcomes.append(ask(session, self._url, "seven", wire, act=self._act))

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def stop(self) -> None:
        self.is_sending = False
        self._ended.set()
        self.wait()


def in_the_background(server: Server, act: str) -> tuple[threading.Thread, list[Outcome]]:
    """One request on its way; its outcome comes into the list."""
    outcomes: list[Outcome] = []

    def send() -> None:
        with requests.Session() as session:
            outcomes.append(ask(session, server.url, "seven", NATIVE, act=act))

    thread = threading.Thread(target=send)
    thread.start()
    eventually(lambda: server.metrics()['salver_running_rows{model="seven",version="1"}'] >= 1, 5.0, "it runs")
    return thread, outcomes


@pytest.mark.proof("T9")
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_nothing_is_lost_behind_a_balancer_that_needs_time_to_notice(server, seven, figure, processes):
    model = seven(name="seven", replicas=2)
    with server(model, drain_delay_s=0.7, processes=processes) as running:
        balancer = Balancer(running, interval_s=0.4, act="sleep 0.02", clients=4)
        try:
            eventually(lambda: len(balancer.outcomes) > 40, 10.0, "the load goes on")
            long, long_outcomes = in_the_background(running, "sleep 1.2")
            asked_at = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            eventually(lambda: not running.is_ready(), 1.0, "the server says not ready")
            not_ready_after = time.monotonic() - asked_at
            status = running.process.wait(20)
        finally:
            balancer.stop()
        long.join(10)
    after = [outcome for outcome in balancer.outcomes if outcome.sent_at > asked_at + not_ready_after]
    assert status == 0
    assert after
    assert {outcome.kind for outcome in balancer.outcomes} == {"right"}
    assert [outcome.kind for outcome in long_outcomes] == ["right"]
    figure(
        f"{len(balancer.outcomes)} requests, {len(after)} of them after it said not ready "
        f"({1000 * not_ready_after:.0f} ms), 0 lost, exit 0"
    )


@pytest.mark.proof("T9")
def test_a_second_signal_ends_it_at_once(server, seven, figure):
    with server(seven(name="seven"), drain_delay_s=30) as running:
        long, outcomes = in_the_background(running, "sleep 20")
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: not running.is_ready(), 2.0, "the server says not ready")
        again_at = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        status = running.process.wait(5)
        took = time.monotonic() - again_at
        assert (status, took < 1.0) == (128 + signal.SIGTERM, True)
        eventually(lambda: not running.processes(), 1.0, "no process is left")
        long.join(10)
        assert [outcome.kind for outcome in outcomes] == ["ConnectionError"]
        figure(f"exit {status} after {1000 * took:.0f} ms")


def test_who_still_waits_when_the_time_runs_out_is_told_so(server, seven):
    model = seven(name="seven", batching={"max_batch_rows": 1})
    with server(model, drain_timeout_s=0.3, stop_grace_s=0.3) as running:
        runs, told_while_it_ran = in_the_background(running, "sleep 20")
        waits, told_while_it_waited = in_the_background(running, "sleep 20")
        eventually(lambda: running.metrics()['salver_queue_rows{model="seven",version="1"}'] == 1, 5.0, "it waits")
        asked_at = time.monotonic()
        assert running.terminate() == 0
        assert time.monotonic() - asked_at < 3.0
        runs.join(10)
        waits.join(10)
        assert [outcome.kind for outcome in told_while_it_ran] == ["503 WORKER_DIED"]
        assert [outcome.kind for outcome in told_while_it_waited] == ["503 SHUTTING_DOWN"]


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_in_a_terminal_is_an_orderly_end(server, seven, processes):
    with server(seven(name="seven"), processes=processes) as running:
        long, outcomes = in_the_background(running, "sleep 0.5")
        os.killpg(running.pid, signal.SIGINT)
        assert running.process.wait(10) == 0
        long.join(10)
        assert [outcome.kind for outcome in outcomes] == ["right"]
        assert running.printed.rstrip().endswith("stopped")


def test_what_a_model_s_code_has_started_ends_with_its_worker(server, tmp_path):
    model = write_model(tmp_path / "parent", STARTS_A_CHILD, name="parent")
    with server(model) as running:
        (worker,) = running.worker_pids("parent")
        child = NATIVE.row(NATIVE.ask(running.url, "parent", {"nonce": 1}).json())["output"]
        assert child in running.processes()
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: child not in running.processes(), 5.0, "the child is gone")
        running.wait_for_workers("parent", 1)
        assert running.terminate() == 0  # and none is left, as after every journey


@pytest.mark.parametrize("processes", [1, 2])
def test_nobody_is_left_when_the_server_is_killed(server, seven, figure, processes):
    with server(seven(name="seven", replicas=2), processes=processes) as running:
        running.wait_for_workers("seven", 2)
        long, _ = in_the_background(running, "sleep 20")
        assert len(running.processes()) == 3 + (processes if processes > 1 else 0)
        running.crash()
        killed_at = time.monotonic()
        eventually(lambda: not running.processes(), 2.0, "no process is left")
        figure(f"none left after {1000 * (time.monotonic() - killed_at):.0f} ms")
        long.join(10)


def test_a_killed_server_leaves_a_directory_that_the_next_one_takes_over(server, seven):
    model = seven(name="seven")
    with server(model) as first:
        first.crash()
        with server(model) as second, requests.Session() as session:
            assert ask(session, second.url, "seven", NATIVE).kind == "right"
            assert second.pid != first.pid


def test_a_model_that_still_loads_does_not_hold_up_the_end(server, tmp_path):
    model = write_model(tmp_path / "slow", LOADS_SLOWLY.format(seconds=60), name="slow")
    with server(model, wait="announced") as running:
        eventually(lambda: len(running.processes()) == 2, 10.0, "its worker is started")
        asked_at = time.monotonic()
        assert running.terminate() == 0
        assert time.monotonic() - asked_at < 3.0


def test_a_crash_loop_does_not_hold_up_the_end(server, tmp_path):
    model = write_model(
        tmp_path / "broken", "import os\nos._exit(5)\n\ndef predict(x: float) -> float: return x", name="b"
    )
    with server(model, wait="announced", backoff_min_s=30) as running:
        eventually(lambda: running.version("b")["replicas"][0]["restarts"] >= 2, 20.0, "it crashes twice")
        asked_at = time.monotonic()
        assert running.terminate() == 0
        assert time.monotonic() - asked_at < 3.0


def test_a_signal_during_the_start_ends_it_too(server, seven):
    with server(seven(name="seven"), wait="nothing") as running:
        eventually(lambda: "key" in running.printed, 20.0, "the server has begun")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) in (0, -signal.SIGTERM)


@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_server_is_never_ready_before_its_models_answer(server, tmp_path, processes):
    model = write_model(tmp_path / "slow", LOADS_SLOWLY.format(seconds=0.3), name="slow")
    port = free_port()
    with server(model, wait="nothing", port=port, processes=processes) as running, requests.Session() as session:
        looks: list[tuple[int, int]] = []

        def look() -> bool:
            assert running.process.poll() is None, running.told()
            with contextlib.suppress(requests.ConnectionError):
                answer = session.get(f"http://127.0.0.1:{port}/readyz", timeout=5)
                looks.append((answer.status_code, answer.json()["replicas_wanted"]))
            return bool(looks) and looks[-1][0] == 200

        eventually(look, 20.0, "the server is ready")
        assert set(looks) == {(503, 1), (200, 1)}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
