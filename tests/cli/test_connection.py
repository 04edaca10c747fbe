import os

import pytest

from salver.cli.connection import Door, find_door
from salver.cli.failure import CommandFailed
from salver.store.directory import DataDirectory, RunningServer


@pytest.fixture
def directory(tmp_path) -> DataDirectory:
    made = DataDirectory(tmp_path / "d")
    made.prepare()
    return made


def announce(directory: DataDirectory, *, pid: int | None = None, socket: str | None = None) -> None:
    directory.announce(RunningServer(pid=pid or os.getpid(), urls=("http://127.0.0.1:1",), socket=socket))


def test_an_address_that_was_given_wins(directory):
    announce(directory)
    assert find_door("http://h:2", "k", directory) == Door(url="http://h:2", socket=None, key="k")


def test_the_running_server_is_reached_at_its_unix_socket(directory):
    directory.socket.touch()
    announce(directory, socket=str(directory.socket))
    assert find_door(None, None, directory) == Door(url=None, socket=str(directory.socket), key=None)


def test_a_key_is_used_at_the_port_since_the_socket_asks_for_none(directory):
    directory.socket.touch()
    announce(directory, socket=str(directory.socket))
    assert find_door(None, "k", directory) == Door(url="http://127.0.0.1:1", socket=None, key="k")


def test_a_server_without_a_socket_is_reached_at_its_port(directory):
    announce(directory)
    assert find_door(None, None, directory).url == "http://127.0.0.1:1"


def test_without_a_server_the_fix_says_how_to_name_one(directory):
    with pytest.raises(CommandFailed, match="No server runs on the data directory") as caught:
        find_door(None, None, directory)
    assert "--url" in caught.value.fix


def test_an_announcement_of_a_dead_process_counts_for_nothing(directory):
    announce(directory, pid=2**22 + 1)  # above the highest process id that Linux gives
    with pytest.raises(CommandFailed, match="No server runs"):
        find_door(None, None, directory)


def test_an_address_where_nobody_listens_is_an_error_with_a_fix(run):
    ran = run("models", "--url", "http://127.0.0.1:9")
    assert ran.code == 1
    assert "http://127.0.0.1:9" in ran.err
    assert "salver doctor" in ran.err


# httpcore leaves the socket open for the garbage collector when a Unix socket refuses the connection.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_socket_that_nobody_serves_is_an_error_with_a_fix(run, tmp_path):
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    directory.socket.touch()
    announce(directory, socket=str(directory.socket))
    ran = run("models")
    assert ran.code == 1
    assert "Nobody answers at" in ran.err
