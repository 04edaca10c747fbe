"""Requests that are wrong in every way: always told so in the protocol's own words, never a fault, never a trace."""

from __future__ import annotations

import gzip
import json
import random
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from journey_models import write_model
from journey_server import Server, serving
from journey_sockets import connect, received, request_bytes
from journey_wires import MMS, NATIVE, OPENINFERENCE, TFSERVING, WIRES, Wire

LIMIT_MB = 1
SPOKEN = (*WIRES, OPENINFERENCE)
LEAKS = re.compile(rb'Traceback|File "|line \d+, in |\w+\.py\b|site-packages|/tmp/|/run/|object at 0x|\w+Error\b')
"""What only an exception's text or trace has."""

SUMS = """
import numpy as np
SIGNATURE = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "total", "datatype": "FP32", "shape": [-1]}],
}
def predict(x: np.ndarray) -> np.ndarray:
    return x.sum(axis=1)
"""

HANDLER = """
def handle(data, context):
    return None if data is None else [{"keys": sorted(row)} for row in data]
"""


class Answered(NamedTuple):
    status: int
    headers: bytes
    body: bytes


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("malformed")
    sums = write_model(folder / "sums", SUMS, name="sums")
    bodies = folder / "bodies.mar"
    with zipfile.ZipFile(bodies, "w") as archive:
        manifest = {"runtime": "python", "model": {"modelName": "bodies", "handler": "service.py:handle"}}
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("service.py", HANDLER)
    with serving(sums, bodies, folder=folder, max_body_mb=LIMIT_MB) as server:
        before = {model: server.worker_pids(model) for model in ("sums", "bodies")}
        yield server
        assert {model: server.worker_pids(model) for model in before} == before
        for wire in SPOKEN:
            assert wire.ask(server.url, "sums", {"x": [1, 2, 3, 4]}).status_code == 200


def exchange(server: Server, raw: bytes) -> Answered:
    """Sends the bytes, tells that no more come, and takes the answer apart."""
    with connect(server.url) as sock:
        sock.sendall(raw)
        answer = received_once(sock)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), answer[:200]
    return Answered(int(head.split()[1]), head, body)


def received_once(sock) -> bytes:
    """One whole answer, by its content length; or all until the end."""
    sock.settimeout(10)
    answer = bytearray()
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return bytes(answer)
        answer += piece
        head, end, body = bytes(answer).partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if not piece or (end and length and len(body) >= int(length[1])):
            return bytes(answer)


def check_refusal(wire: Wire, answered: Answered) -> None:
    """A 4xx in the words of the protocol (or of the edge, before any protocol), and nothing that leaks."""
    assert 400 <= answered.status < 500, answered
    assert not LEAKS.search(answered.body), answered
    if answered.status == 413 and wire is MMS and not answered.body:
        return  # as the original does
    document = json.loads(answered.body)
    if isinstance(document.get("error"), dict):
        assert re.fullmatch(r"[A-Z_]+", document["error"]["code"])
        assert document["error"]["message"]
    else:
        assert wire.error_code(document)


def rows_of(wire: Wire, rows: str) -> bytes:
    """JSON text as the model's input, in the form of the protocol."""
    if wire is OPENINFERENCE:
        shape = [max(1, rows.count("[") - 1), 4]
        return f'{{"inputs": [{{"name": "x", "datatype": "FP32", "shape": {shape}, "data": {rows}}}]}}'.encode()
    return (f'{{"instances": {rows}}}' if wire is TFSERVING else f'{{"inputs": {{"x": {rows}}}}}').encode()


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b"   ",
    "no JSON": b"hello",
    "cut off": b'{"inputs": {"x": [[1, 2',
    "junk behind it": b'{"inputs": {"x": [[1,2,3,4]]}} ]]]' * 2,
    "a string": b'"text"',
    "a number": b"42",
    "null": b"null",
    "true": b"true",
    "an empty object": b"{}",
    "an empty list": b"[]",
    "not UTF-8": b'{"inputs": {"x": "\xff\xfe"}}',
    "half a surrogate pair": b'{"inputs": {"x": ["\\ud800"]}}',
    "deep lists": b"[" * 100_000,
    "deep lists, closed": b"[" * 5000 + b"]" * 5000,
    "deep objects": b'{"a":' * 100_000,
    "a long number": b'{"inputs": {"x": [[' + b"9" * 100_000 + b"]]}}",
    "both forms": b'{"inputs": {"x": [[1,2,3,4]]}, "instances": [[1,2,3,4]]}',
    "a zero byte": b"\0",
    "an unknown input": b'{"inputs": {"y": [[1,2,3,4]]}}',
}
ROWS: dict[str, str] = {
    "text for numbers": '[["a", "b", "c", "d"]]',
    "one text": '[[1, 2, "3", 4]]',
    "null for a number": "[[1, null, 3, 4]]",
    "an object for a number": '[[1, {"a": 2}, 3, 4]]',
    "too short": "[[1, 2, 3]]",
    "too long": "[[1, 2, 3, 4, 5]]",
    "ragged": "[[1, 2, 3, 4], [1, 2]]",
    "too deep": "[[[1], [2], [3], [4]]]",
    "no rows": "[]",
    "empty rows": "[[], []]",
    "above FP32": "[[1e39, 2, 3, 4]]",
    "above FP64": "[[1e999, 2, 3, 4]]",
    "base64 that is none": '[{"b64": "!!!"}]',
    "base64 for numbers": '[{"b64": "AAAA"}]',
}


