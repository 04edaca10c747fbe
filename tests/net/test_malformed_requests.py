"""Requests that are not HTTP, or that two parsers could read in two ways: refused with a reason, and the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

PREDICT = b"POST /api/v1/models/m/predict HTTP/1.1\r\n"
GET = b"GET /api/v1/models HTTP/1.1\r\n"
HOST = b"Host: 127.0.0.1\r\n"
BODY = b'{"instances":[[1,1]]}'
CHUNKED = PREDICT + HOST + b"Transfer-Encoding: chunked\r\n\r\n"

MALFORMED = {
    "both lengths": PREDICT + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other way round": PREDICT + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "two lengths": PREDICT + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": PREDICT + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": PREDICT + HOST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a negative length": PREDICT + HOST + b"Content-Length: -1\r\n\r\n",
    "a length with a plus": PREDICT + HOST + b"Content-Length: +3\r\n\r\nabc",
    "a hexadecimal length": PREDICT + HOST + b"Content-Length: 0x3\r\n\r\nabc",
    "a length with an underscore": PREDICT + HOST + b"Content-Length: 1_0\r\n\r\n",
    "an overflowing length": PREDICT + HOST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "an empty length": PREDICT + HOST + b"Content-Length: \r\n\r\n",
    "a chunk size that is no number": CHUNKED + b"G\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-3\r\nabc\r\n",
    "an empty chunk size": CHUNKED + b"\r\n",
    "an overflowing chunk size": CHUNKED + b"ffffffffffffffffff\r\n",
    "a space before a chunk size": CHUNKED + b" 3\r\nabc\r\n",
    "a chunk without its end": CHUNKED + b"3\r\nabcX\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"3\r\nabcd\r\n",
    "chunks with bare line feeds": CHUNKED + b"3\nabc\n0\n\n",
    "a length among the trailers": CHUNKED + b"3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a folded header": GET + HOST + b"X-A: a\r\n b\r\n\r\n",
    "a space before the colon": GET + b"Host : 127.0.0.1\r\n\r\n",
    "no colon": GET + HOST + b"nothing\r\n\r\n",
    "no name": GET + HOST + b": a\r\n\r\n",
    "a zero byte in a value": GET + HOST + b"X-A: a\0b\r\n\r\n",
    "a control byte in a value": GET + HOST + b"X-A: a\x01b\r\n\r\n",
    "a bare carriage return in a value": GET + HOST + b"X-A: a\rb\r\n\r\n",
    "a byte above ASCII in a name": GET + HOST + b"X-\xe9: a\r\n\r\n",
    "lines that end in line feeds": b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n",
    "an unknown method": b"FETCH / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a byte above ASCII in the target": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unknown minor version": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
    "no Host": GET + b"\r\n",
    "two Hosts": GET + HOST + HOST + b"\r\n",
    "a Host with a path": GET + b"Host: 127.0.0.1/x\r\n\r\n",
    "a Host with a user": GET + b"Host: a@127.0.0.1\r\n\r\n",
    "a target that is a host": b"CONNECT example.org:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a wish for a tunnel to a path": b"CONNECT /predictions/m HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target that is a star": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target with a user": b"GET http://a@127.0.0.1/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target of another scheme": b"GET ftp://127.0.0.1/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/1.0 with chunks": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding that ends in no chunks": PREDICT + HOST + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_refused_with_400_and_the_end(running, connect, raw) -> None:
    client = connect(running).send(raw)
    answer = client.answer()
    assert answer.status == 400
    assert answer.headers["connection"] == "close"
    assert answer.json["error"]["code"] == "INVALID_INPUT"
    assert client.has_ended()
    assert running.worker.asked == 0


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_byte_by_byte_it_is_refused_too(running, connect, raw) -> None:
    client = connect(running)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may be refused before its end
        client.send(*(raw[at : at + 1] for at in range(len(raw))))
    assert client.answer().status == 400


OTHERWISE = {
    "HTTP/2 on the request line": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "HTTP/0.9 on the request line": (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 505),
    "no version at all": (b"GET /\r\n\r\n", 505),
    "two codings": (PREDICT + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 501),
    "two headers of codings": (
        PREDICT + HOST + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    "an unknown wish": (PREDICT + HOST + b"Content-Length: 3\r\nExpect: the-unexpected\r\n\r\n", 417),
    "an unknown wish on the ordinary road": (GET + HOST + b"Expect: the-unexpected\r\n\r\n", 417),
}


@pytest.mark.parametrize(("raw", "status"), OTHERWISE.values(), ids=OTHERWISE.keys())
def test_what_this_server_does_not_do_is_refused_by_its_own_status(running, connect, raw, status) -> None:
    client = connect(running).send(raw)
    assert client.answer().status == status
    assert client.has_ended()


def test_nothing_after_a_malformed_request_is_looked_at(running, connect, say) -> None:
    client = connect(running).send(b"GARBAGE\r\n\r\n" + say.predict())
    assert client.answer().status == 400
    assert client.has_ended()
    assert running.worker.asked == 0


def test_a_request_before_a_malformed_one_gets_its_answer_first(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict(2) + b"GARBAGE\r\n\r\n")
    running.until(lambda: running.worker.held != [])
    assert client.is_silent()
    running.on_loop(running.worker.let_go)
    assert client.answer().json["outputs"] == {"y": [[4.0, 2.0]]}
    assert client.answer().status == 400
    assert client.has_ended()


def test_an_ordinary_request_before_a_malformed_one_gets_its_answer_first(running, connect, say) -> None:
    client = connect(running).send(say.get("/livez") + b"GARBAGE\r\n\r\n")
    assert client.answer().status == 200
    assert client.answer().status == 400
    assert client.has_ended()


@pytest.mark.parametrize("target", ["http://127.0.0.1", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:80"])
def test_an_absolute_target_is_read_as_its_path(running, connect, say, target) -> None:
    client = connect(running)
    path = f"{target}/api/v1/models/m/predict"
    assert client.send(say.post(path, BODY, "Content-Type: application/json")).answer().status == 200
    assert client.send(say.get(f"{target}/livez?a=b")).answer().status == 200
    assert client.send(say.get(target)).answer().status == 200


def test_an_absolute_target_of_another_host_is_not_served(running, connect, say) -> None:
    path = "http://evil.example/api/v1/models/m/predict"
    assert connect(running).send(say.post(path, BODY)).answer().status == 421
    assert connect(running).send(say.get("http://evil.example/livez")).answer().status == 403


@pytest.mark.parametrize("lead", [b"\r\n", b"\r\n\r\n"])
def test_empty_lines_before_a_request_are_passed_over(running, connect, say, lead) -> None:
    client = connect(running)
    assert client.send(lead + say.predict()).answer().status == 200
    assert client.send(lead + say.predict()).answer().status == 200


@pytest.mark.parametrize("spelling", [b"Content-Length: 21", b"content-length: 021", b"CONTENT-LENGTH: 21 "])
def test_lengths_in_any_proper_spelling_are_understood(running, connect, spelling) -> None:
    raw = PREDICT + HOST + b"Content-Type: application/json\r\n" + spelling + b"\r\n\r\n" + BODY
    assert connect(running).send(raw).answer().status == 200


def test_chunk_extensions_are_passed_over(running, connect) -> None:
    raw = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Type: application/json\r\n\r\n")
    raw += b"%x;name=value\r\n" % len(BODY) + BODY + b"\r\n0;last\r\n\r\n"
    assert connect(running).send(raw).answer().status == 200


def test_trailers_are_not_taken_for_headers(running, connect, say) -> None:
    """A trailer could otherwise name the request, its deadline or its content type after they were looked at."""
    raw = say.chunked("/api/v1/models/m/predict", [BODY], b"X-Request-Id: from-the-trailer", b"Accept: text/csv")
    answer = connect(running).send(raw).answer()
    assert answer.status == 200
    assert answer.headers["x-request-id"] != "from-the-trailer"


SPLICES: dict[str, Callable[[Any], bytes]] = {
    "in a known head's body": lambda say: say.post(
        "/api/v1/models/m/predict", say.predict(9), "Content-Type: application/json"
    ),
    "in an ordinary request's body": lambda say: (
        say.get("/livez", f"Content-Length: {len(say.predict(9))}") + say.predict(9)
    ),
    "in a chunk": lambda say: say.chunked("/api/v1/models/m/predict", [say.predict(9)]),
}


@pytest.mark.parametrize("splice", SPLICES.values(), ids=SPLICES.keys())
@pytest.mark.parametrize("is_first_in_flight", [False, True])
def test_a_request_inside_a_body_is_never_run(running, connect, say, splice, is_first_in_flight) -> None:
    """Even when it is byte for byte a request that the server knows, and comes in a packet of its own."""
    client = connect(running)
    for _ in range(2):
        assert client.send(say.predict(9)).answer().status == 200
    raw = splice(say)
    inside = raw.index(say.predict(9))
    running.worker.holds = is_first_in_flight
    asked = running.worker.asked
    if is_first_in_flight:
        client.send(say.predict(1) + raw[:inside])
        running.until(lambda: running.worker.asked == asked + 1)
        running.worker.holds = False
        running.on_loop(running.worker.let_go)
        assert client.answer().status == 200
    else:
        client.send(raw[:inside])
    connection = running.connection
    running.until(lambda: bool(connection.part))
    client.send(raw[inside : inside + len(say.predict(9))])
    client.send(raw[inside + len(say.predict(9)) :])
    assert client.answer().status in (200, 400)
    assert client.send(say.predict(3)).answer().json["outputs"] == {"y": [[6.0, 3.0]]}
    assert running.worker.asked == asked + 1 + is_first_in_flight
