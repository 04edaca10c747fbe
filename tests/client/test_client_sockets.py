"""The clients on real sockets, before a server of the standard library."""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from salver_client import AsyncClient, Client, SalverClientError


class Answerer(BaseHTTPRequestHandler):
    """Answers a prediction with what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer({"model": "m", "version": 1, "outputs": sent["inputs"]})

    def do_GET(self) -> None:
        self._answer({"ready": True})

    def _answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...

    def address_string(self) -> str:
        return "test"


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class TcpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True


def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def socket_path(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "s")
    for _ in serving(UnixServer(path, Answerer)):
        yield path


@pytest.fixture
def url() -> Iterator[str]:
    server = TcpServer(("127.0.0.1", 0), Answerer)
    for _ in serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


def test_the_client_talks_over_a_unix_socket(socket_path: str) -> None:
    with Client(socket_path=socket_path) as client:
        assert client.is_ready()
        assert client.predict("m", {"x": [1]}).outputs == {"x": [1]}


def test_the_asynchronous_client_talks_over_a_unix_socket(socket_path: str) -> None:
    async def ask() -> object:
        async with AsyncClient(socket_path=socket_path) as client:
            await client.wait_ready(5)
            return (await client.predict("m", {"x": [1]})).outputs

    assert asyncio.run(ask()) == {"x": [1]}


def test_the_clients_talk_over_tcp(url: str) -> None:
    async def ask() -> object:
        async with AsyncClient(url) as client:
            return (await client.predict("m", {"x": [1]})).outputs

    with Client(url) as client:
        client.wait_ready(5)
        assert client.predict("m", {"x": [1]}).outputs == {"x": [1]}
    assert asyncio.run(ask()) == {"x": [1]}


def test_a_socket_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    path = str(tmp_path / "nobody")

    async def ask() -> bool:
        async with AsyncClient(socket_path=path) as client:
            return await client.is_ready()

    with Client(socket_path=path) as client:
        assert not client.is_ready()
        with pytest.raises(SalverClientError, match=r"/nobody cannot be reached: there is no such socket") as caught:
            client.models()
    assert caught.value.code == "CONNECTION_FAILED"
    assert asyncio.run(ask()) is False
