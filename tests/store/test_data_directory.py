"""The folder that one server holds."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from salver.errors import Code, StartupError
from salver.store.directory import DataDirectory, RunningServer

NOBODY = 65534


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    return directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(path: Path) -> StartupError:
    with pytest.raises(StartupError) as refused:
        DataDirectory(path).prepare()
    assert refused.value.code is Code.SETTINGS_INVALID
    return refused.value


def test_naming_a_directory_touches_nothing(tmp_path: Path) -> None:
    DataDirectory(tmp_path / "data")

    assert not (tmp_path / "data").exists()


def test_a_new_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "a" / "b")
    directory.prepare()

    assert mode(tmp_path / "a" / "b") == 0o700
    assert directory.state == tmp_path / "a" / "b" / "state.db"
    assert mode(directory.folder("logs")) == 0o700


def test_a_directory_that_is_there_is_used_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    DataDirectory(tmp_path).prepare()

    assert mode(tmp_path) == 0o755


def test_a_path_may_begin_at_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert DataDirectory("~/.salver").path == tmp_path / ".salver"


def test_a_directory_that_all_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    error = refusal(tmp_path)

    assert "every user may write to it" in error.message
    assert f"chmod o-w {tmp_path}" in error.fix


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    assert "File exists" in refusal(tmp_path / "data").message


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path / ("x" * 100))

    assert "too long" in error.message
    assert not (tmp_path / ("x" * 100)).exists()


def test_a_second_server_hears_who_holds_the_directory(directory: DataDirectory) -> None:
    with directory.lock():
        with pytest.raises(StartupError) as refused:
            directory.lock()

        assert refused.value.code is Code.DATA_DIRECTORY_LOCKED
        assert refused.value.message == (
            f"The data directory {directory.path} is in use by a server (process {os.getpid()})."
        )


def test_a_second_server_hears_where_the_first_one_answers(directory: DataDirectory) -> None:
    with directory.lock():
        directory.announce(RunningServer(pid=os.getpid(), urls=("http://127.0.0.1:8080",)))
        with pytest.raises(StartupError) as refused:
            directory.lock()

    assert f"(process {os.getpid()} at http://127.0.0.1:8080)" in refused.value.message


def test_an_announcement_of_an_earlier_server_is_not_taken_for_the_holders(directory: DataDirectory) -> None:
    directory.announce(RunningServer(pid=1, urls=("http://127.0.0.1:9999",)))
    with directory.lock(), pytest.raises(StartupError) as refused:
        directory.lock()

    assert "9999" not in refused.value.message


def test_the_holder_is_unknown_for_a_moment_only(directory: DataDirectory) -> None:
    with directory.lock():
        (directory.path / "server.lock").write_text("")
        with pytest.raises(StartupError) as refused:
            directory.lock()

    assert "in use by a server (another process)." in refused.value.message


def test_a_lock_that_cannot_be_taken_is_an_error_in_words(directory: DataDirectory) -> None:
    (directory.path / "server.lock").mkdir()

    with pytest.raises(StartupError) as refused:
        directory.lock()

    assert "cannot be used: Is a directory." in refused.value.message


def test_an_announcement_that_cannot_be_made_leaves_nothing_behind(directory: DataDirectory) -> None:
    (directory.path / "server.json").mkdir()

    with pytest.raises(StartupError):
        directory.announce(RunningServer(pid=1, urls=()))

    assert [found.name for found in directory.path.iterdir()] == ["server.json"]


def test_a_released_directory_can_be_held_again(directory: DataDirectory) -> None:
    lock = directory.lock()
    lock.release()
    lock.release()

    directory.lock().release()


def test_a_killed_server_holds_nothing_back_but_its_children_live_on(directory: DataDirectory) -> None:
    """A child that the server started must not hold the directory after the server's death."""
    program = (
        "import subprocess, sys; from salver.store.directory import DataDirectory; "
        f"lock = DataDirectory({str(directory.path)!r}).lock(); "
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=sys.stdin); "
        "print('held', flush=True); child.wait()"
    )
    server = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        assert server.stdout.readline() == "held\n"
        with pytest.raises(StartupError) as refused:
            directory.lock()
        assert f"process {server.pid}" in refused.value.message

        server.kill()
        server.wait()
        directory.lock().release()


def test_clients_find_the_running_server(directory: DataDirectory) -> None:
    assert directory.running_server() is None

    server = RunningServer(pid=7, urls=("http://127.0.0.1:8080",), socket=str(directory.socket))
    directory.announce(server)
    assert directory.running_server() == server
    assert mode(directory.path / "server.json") == 0o600
    assert [found.name for found in directory.path.iterdir()] == ["server.json"]

    directory.withdraw()
    directory.withdraw()
    assert directory.running_server() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}'])
def test_an_announcement_that_makes_no_sense_is_none(directory: DataDirectory, content: bytes) -> None:
    (directory.path / "server.json").write_bytes(content)

    assert directory.running_server() is None


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """Runs the test as another user; gives a folder of root that this user can enter."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "theirs").mkdir()
    os.chown(folder / "theirs", 1, 1)
    (folder / "roots").mkdir()
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield folder
    finally:
        os.setresuid(0, 0, 0)
        shutil.rmtree(folder)


def test_a_directory_of_another_user_is_refused(as_nobody: Path) -> None:
    assert "it belongs to another user (user id 1)" in refusal(as_nobody / "theirs").message


def test_a_directory_that_may_not_be_written_to_is_refused(as_nobody: Path) -> None:
    assert "it may not be written to" in refusal(as_nobody / "roots").message


def test_a_directory_that_cannot_be_made_is_refused(as_nobody: Path) -> None:
    assert "Permission denied" in refusal(as_nobody / "new").message