TRUE = "[[true, true, true, true]]"
"""Numbers for the two wires whose bodies are read by the one table of formats, and none for the others."""


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
def test_true_is_a_number_by_the_table_of_formats_alone(running, wire):
    answer = exchange(running, request_bytes(wire.address("sums"), rows_of(wire, TRUE)))
    if wire.name in ("native", "mms"):
        assert answer.status == 200, answer.body
    else:
        check_refusal(wire, answer)


@pytest.mark.parametrize("wire", SPOKEN, ids=lambda wire: wire.name)
@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_no_request_is_refused(running, wire, what):
    check_refusal(wire, exchange(running, request_bytes(wire.address("sums"), BODIES[what])))


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
@pytest.mark.parametrize("what", ROWS)
def test_values_that_do_not_fit_are_refused(running, wire, what):
    check_refusal(wire, exchange(running, request_bytes(wire.address("sums"), rows_of(wire, ROWS[what]))))


@pytest.mark.parametrize("wire", SPOKEN, ids=lambda wire: wire.name)
@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_not_are_refused(running, wire, token):
    check_refusal(wire, exchange(running, request_bytes(wire.address("sums"), rows_of(wire, f"[[1, {token}, 3, 4]]"))))


HEADERS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "a type nobody knows": (b"x", ("Content-Type: application/x-nothing",)),
    "an image": (b"\xff\xd8\xff", ("Content-Type: image/jpeg",)),
    "a form without its boundary": (b"x", ("Content-Type: multipart/form-data",)),
    "a form that never ends": (
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1',
        ("Content-Type: multipart/form-data; boundary=b",),
    ),
    "an unknown encoding": (b"x", ("Content-Encoding: rot13",)),
    "gzip that is none": (b"x", ("Content-Encoding: gzip",)),
    "gzip that is cut": (gzip.compress(b'{"inputs": {"x": [[1,2,3,4]]}}')[:-12], ("Content-Encoding: gzip",)),
    "a gzip bomb": (gzip.compress(b" " * (LIMIT_MB * 8 << 20)), ("Content-Encoding: gzip",)),
    "gzip in gzip": (gzip.compress(gzip.compress(b"{}")), ("Content-Encoding: gzip, gzip",)),
    "deflate": (zlib.compress(b'{"inputs": {"x": [[1,2,3,4]]}}'), ("Content-Encoding: deflate",)),
    "a deadline that is none": (b'{"inputs": {"x": [[1,2,3,4]]}}', ("Salver-Deadline-Ms: soon",)),
    "a deadline in the past": (b'{"inputs": {"x": [[1,2,3,4]]}}', ("Salver-Deadline-Ms: -5",)),
    "a deadline that is no number": (b'{"inputs": {"x": [[1,2,3,4]]}}', ("Salver-Deadline-Ms: nan",)),
    "a Host of somebody else": (b'{"inputs": {"x": [[1,2,3,4]]}}', ("Host: evil.example",)),
}


@pytest.mark.parametrize("wire", SPOKEN, ids=lambda wire: wire.name)
@pytest.mark.parametrize("what", HEADERS)
def test_headers_that_cannot_be_meant_are_refused(running, wire, what):
    body, headers = HEADERS[what]
    raw = request_bytes(wire.address("sums"), body, *headers)
    if what.startswith("a Host"):
        raw = raw.replace(b"Host: localhost\r\n", b"")
    check_refusal(wire, exchange(running, raw))


