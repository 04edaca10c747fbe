"""Requests sent ahead on one connection: each gets its own answer, in the order they were sent."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MAX_PIPELINED = 64


class Asked(NamedTuple):
    raw: bytes
    status: int
    expected: Any
    """The JSON outputs of a prediction, the head's word of an ordinary answer, or None."""
    is_head: bool = False


KINDS = ("small", "known", "large", "two rows", "chunked", "ordinary", "posted", "unknown", "bad", "head", "expecting")


def asked(say: Any, kind: str, number: int) -> Asked:
    outputs = {"y": [[2.0 * number, float(number)]]}
    if kind == "small":
        return Asked(say.predict(number, f"X-A: {number}"), 200, outputs)
    if kind == "known":
        return Asked(say.predict(7), 200, {"y": [[14.0, 7.0]]})
    if kind == "large":
        return Asked(say.wide(number), 200, {"y": [[16384.0 * number, float(number)]]})
    if kind == "two rows":
        return Asked(say.wide(number, rows=2), 200, {"y": [[16384.0 * number, float(number)]] * 2})
    if kind == "chunked":
        body = b'{"instances":[[%d,%d]]}' % (number, number)
        return Asked(say.chunked("/api/v1/models/m/predict", [body[:5], body[5:]], b"X-T: t"), 200, outputs)
    if kind == "ordinary":
        return Asked(say.get(f"/api/v1/models/m?n={number}", f"X-Request-Id: id-{number}"), 200, f"id-{number}")
    if kind == "posted":
        raw = say.post("/api/v1/keys", b"a" * (number * 1000), f"X-Request-Id: id-{number}")
        return Asked(raw, 401, f"id-{number}")
    if kind == "unknown":
        return Asked(say.predict(number, f"X-Request-Id: id-{number}", model="none"), 404, f"id-{number}")
    if kind == "bad":
        raw = say.post("/api/v1/models/m/predict", b'{"instances":[["a"]]}', f"X-Request-Id: id-{number}")
        return Asked(raw, 400, f"id-{number}")
    if kind == "head":
        return Asked(say.get("/livez", f"X-Request-Id: id-{number}", method="HEAD"), 200, f"id-{number}", is_head=True)
    return Asked(say.predict(number, "Expect: 100-continue"), 200, outputs)


def check(client: Any, wanted: Asked) -> None:
    answer = client.answer(is_head=wanted.is_head)
    while answer.status == 100:  # may come before the answers of earlier requests: it belongs to none of them
        answer = client.answer(is_head=wanted.is_head)
    assert answer.status == wanted.status
    if isinstance(wanted.expected, str):
        assert answer.headers["x-request-id"] == wanted.expected
    else:
        assert answer.json["outputs"] == wanted.expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 5000), min_size=0, max_size=12),
    pause_s=st.sampled_from([0.0, 0.001]),
)
def test_answers_keep_their_order_and_never_cross(running, connect, say, kinds, cuts, pause_s) -> None:
    for worker in running.workers.values():
        worker.pause_s = pause_s
    wanted = [asked(say, kind, number + 1) for number, kind in enumerate(kinds)]
    raw = b"".join(one.raw for one in wanted)
    marks = sorted({min(mark, len(raw)) for mark in itertools.accumulate(cuts)} | {0, len(raw)})
    client = connect(running)
    client.send(*(raw[start:end] for start, end in itertools.pairwise(marks)))
    for one in wanted:
        check(client, one)
    assert client.is_silent(0.001)
    running.until(lambda: running.has_nothing_left)
    client.close()


