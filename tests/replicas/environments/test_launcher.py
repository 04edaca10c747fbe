"""How an installer is started: with limits, behind the server, and never longer than it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from salver.replicas.environments import launcher

START = (sys.executable, "-I", "-S", launcher.__file__)
SHOW = "ulimit -f; ulimit -c; ulimit -d; umask; nice"


def launched(parent: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*START, str(parent), *arguments[:2], "", "", *arguments[2:]]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_program_is_started_with_limits_and_behind_the_server() -> None:
    done = launched(os.getpid(), str(1024 * 1024), str(1024**3), "/bin/bash", "-c", SHOW)
    niceness = min(os.nice(0) + 10, 19)
    assert done.stdout.split() == ["1024", "0", str(1024 * 1024), "0077", str(niceness)]


def test_its_session_stands_back_as_well_and_nobody_elses() -> None:
    if not Path("/proc/self/autogroup").exists():
        pytest.skip("NO SESSIONS in this kernel's scheduler")
    before = Path("/proc/self/autogroup").read_text()
    command = [*START, str(os.getpid()), "0", "0", "", "", "/bin/cat", "/proc/self/autogroup"]
    assert launched(os.getpid(), "0", "0", "/bin/cat", "/proc/self/autogroup").stdout == before
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True)
    assert done.stdout.split()[-1] == "10"
    assert Path("/proc/self/autogroup").read_text() == before


def test_a_limit_of_nothing_is_none() -> None:
    before = subprocess.run(["/bin/bash", "-c", "ulimit -f"], capture_output=True, text=True, check=True).stdout
    assert launched(os.getpid(), "0", "0", "/bin/bash", "-c", "ulimit -f").stdout == before


def test_nothing_is_started_for_a_server_that_is_gone() -> None:
    done = launched(1, "0", "0", "/bin/echo", "started")
    assert (done.returncode, done.stdout) == (1, "")


def test_what_was_started_ends_with_whoever_started_it(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = (
        "import os, subprocess, sys, time\n"
        f"limits = [str(os.getpid()), '0', '0', '', '']\n"
        f"subprocess.Popen([*{START!r}, *limits, '/bin/sh', '-c', 'echo $$ > {mark}; sleep 60'])\n"
        "time.sleep(60)\n"
    )
    server = subprocess.Popen([sys.executable, "-c", code])
    while not (mark.exists() and mark.read_text().strip()):
        time.sleep(0.01)
    installer = int(mark.read_text())
    server.kill()
    server.wait()
    deadline = time.monotonic() + 10.0
    while _lives(installer):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
