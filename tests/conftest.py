"""What tests of several packages share."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

sys.path.append(str(Path(__file__).parent))  # the modules beside this file are imported by name

from postgres_server import PostgresServer, programs
from web_server import WebServer

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the proofs of docs/reliability.md at their full length")
    parser.addoption("--proofs", default="", help="only these, as T1,T22")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--long` only proofs are run, and they have the time that they need."""
    if not config.getoption("--long"):
        return
    chosen = set(config.getoption("--proofs").upper().split(",")) - {""}
    proofs = [item for item in items if (names := proofs_of(item)) and (not chosen or chosen & names)]
    config.hook.pytest_deselected(items=[item for item in items if item not in proofs])
    items[:] = proofs
    for item in items:
        item.add_marker(pytest.mark.timeout(3600))


def proofs_of(item: pytest.Item) -> set[str]:
    return {name for mark in item.iter_markers("proof") for name in mark.args}


@pytest.fixture
def size(request: pytest.FixtureRequest) -> Callable[[T, T], T]:
    """`size(short, long)`: the second where a proof is run at its full length."""
    is_long = request.config.getoption("--long")
    return lambda short, long: long if is_long else short


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real server for the whole session."""
    found = programs()
    if found is None:
        pytest.skip("NO POSTGRES: install Debian's package `postgresql` to test the state in it")
    server = PostgresServer(found)
    yield server
    server.close()


@pytest.fixture
def new_postgres_url(postgres: PostgresServer) -> Iterator[Callable[[], str]]:
    """Makes empty databases for one test."""
    made: list[str] = []

    def make() -> str:
        made.append(postgres.new_database())
        return made[-1]

    yield make
    for url in made:
        postgres.drop_database(url)


@pytest.fixture
def postgres_url(new_postgres_url: Callable[[], str]) -> str:
    """Of an empty database for one test."""
    return new_postgres_url()


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
