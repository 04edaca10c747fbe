"""A web server, and a real S3 server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from web_server import WebServer


@pytest.fixture
def web() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.close()


_S3_SERVER = """
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
input()
"""


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The address of a real S3 server."""
    command = [sys.executable, "-W", "ignore", "-c", _S3_SERVER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "the S3 server does not start; scripts/setup installs it"
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
def bucket(s3_url: str, request: pytest.FixtureRequest) -> str:
    """A fresh bucket's name."""
    name = f"b{abs(hash(request.node.nodeid)):x}"
    assert httpx.put(f"{s3_url}/{name}", trust_env=False).status_code == 200
    return name
