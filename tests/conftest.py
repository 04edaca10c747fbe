"""What tests of several packages share."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # the modules beside this file are imported by name

from postgres_server import PostgresServer, programs


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