@pytest.mark.parametrize("wire", SPOKEN, ids=lambda wire: wire.name)
def test_a_body_above_the_limit_is_refused_before_it_is_sent_and_while_it_comes(running, wire):
    announced = request_bytes(wire.address("sums"), b"", f"Content-Length: {(LIMIT_MB << 20) + 1}")
    assert exchange(running, announced).status == 413
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    chunked = request_bytes(wire.address("sums"), b"", "Transfer-Encoding: chunked") + chunk * (LIMIT_MB * 16 + 2)
    assert exchange(running, chunked).status == 413


@pytest.mark.parametrize("wire", SPOKEN, ids=lambda wire: wire.name)
def test_names_that_lead_nowhere_are_refused(running, wire):
    tricks = ("nobody", "..", "%2e%2e%2f%2e%2e", "a%00b", "%ff%fe", "x" * 5000, "sums%0d%0aSet-Cookie:a=b")
    for name in (*tricks, "sums/99" if wire is MMS else "sums/versions/99"):
        answered = exchange(running, request_bytes(wire.address(name), rows_of(wire, "[[1, 2, 3, 4]]")))
        assert b"set-cookie" not in answered.headers.lower()
        check_refusal(wire, answered)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "BREW"])
@pytest.mark.parametrize("wire", [NATIVE, TFSERVING], ids=lambda wire: wire.name)
def test_other_methods_are_refused(running, wire, method):
    check_refusal(wire, exchange(running, request_bytes(wire.address("sums"), b"", method=method)))


NOT_HTTP: dict[str, bytes] = {
    "noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "a line alone": b"hello\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": (
        b"POST /predictions/sums HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
    ),
    "a negative length": b"POST /predictions/sums HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "length and chunks": (
        b"POST /predictions/sums HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n"
    ),
    "chunks that are none": (
        b"POST /predictions/sums HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    ),
    "a long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    + b"".join(b"X-%d: 1\r\n" % n for n in range(300))
    + b"\r\n",
    "a blank in a name": b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
}


@pytest.mark.parametrize("what", NOT_HTTP)
def test_what_is_not_http_is_refused_and_the_connection_closed(running, what):
    with connect(running.url) as sock:
        sock.sendall(NOT_HTTP[what])
        answer = received(sock)
    assert answer.startswith(b"HTTP/1.1 4"), answer[:100]
    assert answer.count(b"HTTP/1.1 4") == 1
    assert not LEAKS.search(answer)


def test_an_offer_of_another_protocol_is_not_taken(running):
    offer = request_bytes("/", b"", "Upgrade: websocket", "Connection: Upgrade", method="GET")
    assert exchange(running, offer).status in (200, 400)


HANDLED: dict[str, tuple[bytes, str]] = {
    "JSON that is none": (b"{", "application/json"),
    "text that is not UTF-8": (b"\xff\xfe\xff", "text/plain"),
    "deep JSON": (b"[" * 100_000, "application/json"),
}


@pytest.mark.parametrize("wire", [NATIVE, MMS], ids=lambda wire: wire.name)
@pytest.mark.parametrize("what", HANDLED)
def test_a_handler_is_not_asked_about_a_body_that_is_not_what_it_says(running, wire, what):
    body, content_type = HANDLED[what]
    check_refusal(wire, exchange(running, request_bytes(wire.address("bodies"), body, f"Content-Type: {content_type}")))


@pytest.mark.parametrize("wire", SPOKEN, ids=lambda wire: wire.name)
def test_random_damage_to_good_requests_is_never_a_fault(running, wire, figure):
    """Good requests, each with some bytes changed, cut out or doubled: 200 or 4xx, nothing else."""
    noise = random.Random(20261123)
    good = bytearray(rows_of(wire, "[[1.5, -2e3, 3, 4], [0, 0, 0, 0]]"))
    statuses: dict[int, int] = {}
    for _ in range(300):
        body = bytearray(good)
        for _ in range(noise.randint(1, 4)):
            at = noise.randrange(len(body))
            match noise.randrange(3):
                case 0:
                    body[at] = noise.randrange(256)
                case 1:
                    del body[at : at + noise.randint(1, 8)]
                case 2:
                    body[at:at] = body[at : at + noise.randint(1, 16)]
        answered = exchange(running, request_bytes(wire.address("sums"), bytes(body)))
        statuses[answered.status] = statuses.get(answered.status, 0) + 1
        if answered.status != 200:
            check_refusal(wire, answered)
    figure(f"{statuses}")


def test_nothing_of_this_is_an_error_of_the_server(running):
    errors = [line for line in running.logs.splitlines() if '"level": "error"' in line]
    assert errors == []
