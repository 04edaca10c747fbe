"""Several front ends on one port: to a client one server, whatever happens to one of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import numpy as np
import pytest
import requests
from journey_load import ask, steady_load
from journey_models import new_nonce, right_answer, write_model
from journey_server import Server, eventually
from journey_wires import MMS, NATIVE, WIRES

TRIES = 200
SUMS = """
import numpy as np
SIGNATURE = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1024]}],
    "outputs": [{"name": "total", "datatype": "FP64", "shape": [-1]}],
}
def predict(x: np.ndarray) -> np.ndarray:
    return x.sum(axis=1, dtype=np.float64)
"""


def front_end_of(answer: requests.Response) -> str:
    """Which of them answered: each has a prefix of its own for its request ids."""
    return str(answer.headers["X-Request-Id"].rpartition("-")[0])


def at_each(count: int, send: Callable[[], requests.Response]) -> list[requests.Response]:
    """Sends over new connections until `count` front ends have answered; one answer of each, all the same in kind."""
    answers: dict[str, requests.Response] = {}
    for _ in range(TRIES):
        answer = send()
        answers.setdefault(front_end_of(answer), answer)
        if len(answers) == count:
            return list(answers.values())
    raise AssertionError(f"{len(answers)} of {count} front ends answered {TRIES} connections")


def predicts(server: Server, **options: object) -> requests.Response:
    nonce = new_nonce()
    answer = NATIVE.ask(server.url, "seven", {"nonce": nonce, "act": ""}, **options)
    if answer.status_code == 200:
        assert NATIVE.row(answer.json())["answer"] == right_answer(nonce)
    return answer


def both_answer(server: Server, headers: dict[str, str] | None = None) -> bool:
    """Whether two front ends predict."""
    return both_give_200(lambda: predicts(server, headers=headers))


def both_answer_readiness(server: Server) -> bool:
    return both_give_200(lambda: server.get("/readyz"))


def both_give_200(send: Callable[[], requests.Response]) -> bool:
    try:
        return {answer.status_code for answer in at_each(2, send)} == {200}
    except (requests.RequestException, AssertionError):
        return False


@pytest.mark.parametrize("processes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_every_front_end_answers_everything(server, seven, figure, processes):
    with server(seven(name="seven", replicas=2), processes=processes) as running:
        assert len(running.front_end_pids()) == processes
        running.wait_for_workers("seven", 2)
        for answer in at_each(processes, lambda: predicts(running)):
            assert answer.status_code == 200
        for answer in at_each(processes, lambda: running.get("/readyz")):
            assert (answer.status_code, answer.json()["replicas_ready"]) == (200, 2)
        for answer in at_each(processes, lambda: running.get("/api/v1/models/seven")):
            assert [replica["state"] for replica in answer.json()["versions"][0]["replicas"]] == ["READY", "READY"]
        for answer in at_each(processes, lambda: MMS.ask(running.url, "seven", {"nonce": 1, "act": ""})):
            assert answer.json()["answer"] == 10
        with steady_load(running.url, "seven", clients=4) as load:
            eventually(lambda: len(load.outcomes) > 200, 20.0, "the load goes on")
        assert load.kinds() == {"right": len(load.outcomes)}
        assert {outcome.pid for outcome in load.outcomes} == set(running.worker_pids("seven"))
        figure(f"{len(load.outcomes)} requests over {processes} front ends, 0 lost")


def test_metrics_are_the_sum_over_all_front_ends_and_never_fall(server, seven, figure):
    with server(seven(name="seven"), processes=2) as running:
        total = (
            'salver_requests_total{code="OK",model="seven",operation="models.predict",protocol="native",version="1"}'
        )
        answered = [front_end_of(predicts(running)) for _ in range(60)]
        assert len(set(answered)) == 2
        for answer in at_each(2, lambda: running.get("/metrics")):
            assert f"{total} 60.0" in answer.text.splitlines()
        os.kill(running.front_end_pids()[0], signal.SIGKILL)
        eventually(lambda: both_answer_readiness(running), 10.0, "both answer again")
        after = running.metrics()[total]
        assert after >= 60
        assert running.metrics()['salver_running_rows{model="seven",version="1"}'] == 0
        figure(f"60 before and {after:.0f} after one was killed")


def test_a_new_key_works_and_a_revoked_one_stops_at_once_everywhere(server, seven):
    with server(seven(name="seven"), processes=2, anonymous="none") as running:
        admin = running.admin
        assert {answer.status_code for answer in at_each(2, lambda: predicts(running))} == {401}
        for _ in range(5):
            made = running.post("/api/v1/keys", json={"label": "shop", "role": "user"}, headers=admin)
            assert made.status_code == 201
            key = {"Authorization": f"Bearer {made.json()['key']}"}
            for answer in at_each(2, lambda key=key: predicts(running, headers=key)):
                assert answer.status_code == 200
            with requests.Session() as held:
                assert ask(held, running.url, "seven", NATIVE, headers=key).kind == "right"
                revoked = requests.delete(f"{running.url}/api/v1/keys/{made.json()['id']}", headers=admin, timeout=10)
                assert revoked.status_code == 200
                assert ask(held, running.url, "seven", NATIVE, headers=key).kind == "401 UNAUTHENTICATED"
            for answer in at_each(2, lambda key=key: predicts(running, headers=key)):
                assert answer.status_code == 401


def test_a_killed_front_end_is_replaced_and_the_other_goes_on(server, seven, figure):
    with server(seven(name="seven", replicas=2), processes=2) as running:
        workers = running.wait_for_workers("seven", 2)
        with steady_load(running.url, "seven", clients=6, act="sleep 0.005") as load:
            eventually(lambda: len(load.outcomes) > 50, 10.0, "the load goes on")
            dead, survivor = running.front_end_pids()
            os.kill(dead, signal.SIGKILL)
            killed_at = time.monotonic()
            eventually(
                lambda: survivor in (pids := running.front_end_pids()) and len(pids) == 2 and dead not in pids,
                10.0,
                "another takes its place",
            )
            eventually(lambda: both_answer(running), 15.0, "both answer again")
            replaced_after = time.monotonic() - killed_at
            before = len(load.outcomes)
            eventually(lambda: len(load.outcomes) > before + 50, 10.0, "the load goes on")
        lost = [outcome for outcome in load.outcomes if outcome.kind != "right"]
        assert {outcome.kind for outcome in lost} <= {"ConnectionError"}
        assert len(lost) <= 6  # one for each connection at most
        assert all(outcome.sent_at < killed_at + 0.1 for outcome in lost)
        assert sorted(running.worker_pids("seven")) == sorted(workers)
        figure(
            f"{len(load.outcomes)} requests, {len(lost)} were in the dead one, replaced and serving after "
            f"{replaced_after:.2f} s, no worker restarted"
        )


@pytest.mark.slow
def test_when_all_front_ends_are_killed_all_come_back(server, seven):
    with server(seven(name="seven"), processes=2, anonymous="none") as running:
        admin = running.admin
        assert both_answer(running, admin)
        for pid in running.front_end_pids():
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: both_answer(running, admin), 15.0, "both answer again")
        made = running.post("/api/v1/keys", json={"label": "shop", "role": "user"}, headers=admin)
        key = {"Authorization": f"Bearer {made.json()['key']}"}
        assert {answer.status_code for answer in at_each(2, lambda: predicts(running, headers=key))} == {200}


@pytest.mark.slow
@pytest.mark.parametrize("front_ends", [1, 2])
def test_workers_and_front_ends_that_die_together_all_come_back(server, seven, front_ends):
    """A worker that is ready while a front end is down must reach the one that takes its place."""
    with server(seven(name="seven", replicas=2), processes=2) as running:
        for _ in range(3):
            workers = running.wait_for_workers("seven", 2)
            eventually(lambda: len(running.front_end_pids()) == 2, 10.0, "both front ends run")
            for pid in (*running.front_end_pids()[:front_ends], *workers):
                os.kill(pid, signal.SIGKILL)
            eventually(lambda workers=workers: both_reach_new_workers(running, workers), 20.0, "all is as before")


def both_reach_new_workers(server: Server, dead: list[int]) -> bool:
    """Whether each front end says itself that it reaches two workers, neither of them dead."""
    try:
        answers = at_each(2, lambda: server.get("/api/v1/models/seven"))
    except (requests.RequestException, AssertionError):
        return False
    replicas = [answer.json()["versions"][0]["replicas"] for answer in answers]
    return all(replica["state"] == "READY" and replica["pid"] not in dead for seen in replicas for replica in seen)


@pytest.mark.slow
def test_a_front_end_that_dies_with_a_request_in_a_worker_does_not_keep_the_worker(server, seven):
    with server(seven(name="seven"), processes=2) as running:
        workers = running.worker_pids("seven")
        with steady_load(running.url, "seven", clients=3, act="sleep 0.3") as load:
            running_rows = 'salver_running_rows{model="seven",version="1"}'
            eventually(lambda: running.metrics()[running_rows] > 0, 5.0, "the worker works")
            os.kill(running.front_end_pids()[0], signal.SIGKILL)
            eventually(lambda: both_answer(running), 15.0, "both answer again")
        assert set(load.kinds()) <= {"right", "ConnectionError"}
        assert running.worker_pids("seven") == workers


@pytest.mark.slow
def test_large_bodies_reach_the_model_through_every_front_end_also_a_new_one(server, tmp_path):
    model = write_model(tmp_path / "sums", SUMS, name="sums")
    rows = np.random.default_rng(5).random((300, 1024), np.float32)
    expected = rows.sum(axis=1, dtype=np.float64).tolist()

    def send() -> requests.Response:
        headers = {"Content-Type": "application/octet-stream"}
        return running.post(NATIVE.address("sums"), data=rows.tobytes(), headers=headers)

    with server(model, processes=2, slab_mb=16) as running:
        for _ in range(2):
            for answer in at_each(2, send):
                assert answer.json()["outputs"]["total"] == pytest.approx(expected)
            os.kill(running.front_end_pids()[0], signal.SIGKILL)
            eventually(lambda: both_answer_readiness(running), 10.0, "both answer again")


@pytest.mark.slow
def test_three_protocols_over_three_front_ends_agree(server, seven):
    with server(seven(name="seven", idempotent=True), processes=3) as running, requests.Session() as session:
        at_each(3, lambda: predicts(running))
        for wire in WIRES:
            assert {ask(session, running.url, "seven", wire).kind for _ in range(20)} == {"right"}
