"""Streams as the client reads them, over a transport that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from salver_client import AsyncClient, Client, Prediction, SalverClientError

ONE = b'data: {"model":"m","version":2,"outputs":{"y":[1]}}\n\n'
EVENTS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Request-Id": "r-1", "Salver-Understood": "rows"}
Ask = Callable[..., list[Prediction]]


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces; an exception among them is raised in its place."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def transport(pieces: tuple[Any, ...], status: int, headers: dict[str, str]) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept"] == "text/event-stream"
        if pieces and isinstance(pieces[0], httpx.TransportError):
            raise pieces[0]
        return httpx.Response(status, headers=headers, stream=Pieces(*pieces))

    return httpx.MockTransport(answer)


def ask(*pieces: Any, status: int = 200, headers: dict[str, str] = EVENTS) -> list[Prediction]:
    with Client(transport=transport(pieces, status, headers)) as client:
        return list(client.stream("m", [[1]]))


def ask_on_a_loop(*pieces: Any, status: int = 200, headers: dict[str, str] = EVENTS) -> list[Prediction]:
    async def run() -> list[Prediction]:
        async with AsyncClient(transport=transport(pieces, status, headers)) as client:
            return [part async for part in client.stream("m", [[1]])]

    return asyncio.run(run())


@pytest.fixture(params=[ask, ask_on_a_loop], ids=["in a thread", "on a loop"])
def stream(request: pytest.FixtureRequest) -> Ask:
    kind: Ask = request.param
    return kind


def test_each_event_is_a_prediction(stream: Ask) -> None:
    first, second = stream(ONE[:20], ONE[20:] + b": a comment\n\n" + ONE)
    assert first == second
    assert (first.model, first.version, first.outputs) == ("m", 2, {"y": [1]})
    assert (first.understood, first.request_id) == ("rows", "r-1")


def test_an_empty_stream(stream: Ask) -> None:
    assert stream() == []


@pytest.mark.parametrize(("told", "body"), [(b'"h\xc3\xa9"', "hé".encode()), (b'{"b64":"/wA="}', b"\xff\x00")])
def test_what_a_models_own_code_wrote(stream: Ask, told: bytes, body: bytes) -> None:
    (part,) = stream(b'data: {"model":"m","version":1,"body":%b,"content_type":"text/csv"}\n\n' % told)
    assert (part.body, part.content_type, part.request_id) == (body, "text/csv", "r-1")


def code(stream: Ask, *pieces: Any, **options: Any) -> str:
    with pytest.raises(SalverClientError) as caught:
        stream(*pieces, **options)
    return caught.value.code


def test_what_goes_wrong(stream: Ask) -> None:
    error = b'{"error":{"code":"MODEL_ERROR","message":"It failed.","fix":"","request_id":"r-1"}}'
    assert code(stream, ONE, b"event: error\ndata: " + error + b"\n\n") == "MODEL_ERROR"
    assert code(stream, error, status=500, headers={}) == "MODEL_ERROR"
    assert code(stream, b"{}", headers={"Content-Type": "application/json"}) == "ANSWER_NOT_UNDERSTOOD"
    assert code(stream, b"data: {}\n\n") == "ANSWER_NOT_UNDERSTOOD"
    assert code(stream, ONE, httpx.RemoteProtocolError("incomplete chunked read")) == "CONNECTION_FAILED"
    assert code(stream, ONE, httpx.ReadTimeout("late")) == "TIMED_OUT"
    assert code(stream, httpx.ConnectError("no")) == "CONNECTION_FAILED"
