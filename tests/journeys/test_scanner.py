"""A scanner that tries thousands of addresses and names: nothing that is kept grows with what it makes up."""

from __future__ import annotations

import contextlib
import http.client
import random
import string
import time
from urllib.parse import urlsplit

import requests
from journey_load import ask, steady_load
from journey_server import Server, eventually
from journey_wires import WIRES

TRIES = 2000
KNOWN = ("/.env", "/wp-login.php", "/cgi-bin/test", "/actuator/health", "/v1/models/../../etc/passwd", "/metrics/x")
LETTERS = string.ascii_letters + string.digits + "-._~%"


def connected(server: Server) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10))


def made_up(noise: random.Random) -> str:
    name = "".join(noise.choice(LETTERS) for _ in range(noise.randint(1, 40)))
    form = noise.choice(
        (
            *(wire.path for wire in WIRES),
            "/{model}",
            "/v1/models/{model}",
            "/api/v1/models/{model}",
            "/models/{model}/x/y",
        )
    )
    return noise.choice(KNOWN) if noise.random() < 0.05 else form.format(model=name)


def tried(connection: http.client.HTTPConnection, noise: random.Random) -> int:
    """The status of one try; the connection is opened again where the server has closed it."""
    connection.request(noise.choice(("GET", "POST", "PUT", "DELETE", "OPTIONS")), made_up(noise), b"{}")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_a_scanner_makes_no_series_and_costs_no_memory(server, seven, figure):
    noise = random.Random(27)
    with server(seven(name="seven")) as running, requests.Session() as session, connected(running) as connection:
        for wire in WIRES:
            assert ask(session, running.url, "seven", wire).kind == "right"

        def scan(tries: int) -> set[int]:
            return {tried(connection, noise) for _ in range(tries)}

        statuses = scan(200)  # every way to be refused has its series now
        running.metrics()
        series, memory = set(running.metrics()), running.resident_bytes()
        statuses |= scan(TRIES)
        grown = running.resident_bytes() - memory
        begun_at = time.monotonic()
        after = set(running.metrics())
        scrape_s = time.monotonic() - begun_at
        made = {name for name in after - series if not name.endswith(tuple("0123456789"))}
        assert after == series, made
        assert len(series) < 400
        assert all(200 <= status < 500 for status in statuses)
        assert grown < 8 * 1024 * 1024
        assert scrape_s < 1.0
        figure(
            f"{TRIES} tries, {len(series)} series before and after, scrape {1000 * scrape_s:.0f} ms, "
            f"memory +{grown / 1024:.0f} KiB"
        )


def test_what_is_counted_is_what_happened(server, seven):
    """The counters add up to what the clients saw, and they are plain for a person to read."""
    with server(seven(name="seven", replicas=2, idempotent=True)) as running:
        with steady_load(running.url, "seven", clients=3) as load:
            eventually(lambda: len(load.outcomes) > 100, 20.0, "the load goes on")
            ready = 'salver_replicas_ready{model="seven",version="1"}'
            eventually(lambda: running.metrics()[ready] == 2, 20.0, "both replicas are ready")
        metrics = running.metrics()
        for wire in WIRES:
            sent = sum(outcome.wire == wire.name for outcome in load.outcomes)
            labels = f'model="seven",operation="models.predict",protocol="{wire.name}",version="1"'
            assert metrics[f'salver_requests_total{{code="OK",{labels}}}'] == sent
            assert metrics[f"salver_request_duration_seconds_count{{{labels}}}"] == sent
        rows = [value for name, value in metrics.items() if name.startswith("salver_rows_total")]
        assert sum(rows) == len(load.outcomes)
        assert metrics[ready] == 2
        assert metrics['salver_version_state{model="seven",state="READY",version="1"}'] == 1
