"""What a model's code puts into its answer stays inside that answer."""

from __future__ import annotations

import re

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.net.rendering import FRAMING, render, safe_headers
from salver.operations.base import Answer

DATE = b"date: Mon, 23 Nov 2026 07:00:00 GMT\r\n"


class Reader:
    """An answer as another parser reads it."""

    def __init__(self, raw: bytes) -> None:
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.is_whole = False
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(raw)
        self.status = parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        assert not self.is_whole, "there are two answers"
        self.is_whole = True


@given(
    headers=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=5),
    content_type=st.none() | st.text(max_size=30),
    phrase=st.none() | st.text(max_size=30),
    body=st.binary(max_size=50),
    close=st.booleans(),
)
def test_one_answer_is_one_answer(headers, content_type, phrase, body, close) -> None:
    answer = Answer(200, body, content_type, tuple(headers), phrase)
    read = Reader(render(answer, DATE, close))
    assert read.is_whole
    assert (read.status, read.body) == (200, body)
    names = [name for name, _ in read.headers]
    fixed = 2 + close + (content_type is not None)
    assert len(names) == fixed + len(safe_headers(tuple(headers)))
    assert names.count("content-length") == 1
    assert ("connection", "close") in read.headers or not close


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0", "\x0b", "\u2028", "\x85"])
def test_a_value_stays_on_its_line(end) -> None:
    raw = render(Answer(200, b"", None, (("X-A", f"a{end}Set-Cookie: b"),)), DATE, False)
    ((_, value), *others) = Reader(raw).headers
    assert value.split() == ["a", "Set-Cookie:", "b"]
    assert "set-cookie" not in dict(others)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é", "a\0", "x" * 257, "(a)"])
def test_a_name_that_http_does_not_allow_is_left_out(name) -> None:
    assert safe_headers(((name, "a"), ("X-A", "b"))) == [("X-A", "b")]


@pytest.mark.parametrize("name", [*sorted(FRAMING), "Content-Length", "TRANSFER-ENCODING"])
def test_what_frames_an_answer_is_the_servers_affair(name) -> None:
    raw = render(Answer(200, b"abc", None, ((name, "chunked"),)), DATE, False)
    assert Reader(raw).body == b"abc"
    assert raw.count(b"chunked") == 0


def test_values_outside_latin_1_are_replaced() -> None:
    raw = render(Answer(200, b"", None, (("X-A", "é"), ("X-B", "日本"))), DATE, False)
    assert b"X-A: \xe9\r\nX-B: ??\r\n" in raw


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_may_have_no_body_has_none(status) -> None:
    raw = render(Answer(status, b"abc", None), DATE, False)
    assert raw.endswith(b"GMT\r\n\r\n")
    assert b"content-length" not in raw


def test_the_answer_to_head_is_the_head() -> None:
    raw = render(Answer(200, b"abc"), DATE, False, is_head=True)
    assert raw.endswith(b"content-length: 3\r\n\r\n")


def test_a_status_without_a_phrase_of_its_own_gets_the_usual_one() -> None:
    assert render(Answer(418, b""), DATE, False).startswith(b"HTTP/1.1 418 I'm a Teapot\r\n")
    assert render(Answer(299, b""), DATE, False).startswith(b"HTTP/1.1 299 \r\n")
    assert render(Answer(299, b"", phrase="Fine"), DATE, False).startswith(b"HTTP/1.1 299 Fine\r\n")


def test_any_number_of_names_and_types_takes_bounded_memory() -> None:
    from salver.net import rendering

    for number in range(2000):
        raw = render(Answer(200, b"", f"a/{number}", ((f"X-{number}", "a"),)), DATE, False)
        assert re.search(rb"content-type: a/%d\r\nX-%d: a\r\n" % (number, number), raw)
    assert len(rendering._heads) <= rendering.MAX_KEPT
    assert len(rendering._starts) <= rendering.MAX_KEPT


EVIL = {
    "Set-Cookie": "a\r\nX-Injected: b",
    "X-Split": "a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "Content-Length": "0",
    "Transfer-Encoding": "chunked",
    "Connection": "upgrade",
}


PATHS = ("/api/v1/models/bodies/predict", "/predictions/bodies")
TEXTS = {
    "headers": {"headers": EVIL},
    "content type": {"content_type": "text/plain\r\nX-Injected: b"},
    "phrase": {"phrase": "a\r\nX-Injected: b"},
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_handlers_words_cannot_split_its_answer(running, connect, say, path, text) -> None:
    running.workers["bodies"].body_answer = text
    client = connect(running)
    answer = client.send(say.post(path, b"hello")).answer()
    assert answer.body == b"hello" or answer.status >= 500  # a wire may refuse what the edge would make harmless
    assert not {"x-injected", "set-cookie2", "transfer-encoding"} & set(answer.headers)
    if "connection" not in answer.headers:
        assert client.send(say.get("/livez")).answer().status == 200


@pytest.mark.parametrize("name", ["", "a b", "a\r\nb", "é"])
@pytest.mark.parametrize("path", PATHS)
def test_a_handlers_impossible_header_does_not_reach_the_client(running, connect, say, path, name) -> None:
    running.workers["bodies"].body_answer = {"headers": {name: "value"}}
    answer = connect(running).send(say.post(path, b"hello")).answer()
    assert answer.status in (200, 500, 503)
    assert "value" not in answer.headers.values()


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("path", PATHS)
def test_a_handler_that_answers_nothing_leaves_nothing_behind(running, connect, say, path, status) -> None:
    """Its bytes would be read as the beginning of the next answer."""
    running.workers["bodies"].body_answer = {"status": status}
    client = connect(running)
    assert client.send(say.post(path, b"hello")).answer().status == status
    running.workers["bodies"].body_answer = {}
    assert client.send(say.post(path, b"again")).answer().body == b"again"


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, 1000, -1])
@pytest.mark.parametrize("path", PATHS)
def test_a_handlers_impossible_status_is_not_sent(running, connect, say, path, status) -> None:
    running.workers["bodies"].body_answer = {"status": status}
    client = connect(running)
    answer = client.send(say.post(path, b"hello")).answer()
    assert answer.status in (200, 500, 503)
    if "connection" not in answer.headers:
        assert client.send(say.get("/livez")).answer().status == 200
