"""Workers that are killed, crash at every start, or hang: who is told what, and how soon it is as before."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time

import pytest
import requests
from journey_load import Load, ask, steady_load
from journey_models import right_answer, write_model
from journey_server import Server, eventually
from journey_wires import MMS, NATIVE, TFSERVING, WIRES

AT_ONCE = {"backoff_min_s": 0.01, "backoff_max_s": 0.02}
"""Deaths in a row, each before the last one is forgotten, are no crash loop here."""
KILLS = [4, pytest.param(15, marks=pytest.mark.slow)]
AT_ONCE_S = 0.1
"""What is promised for the median; single values depend on who else uses the machine."""
LATE_S = 2.0
DIED = {
    "native": "503 WORKER_DIED",
    "tfserving": "503 The model's process died while it had this request.",
    "mms": "500 InternalServerException",  # "Worker died." has that status in the original
}


def kill(pid: int) -> float:
    """When the process was killed."""
    at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return at


def kill_one_after_the_other(server: Server, load: Load, kills: int) -> list[float]:
    """Kills a busy worker again and again, each time with both alive; when."""
    killed_at = []
    for number in range(kills):
        pids = server.wait_for_workers("seven", 2)
        before = len(load.outcomes)
        eventually(lambda before=before: len(load.outcomes) > before + 8, 10.0, "the load goes on")
        killed_at.append(kill(pids[number % 2]))
        eventually(lambda pids=pids: server.worker_pids("seven") != pids, 5.0, "the death is noticed")
    server.wait_for_workers("seven", 2)
    before = len(load.outcomes)
    eventually(lambda: len(load.outcomes) > before + 20, 10.0, "the load goes on")
    return killed_at


@pytest.mark.proof("T5")
@pytest.mark.parametrize("kills", KILLS)
def test_no_request_is_lost_when_workers_of_an_idempotent_model_are_killed(server, seven, figure, size, kills):
    kills = size(kills, 3 * kills)
    model = seven(name="seven", replicas=2, idempotent=True, batching={"max_batch_rows": 1})
    with server(model, **AT_ONCE) as running, steady_load(running.url, "seven", clients=4, act="sleep 0.02") as load:
        kill_one_after_the_other(running, load, kills)
    assert load.kinds() == {"right": len(load.outcomes)}
    figure(f"{kills} kills, {len(load.outcomes)} requests, 0 lost")


@pytest.mark.proof("T5")
@pytest.mark.parametrize("kills", KILLS)
def test_only_requests_in_a_killed_worker_hear_of_it_when_they_may_not_be_run_again(server, seven, figure, size, kills):
    kills = size(kills, 3 * kills)
    model = seven(name="seven", replicas=2, idempotent=False, batching={"max_batch_rows": 1})
    with server(model, **AT_ONCE) as running, steady_load(running.url, "seven", clients=4, act="sleep 0.03") as load:
        killed_at = kill_one_after_the_other(running, load, kills)
    told = [outcome for outcome in load.outcomes if outcome.kind != "right"]
    assert all(outcome.kind.startswith(DIED[outcome.wire]) for outcome in told)
    assert 0 < len(told) <= kills
    delays = [told_after(outcome.sent_at + outcome.seconds, killed_at) for outcome in told]
    assert statistics.median(delays) < AT_ONCE_S
    assert max(delays) < LATE_S
    assert all(outcome.retry_after for outcome in told)
    figure(
        f"{kills} kills, {len(load.outcomes)} requests, {len(told)} told within "
        f"{1000 * statistics.median(delays):.0f} ms (median), {1000 * max(delays):.0f} ms (most), no other lost"
    )


def told_after(answered_at: float, killed_at: list[float]) -> float:
    return min(answered_at - at for at in killed_at if at <= answered_at)


def kill_all(server: Server) -> float:
    """Kills every worker; how long until the server said not ready, in seconds."""
    pids = server.wait_for_workers("seven", 2)
    killed_at = max(kill(pid) for pid in pids)
    eventually(lambda: not server.is_ready(), 2.0, "the server says not ready")
    return time.monotonic() - killed_at


@pytest.mark.proof("T6")
def test_a_model_without_workers_is_not_ready_refuses_at_once_and_recovers(server, seven, figure):
    model = seven(name="seven", replicas=2, idempotent=True, batching={"max_batch_rows": 1})
    with server(model, backoff_min_s=0.2) as running:
        with steady_load(running.url, "seven", clients=3, act="sleep 0.02") as load:
            not_ready_after = [kill_all(running) for _ in range(3)]
            died_at = time.monotonic()
            running.wait_for_workers("seven", 2)
            recovered_after = time.monotonic() - died_at
            before = len(load.outcomes)
            eventually(lambda: len(load.outcomes) > before + 20, 10.0, "the load goes on")
        assert running.is_ready()
    refused = [outcome for outcome in load.outcomes if outcome.kind != "right"]
    died_with_it = [outcome for outcome in refused if outcome.kind == DIED["mms"]]
    assert statistics.median(not_ready_after) < 0.25
    assert refused
    assert {outcome.kind.partition(" ")[0] for outcome in refused if outcome not in died_with_it} == {"503"}
    assert len(died_with_it) <= 6
    assert all(outcome.retry_after for outcome in refused)
    assert max(outcome.seconds for outcome in load.outcomes) < LATE_S
    assert {outcome.kind for outcome in load.outcomes[-10:]} == {"right"}
    figure(
        f"not ready after {1000 * statistics.median(not_ready_after):.0f} ms, {len(refused)} of {len(load.outcomes)} "
        f"refused with 503 and Retry-After, none hung, both workers back after {recovered_after:.2f} s"
    )


CRASHES_AT_START = """
import os
print("about to fall over", flush=True)
os._exit(77)
def predict(x: float) -> float:
    return x
