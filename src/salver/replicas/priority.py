"""Who comes second where there is not enough of the processor: a worker that is still loading.

Taking priority from a process is free; giving it back is not. It is only taken where it can be given back.

Linux shares the processor among sessions first where it groups by them (autogroups), and among the processes of each
then: the niceness of a process says nothing to those of other sessions. Where control groups stand above the sessions,
and where it does not group, it does. So a worker stands back in both ways.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import Protocol


class Priority(Protocol):
    """Of a worker, by the number of its process, which leads a group and a session of its own."""

    def lower(self, pid: int, niceness: int) -> None: ...

    def restore(self, pid: int) -> bool:
        """As the server itself; also what the worker's code has started by now. False: not yet, ask again."""


class GroupPriority:
    """Of all that is in the worker's process group. Takes the right to raise a priority (CAP_SYS_NICE, RLIMIT_NICE)."""

    def __init__(self) -> None:
        self._own = os.getpriority(os.PRIO_PROCESS, 0)

    def lower(self, pid: int, niceness: int) -> None:
        _set(pid, min(self._own + niceness, 19))

    def restore(self, pid: int) -> bool:
        _set(pid, self._own)
        return True


class SessionPriority:
    """Of the worker's session as a whole. Anybody may give it back, ten times a second in all."""

    def lower(self, pid: int, niceness: int) -> None:
        _write(pid, niceness)

    def restore(self, pid: int) -> bool:
        return _write(pid, 0)


class Priorities:
    """All of them at once; with none all are equals."""

    def __init__(self, *priorities: Priority) -> None:
        self.priorities = priorities

    def lower(self, pid: int, niceness: int) -> None:
        for each in self.priorities:
            each.lower(pid, niceness)

    def restore(self, pid: int) -> bool:
        restored = [each.restore(pid) for each in self.priorities]
        return all(restored)


def priorities_here() -> Priorities:
    """Those that this machine and this user's rights allow."""
    found: list[Priority] = []
    if sys.platform == "linux":
        if _can_raise():
            found.append(GroupPriority())
        with contextlib.suppress(OSError):
            if Path("/proc/sys/kernel/sched_autogroup_enabled").read_text().strip() == "1":
                found.append(SessionPriority())
    return Priorities(*found)


def _can_raise() -> bool:
    """Tried on a thread that ends with this."""
    can = False

    def attempt() -> None:
        nonlocal can
        thread = threading.get_native_id()
        before = os.getpriority(os.PRIO_PROCESS, thread)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, min(before + 1, 19))
            os.setpriority(os.PRIO_PROCESS, thread, before)
            can = True

    trial = threading.Thread(target=attempt)
    trial.start()
    trial.join()
    return can


def _set(pid: int, niceness: int) -> None:
    with contextlib.suppress(OSError):  # it may have ended
        os.setpriority(os.PRIO_PGRP, pid, niceness)


def _write(pid: int, niceness: int) -> bool:
    try:
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
    except BlockingIOError:
        return False
    except OSError:
        pass  # it has ended
    return True
