"""The file by which a server that was left behind is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from salver.cli.pidfile import PidFile, is_running, is_server, stop


def test_a_process_is_written_read_and_forgotten(tmp_path: Path) -> None:
    file = PidFile(tmp_path)
    assert file.read() is None
    file.write(1234)
    assert file.path.read_text() == "1234"
    assert file.read() == 1234
    file.remove_if(99)
    assert file.read() == 1234
    file.remove_if(1234)
    file.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "abc", "-1", "1" * 11, "12 34"])
def test_what_is_no_number_is_no_process(tmp_path: Path, text: str) -> None:
    PidFile(tmp_path).path.write_text(text)
    assert PidFile(tmp_path).read() is None


def test_a_link_is_neither_followed_nor_written_through(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("7")
    file = PidFile(tmp_path)
    file.path.symlink_to(target)
    assert file.read() is None
    file.write(8)
    assert (target.read_text(), file.read()) == ("7", 8)


def test_a_folder_or_a_pipe_is_no_process(tmp_path: Path) -> None:
    file = PidFile(tmp_path)
    os.mkfifo(file.path)
    assert file.read() is None


def test_another_program_is_no_server() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert is_running(process.pid)
        assert not is_server(process.pid)
        process.kill()
    assert not is_running(process.pid)
    assert not is_server(process.pid)


def test_a_process_is_asked_to_end_and_then_made_to() -> None:
    source = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert stop(process.pid, 0.2)
        assert process.wait() == -9
    assert not stop(process.pid, 0.2)
