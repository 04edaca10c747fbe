"""Workers that load stand back, and are equals once they answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salver.replicas.priority import GroupPriority, Priorities, Priority, SessionPriority, priorities_here

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="priorities of others are Linux's")
TWO_THREADS = "import threading; threading.Thread(target=input).start(); print(flush=True); threading.Event().wait()"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A worker's like: the leader of a session, with two threads."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", TWO_THREADS], stdin=pipe, stdout=pipe, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def niceness(process: subprocess.Popen[bytes]) -> set[int]:
    """Of its threads."""
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    return {os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in threads}


def can_raise() -> bool:
    return any(isinstance(each, GroupPriority) for each in priorities_here().priorities)


def test_all_threads_of_a_group_stand_back_and_come_again(process: subprocess.Popen[bytes]) -> None:
    if not can_raise():
        pytest.skip("NO RIGHT to raise a priority")
    own, priority = os.getpriority(os.PRIO_PROCESS, 0), GroupPriority()
    priority.lower(process.pid, 5)
    assert niceness(process) == {own + 5}
    assert priority.restore(process.pid)
    assert niceness(process) == {own}


def test_a_session_stands_back_and_comes_again(process: subprocess.Popen[bytes]) -> None:
    file = Path(f"/proc/{process.pid}/autogroup")
    if not file.exists():
        pytest.skip("NO SESSIONS in this kernel's scheduler")
    priority = SessionPriority()
    priority.lower(process.pid, 5)
    assert file.read_text().endswith("nice 5\n")
    assert priority.restore(process.pid)
    assert file.read_text().endswith("nice 0\n")


@pytest.mark.parametrize("kind", [GroupPriority, SessionPriority, Priorities])
def test_a_process_that_has_ended_is_no_matter(kind: Callable[[], Priority]) -> None:
    priority = kind()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    priority.lower(ended.pid, 5)
    assert priority.restore(ended.pid)


def test_a_worker_stands_back_as_a_process_and_as_a_session(process: subprocess.Popen[bytes]) -> None:
    file = Path(f"/proc/{process.pid}/autogroup")
    if not (can_raise() and file.exists()):
        pytest.skip("NO RIGHT to raise a priority, or no sessions in this kernel's scheduler")
    own, priority = os.getpriority(os.PRIO_PROCESS, 0), priorities_here()
    priority.lower(process.pid, 5)
    assert (niceness(process), file.read_text().split()[-1]) == ({own + 5}, "5")
    assert priority.restore(process.pid)
    assert (niceness(process), file.read_text().split()[-1]) == ({own}, "0")


def test_nothing_is_taken_that_could_not_be_given_back() -> None:
    without = shutil.which("setpriv")
    if without is None or os.getuid() != 0:
        pytest.skip("NO SETPRIV, or no root: a right cannot be given up")
    code = (
        "from salver.replicas.priority import priorities_here\n"
        "print(*[type(each).__name__ for each in priorities_here().priorities])"
    )
    command = [without, "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice", sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.strip() in ("SessionPriority", "")
