"""Bytes at random, and requests with some of theirs changed: refused or answered, never a fault, never a hang."""

from __future__ import annotations

import contextlib
import random
import socket
import time

import pytest

SECONDS = 3.0
WORDS = (
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
    b"Connection: close\r\n",
    b"HTTP/1.0",
    b"\r\n\r\n",
    b"\r\n",
    b"\n",
    b"\0",
    b"\xff\xfe",
    b"99999999999999999999",
    b"-1",
    b"%00%2e%2e%2f",
    b"GET /metrics HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Authorization: Bearer msk_0123456789_x_y\r\n",
    b"X-Request-Id: \x1b[31m\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Accept: text/csv;q=\r\n",
    b"Salver-Shape: 9999999999,9999999999\r\n",
    b"Content-Type: multipart/form-data; boundary=a\r\n",
    b"[" * 300,
    b"1e999",
)


def seeds(say) -> list[bytes]:
    return [
        say.predict(),
        say.predict(wire="tfserving"),
        say.wide(1)[:3000],
        say.chunked("/api/v1/models/m/predict", [b'{"instances":', b"[[1,2]]}"], b"X-T: t"),
        say.get("/livez"),
        say.get("/metrics"),
        say.get("/api/v1/models/m/openapi.json"),
        say.post("/api/v1/keys", b'{"label":"a","role":"admin"}', "Content-Type: application/json"),
        say.post("/predictions/bodies", b"hello", "Content-Type: text/plain"),
        say.post("/v1/models/m:classify", b'{"examples":[{"x":1}]}'),
        say.get("/", "Accept: text/html", method="HEAD"),
    ]


def changed(rng: random.Random, raw: bytes) -> bytes:
    data = bytearray(raw)
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[at:at] = rng.choice(WORDS)
        elif kind == 1:
            del data[at : at + rng.randint(1, 20)]
        elif kind == 2:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 3:
            data[at:at] = data[: rng.randint(0, len(data))]
        else:
            data[at:at] = rng.randbytes(rng.randint(1, 30))
    return bytes(data)


def statuses(raw: bytes) -> list[int]:
    """Of all answers in a stream of them, as far as they can be told apart."""
    return [int(piece[:3]) for piece in raw.split(b"HTTP/1.1 ")[1:] if piece[:3].isdigit()]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_anything_may_come(running, connect, say, seed) -> None:
    rng = random.Random(seed)
    originals = seeds(say)
    until = time.monotonic() + SECONDS / 3
    count = 0
    while time.monotonic() < until:
        raw = b"".join(changed(rng, rng.choice(originals)) for _ in range(rng.randint(1, 3)))
        answers = exchange(connect, running, rng, raw)
        assert all(status < 500 or status in (501, 505) for status in statuses(answers)), (seed, raw, answers)
        count += 1
    assert count > 20
    running.until(lambda: not running.edge.connections)
    running.until(lambda: running.has_nothing_left)
    client = connect(running)
    assert client.send(say.predict(2)).answer().json["outputs"] == {"y": [[4.0, 2.0]]}


def exchange(connect, server, rng: random.Random, raw: bytes) -> bytes:
    client = connect(server)
    answers = b""
    with contextlib.suppress(ConnectionError):
        cut = rng.randrange(len(raw) + 1)
        client.send(raw[:cut], raw[cut:])
        client.sock.settimeout(0.005)
        with contextlib.suppress(TimeoutError):
            while data := client.sock.recv(65536):
                answers += data
    with contextlib.suppress(OSError):
        client.sock.shutdown(socket.SHUT_RDWR)
    client.close()
    return answers


def test_noise_is_refused(running, connect, say) -> None:
    rng = random.Random(4)
    for _ in range(200):
        exchange(connect, running, rng, rng.randbytes(rng.randint(1, 400)))
    assert connect(running).send(say.predict()).answer().status == 200