"""


@pytest.mark.proof("T7")
def test_a_model_that_crashes_at_every_start_is_told_of_and_disturbs_no_other(server, seven, tmp_path, figure):
    sound = seven(name="seven", idempotent=True)
    broken = write_model(tmp_path / "broken", CRASHES_AT_START, name="broken")
    with server(sound, broken, wait="announced", backoff_min_s=0.2) as running:
        running.wait_for_workers("seven", 1)
        with steady_load(running.url, "seven", clients=2, act="sleep 0.01") as load:
            eventually(lambda: running.version("broken")["state"] == "CRASHLOOP", 20.0, "the crash loop is seen")
        told = running.version("broken")
        assert "it exited with status 77" in told["reason"]
        assert told["fix"]
        assert "about to fall over" in told["log_tail"]
        assert "broken version 1: Its worker died again and again" in running.printed
        assert running.printed.count("failed   broken") == running.printed.count("| about to fall over")
        ready = running.get("/readyz")
        assert ready.status_code == 503
        assert any("broken/1" in reason for reason in ready.json()["reasons"])
        for wire, status in ((NATIVE, 503), (MMS, 503), (TFSERVING, 404)):
            refused = wire.ask(running.url, "broken", {"x": 1.0})
            assert (refused.status_code, wire.name) == (status, wire.name)
        assert load.kinds() == {"right": len(load.outcomes)}
        figure(f"{len(load.outcomes)} requests to the other model, 0 lost")


@pytest.mark.slow
def test_pauses_between_crashes_grow(server, tmp_path):
    broken = write_model(tmp_path / "broken", CRASHES_AT_START, name="broken")
    with server(broken, wait="announced", backoff_min_s=0.3) as running:
        restarts: dict[int, float] = {}

        def count() -> int:
            number = int(running.version("broken")["replicas"][0]["restarts"])
            restarts.setdefault(number, time.monotonic())
            return number

        eventually(lambda: count() >= 5, 30.0, "five crashes")
        assert restarts[5] - restarts[4] > restarts[3] - restarts[2] + 0.3  # 1.2 s and 0.3 s, and the starts


def hung_and_replaced(running: Server, act: str) -> tuple[int, float]:
    """Sends a request that hangs its worker; the status it got, and when another worker was ready."""
    statuses: list[int] = []
    values = {"nonce": 1, "act": act}

    def send() -> None:
        headers = {"Salver-Deadline-Ms": "1000"}
        statuses.append(NATIVE.ask(running.url, "hanging", values, headers=headers).status_code)

    (before,) = running.worker_pids("hanging")
    sender = threading.Thread(target=send)
    sent_at = time.monotonic()
    sender.start()
    eventually(lambda: running.worker_pids("hanging") not in ([], [before]), 20.0, "the worker is replaced")
    took = time.monotonic() - sent_at
    sender.join(30)
    return statuses[0], took


@pytest.mark.proof("T8")
def test_a_stopped_worker_is_replaced_and_others_do_not_notice(server, seven, figure):
    settings = {"heartbeat_s": 0.2, "heartbeat_timeout_s": 1.0, "deadline_grace_s": 0.5}
    sound, hanging = seven(name="seven", idempotent=True), seven(name="hanging")
    with server(sound, hanging, **settings) as running:
        with steady_load(running.url, "seven", clients=2, act="sleep 0.01") as load:
            status, took = hung_and_replaced(running, "stop")
        assert status in (503, 504)
        assert took < 4.0
        answer = NATIVE.ask(running.url, "hanging", {"nonce": 5, "act": ""})
        assert NATIVE.row(answer.json())["answer"] == right_answer(5)
        assert load.kinds() == {"right": len(load.outcomes)}
        figure(f"replaced after {took:.2f} s (deadline 1 s); {len(load.outcomes)} requests beside it, 0 lost")


SPINS = """
import os
import time


def predict(nonce: int, act: str) -> int:
    while act:
        try:
            while True:
                time.sleep(0.001)
        except BaseException:
            continue
    return os.getpid()
"""


@pytest.mark.proof("T8")
def test_a_worker_that_ignores_its_deadline_is_replaced(server, tmp_path, figure):
    model = write_model(tmp_path / "hanging", SPINS, name="hanging")
    with server(model, deadline_grace_s=0.5) as running:
        status, took = hung_and_replaced(running, "for ever")
        assert status == 504
        assert took < 4.0
        assert "it went on after the deadline of its requests" in running.logs
        figure(f"replaced after {took:.2f} s (deadline 1 s, grace 0.5 s)")


@pytest.mark.proof("T8")
def test_an_endless_loop_of_python_is_interrupted_at_its_deadline_and_the_worker_lives_on(server, seven, figure):
    with server(seven(name="seven"), deadline_grace_s=5.0) as running:
        before = running.worker_pids("seven")
        sent_at = time.monotonic()
        headers = {"Salver-Deadline-Ms": "300"}
        answer = NATIVE.ask(running.url, "seven", {"nonce": 1, "act": "spin"}, headers=headers)
        told_after_s = time.monotonic() - sent_at
        assert (answer.status_code, NATIVE.error_code(answer.json())) == (504, "DEADLINE_EXCEEDED")
        assert told_after_s < 0.3 + LATE_S
        with requests.Session() as session:
            for wire in WIRES:
                assert ask(session, running.url, "seven", wire).kind == "right"
        assert running.worker_pids("seven") == before
        figure(f"told after {1000 * told_after_s:.0f} ms of 300 ms, the same worker goes on")
