"""Clients that go away in the middle: their work stops, their place is free again, nobody else notices."""

from __future__ import annotations

import random
import statistics
import threading
import time
from pathlib import Path

from journey_load import quantile, steady_load
from journey_models import new_nonce, right_answer, write_model
from journey_server import Server, eventually
from journey_sockets import send
from journey_wires import NATIVE, WIRES

WORKS = """
import os
import time
from typing import NamedTuple


class Answer(NamedTuple):
    answer: int
    pid: int


def note(word: str, nonce: int) -> None:
    with open(f"{word}.txt", "a") as file:
        file.write(f"{nonce} {time.monotonic()}\\n")


def predict(nonce: int, act: str) -> Answer:
    \"\"\"Works for `act` seconds in small steps, and notes when it begins and when it is cancelled.\"\"\"
    end = time.monotonic() + float(act or 0)
    note("begun", nonce)
    try:
        while time.monotonic() < end:
            time.sleep(0.002)
    except BaseException:
        note("cancelled", nonce)
        raise
    return Answer(7 * nonce + 3, os.getpid())
"""


def noted(folder: Path, word: str) -> dict[int, float]:
    """When each nonce was noted under this word, on the monotonic clock."""
    path = folder / f"{word}.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return {int(nonce): float(at) for nonce, at in (line.split() for line in lines)}


def hang_up_while_it_works(server: Server, folder: Path, wire: int) -> float:
    """Sends a long request and closes the connection once the model works; seconds until it was cancelled."""
    nonce = new_nonce()
    asked = WIRES[wire % len(WIRES)]
    sock = send(server.url, asked.address("working"), asked.body({"nonce": nonce, "act": "20"}))
    eventually(lambda: nonce in noted(folder, "begun"), 10.0, "the model works on it")
    sock.close()
    closed_at = time.monotonic()
    cancelled = eventually(lambda: noted(folder, "cancelled").get(nonce), 10.0, "the work is cancelled")
    return cancelled - closed_at


def test_work_for_a_client_that_hung_up_stops_and_the_worker_is_free(server, tmp_path, figure):
    model = write_model(tmp_path / "working", WORKS, name="working", batching={"max_batch_rows": 1})
    with server(model) as running:
        pids = running.worker_pids("working")
        delays = [hang_up_while_it_works(running, model, number) for number in range(9)]
        nonce = new_nonce()
        answer = NATIVE.row(NATIVE.ask(running.url, "working", {"nonce": nonce, "act": ""}).json())
        assert answer == {"answer": right_answer(nonce), "pid": pids[0]}
        assert running.metrics()['salver_running_rows{model="working",version="1"}'] == 0
        assert running.worker_pids("working") == pids
    assert statistics.median(delays) < 0.1
    figure(f"cancelled within {1000 * statistics.median(delays):.0f} ms (median), {1000 * max(delays):.0f} ms (most)")


def test_hang_ups_among_steady_clients_cost_these_nothing(server, tmp_path, figure):
    model = write_model(tmp_path / "seven", WORKS, name="seven", replicas=2, batching={"max_batch_rows": 1})
    with server(model) as running:
        pids = running.wait_for_workers("seven", 2)
        hung_up = 0
        ended = threading.Event()
        with steady_load(running.url, "seven", clients=4, act="0.01") as load:
            eventually(lambda: len(load.outcomes) > 4, 10.0, "the load goes on")
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                wire = random.choice(WIRES)
                body = wire.body({"nonce": new_nonce(), "act": "0.2"})
                sock = send(running.url, wire.address("seven"), body)
                ended.wait(random.uniform(0, 0.03))  # in the queue or in the worker: anywhere on its way
                sock.close()
                hung_up += 1
        idle = ('salver_running_rows{model="seven",version="1"}', 'salver_queue_rows{model="seven",version="1"}')
        eventually(lambda: [running.metrics()[name] for name in idle] == [0, 0], 3.0, "every place is free again")
        cancelled = sum(value for name, value in running.metrics().items() if 'code="CANCELLED"' in name)
        assert running.worker_pids("seven") == pids
    assert load.kinds() == {"right": len(load.outcomes)}
    assert cancelled >= 0.9 * hung_up  # the others hung up before their request had been read
    slowest = quantile([outcome.seconds for outcome in load.outcomes], 0.99)
    figure(
        f"{hung_up} hung up ({cancelled:.0f} of them seen as cancelled), {len(load.outcomes)} others right, 0 lost, "
        f"p99 {1000 * slowest:.0f} ms"
    )
