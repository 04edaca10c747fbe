"""Clients that are slow on purpose: they are cut off at their limits, and nobody else waits for them."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from contextlib import ExitStack

import pytest
import requests
from journey_load import ask, quantile, steady_load
from journey_models import write_model
from journey_server import Server, eventually
from journey_sockets import connect, has_ended, received, request_bytes
from journey_wires import NATIVE

LIMITS = {"header_timeout_s": 1, "body_timeout_s": 1, "write_timeout_s": 1}
CUT_AFTER_S = 3.0
"""The limit, the half second of the sweep, and what a busy machine adds."""


def test_slow_and_idle_connections_beside_a_steady_load(server, seven, figure):
    with server(seven(name="seven"), **LIMITS) as running, ExitStack() as stack:
        with steady_load(running.url, "seven", clients=2, act="sleep 0.005") as before:
            eventually(lambda: len(before.outcomes) > 100, 20.0, "the load goes on")

        def opened(sent: bytes) -> list[socket.socket]:
            found = [stack.enter_context(connect(running.url)) for _ in range(60)]
            for sock in found:
                sock.sendall(sent)
            return found

        begun_at = time.monotonic()
        slow_heads = opened(b"POST /predictions/seven HTTP/1.1\r\nHost: loc")
        slow_bodies = opened(request_bytes(NATIVE.address("seven"), b"{", "Content-Length: 100000"))
        silent = opened(b"")
        with steady_load(running.url, "seven", clients=2, act="sleep 0.005") as beside:
            for sock in slow_heads + slow_bodies:
                eventually(lambda sock=sock: has_ended(sock), CUT_AFTER_S, "the slow ones are told and cut off")
            told_after_s = time.monotonic() - begun_at
            for sock in silent:
                eventually(lambda sock=sock: has_ended(sock), CUT_AFTER_S, "the silent ones are cut off")
        heads = {received(sock).split(b"\r\n")[0] for sock in slow_heads + slow_bodies}
        assert heads == {b"HTTP/1.1 408 Request Timeout"}
        assert {received(sock) for sock in silent} == {b""}
    assert 0.5 <= told_after_s <= CUT_AFTER_S
    assert before.kinds() == {"right": len(before.outcomes)}
    assert beside.kinds() == {"right": len(beside.outcomes)}
    slowest = [quantile([outcome.seconds for outcome in load.outcomes], 0.95) for load in (before, beside)]
    assert slowest[1] < 1.5 * slowest[0] + 0.1
    figure(
        f"180 slow ones cut after {told_after_s:.1f} s (limit 1 s); p95 beside them {1000 * slowest[1]:.0f} ms, "
        f"before {1000 * slowest[0]:.0f} ms; {len(beside.outcomes)} requests, 0 lost"
    )


def test_a_thousand_idle_connections_cost_nobody_else_anything(server, seven, figure):
    with server(seven(name="seven")) as running, ExitStack() as stack:
        before = running.resident_bytes()
        held = [stack.enter_context(connect(running.url)) for _ in range(1000)]
        assert running.metrics()["salver_connections"] >= 1000
        grown = running.resident_bytes() - before
        with requests.Session() as session:
            outcomes = [ask(session, running.url, "seven", NATIVE) for _ in range(50)]
        assert {outcome.kind for outcome in outcomes} == {"right"}
        assert not any(has_ended(sock) for sock in held)
        assert grown / len(held) < 32 * 1024
        figure(f"{grown / len(held) / 1024:.1f} KiB of the server's memory for each idle connection")


TALKS = """
import numpy as np
SIGNATURE = {
    "inputs": [{"name": "count", "datatype": "INT64", "shape": [-1]}],
    "outputs": [{"name": "numbers", "datatype": "FP64", "shape": [-1, -1]}],
}
def predict(count: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).random((1, int(count[0])))
"""


def ask_for_much(url: str) -> socket.socket:
    """A connection to an answer of some ten megabytes, more than the system holds between the two."""
    sock = connect(url)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.sendall(request_bytes(NATIVE.address("talks"), b'{"inputs": {"count": [600000]}}'))
    return sock


def wait_for_the_answer(running: Server) -> None:
    answered = 'salver_requests_total{code="OK",model="talks",operation="models.predict",protocol="native",version="1"}'
    eventually(lambda: running.metrics().get(answered), 15.0, "the answer is made")


def test_a_client_that_does_not_read_its_answer_is_cut_off(server, tmp_path):
    model = write_model(tmp_path / "talks", TALKS, name="talks")
    with server(model, **LIMITS) as running, ask_for_much(running.url):
        wait_for_the_answer(running)
        eventually(lambda: running.metrics()["salver_connections"] <= 1, CUT_AFTER_S, "the connection is cut")
        assert NATIVE.ask(running.url, "talks", {"count": 2}).status_code == 200


@pytest.mark.slow
def test_a_client_that_reads_slowly_gets_all_of_its_answer(server, tmp_path):
    model = write_model(tmp_path / "talks", TALKS, name="talks")
    with server(model, **LIMITS) as running, ask_for_much(running.url) as sock:
        wait_for_the_answer(running)
        length, body = read_slowly(sock, lasting_s=2.0)
        assert len(body) == length > 5_000_000


def test_an_answer_on_its_way_is_sent_whole_before_the_server_ends(server, tmp_path):
    model = write_model(tmp_path / "talks", TALKS, name="talks")
    with server(model) as running, ask_for_much(running.url) as sock:
        wait_for_the_answer(running)
        running.process.send_signal(signal.SIGTERM)
        length, body = read_slowly(sock, lasting_s=1.0)
        assert len(body) == length > 5_000_000
        assert running.process.wait(10) == 0


def read_slowly(sock: socket.socket, lasting_s: float) -> tuple[int, bytes]:
    """The length that an answer announces, and its body, read in a hundred portions over the time."""
    pause = threading.Event()
    answer = bytearray(sock.recv(65536))
    head, _, rest = bytes(answer).partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    body = bytearray(rest)
    with contextlib.suppress(ConnectionResetError):
        while len(body) < length and not pause.wait(lasting_s / 100):
            portion = sock.recv(length // 100 + 1, socket.MSG_WAITALL)
            if not portion:
                break
            body += portion
    return length, bytes(body)


def test_connections_above_the_limit_are_refused_in_words(server, seven):
    with server(seven(name="seven"), max_connections=20) as running, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(running.url))
        refused = stack.enter_context(connect(running.url))
        head, _, body = received(refused).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"OVERLOADED" in body
    assert '"level": "error"' not in running.logs