@pytest.mark.parametrize("behind", KINDS)
@pytest.mark.parametrize("first", ["small", "large", "posted", "ordinary"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_request_that_arrives_in_two_parts_around_an_answer(running, connect, say, first, behind, part) -> None:
    """Three in line, the last one half there while the first two are answered."""
    for worker in running.workers.values():
        worker.holds = True
    wanted = [asked(say, kind, number) for number, kind in enumerate([first, "known", behind], start=1)]
    last = wanted[-1].raw
    cut = max(1, int(len(last) * part))
    client = connect(running).send(wanted[0].raw + wanted[1].raw + last[:cut])
    running.until(lambda: any(worker.held for worker in running.workers.values()))
    for worker in running.workers.values():
        worker.holds = False
        running.on_loop(worker.let_go)
    for one in wanted[:2]:
        check(client, one)
    client.send(last[cut:])
    check(client, wanted[2])
    assert client.is_silent(0.001)


def test_nothing_is_run_after_a_request_that_ends_the_connection(running, connect, say) -> None:
    for road in (say.predict(1, "Connection: close"), say.get("/livez", "Connection: close")):
        asked = running.worker.asked
        client = connect(running).send(road + say.predict(2) + say.predict(3))
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert client.has_ended()
        assert running.worker.asked - asked <= 1


def test_a_line_of_requests_that_are_refused_at_once_is_no_burden(running, connect, say) -> None:
    running.worker.holds = True
    client = connect(running).send(say.predict() + say.predict(model="none") * MAX_PIPELINED)
    running.until(lambda: running.worker.held != [])
    running.on_loop(running.worker.let_go)
    assert [client.answer().status for _ in range(65)] == [200] + [404] * MAX_PIPELINED


class TestVersionsOfHttp:
    @pytest.mark.parametrize("address", ["/livez", "/api/v1/models/m/predict"])
    @pytest.mark.parametrize("connection", ["", "Connection: keep-alive\r\n"])
    def test_http_1_0_is_answered_and_closed(self, running, connect, address, connection) -> None:
        method, body = ("POST", '{"instances":[[1,1]]}') if "predict" in address else ("GET", "")
        raw = f"{method} {address} HTTP/1.0\r\n{connection}Content-Type: application/json\r\n"
        client = connect(running).send(f"{raw}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert client.has_ended()

    @pytest.mark.parametrize("spelling", ["keep-alive", "Keep-Alive", "keep-alive, TE"])
    def test_http_1_1_may_say_keep_alive(self, running, connect, say, spelling) -> None:
        client = connect(running)
        for _ in range(3):
            answer = client.send(say.predict(1, f"Connection: {spelling}")).answer()
            assert answer.status == 200
            assert "connection" not in answer.headers

    @pytest.mark.parametrize("spelling", ["close", "Close", "close, TE"])
    def test_close_is_honoured(self, running, connect, say, spelling) -> None:
        for raw in (say.predict(1, f"Connection: {spelling}"), say.get("/livez", f"Connection: {spelling}")):
            client = connect(running).send(raw)
            assert client.answer().headers["connection"] == "close"
            assert client.has_ended()

    @pytest.mark.parametrize("upgrade", ["h2c", "websocket", "TLS/1.0"])
    def test_a_wish_to_switch_protocols_is_ignored(self, running, connect, say, upgrade) -> None:
        """Java's own client sends one with the first request of every connection."""
        wish = (f"Upgrade: {upgrade}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQ")
        for raw in (say.predict(2, *wish), say.get("/livez", *wish)):
            client = connect(running).send(raw)
            assert client.answer().status == 200
            assert client.send(say.predict(3)).answer().json["outputs"] == {"y": [[6.0, 3.0]]}

    def test_requests_sent_behind_such_a_wish_are_answered(self, running, connect, say) -> None:
        wish = say.predict(2, "Upgrade: h2c", "Connection: Upgrade")
        client = connect(running).send(wish + say.predict(3) + say.get("/livez"))
        assert [client.answer().status for _ in range(3)] == [200] * 3

    def test_every_request_of_a_connection_may_wish(self, running, connect, say) -> None:
        """Apache's client for Java offers TLS with each one."""
        client = connect(running)
        for number in range(3):
            wish = say.predict(number, "Upgrade: TLS/1.2", "Connection: Upgrade, keep-alive")
            assert client.send(wish).answer().json["outputs"] == {"y": [[2.0 * number, float(number)]]}

    def test_a_read_full_of_wishes_is_refused(self, running, connect, say) -> None:
        wish = say.get("/livez", "Upgrade: h2c", "Connection: Upgrade")
        client = connect(running).send(wish * 100)
        assert [client.answer().status, client.answer().status] == [200, 400]
        assert client.has_ended()


class TestHead:
    def test_an_ordinary_address_answers_head_like_get(self, running, connect, say) -> None:
        client = connect(running)
        wanted = client.send(say.get("/livez")).answer()
        told = client.send(say.get("/livez", method="HEAD")).answer(is_head=True)
        assert (told.status, told.headers["content-length"]) == (200, str(len(wanted.body)))
        assert client.send(say.get("/livez")).answer().status == 200

    @pytest.mark.parametrize("path", ["/api/v1/models/m/predict", "/v1/models/m:predict", "/predictions/m", "/nowhere"])
    def test_other_addresses_are_refused_without_a_body(self, running, connect, say, path) -> None:
        client = connect(running).send(say.get(path, method="HEAD"))
        answer = client.answer(is_head=True)
        assert 400 <= answer.status < 500
        if "connection" not in answer.headers:
            assert client.send(say.get("/livez")).answer().status == 200

    @pytest.mark.parametrize("path", ["/livez", "/api/v1/models/m/predict", "/nowhere", "/api/v1/keys"])
    def test_options_is_answered(self, running, connect, say, path) -> None:
        assert connect(running).send(say.get(path, method="OPTIONS")).answer().status in (200, 204, 404, 405)


def test_every_answer_has_a_date(running, connect, say) -> None:
    client = connect(running)
    for raw in (say.predict(), say.get("/livez"), b"GARBAGE\r\n\r\n"):
        assert client.send(raw).answer().headers["date"].endswith("GMT")
