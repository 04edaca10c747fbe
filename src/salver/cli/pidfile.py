"""The file by which `--stop` finds the server that `--start` left behind, where the originals have it too."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import tempfile
from pathlib import Path

NAME = ".model_server.pid"
MAX_BYTES = 64


class PidFile:
    """One file for the user's one server. A file of somebody else is never believed."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or Path(tempfile.gettempdir())) / NAME

    def read(self) -> int | None:
        """The process that the file names, running or not; None without a file that this user wrote."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if facts.st_uid != os.getuid() or not stat.S_ISREG(facts.st_mode):
                return None
            text = file.read(MAX_BYTES).strip()
        return int(text) if text.isdigit() and len(text) <= 10 else None

    def write(self, pid: int) -> None:
        """Made whole beside its place, so that a link that somebody put there is replaced, not followed."""
        descriptor, made = tempfile.mkstemp(prefix=NAME, dir=self.path.parent)
        with os.fdopen(descriptor, "w") as file:
            file.write(str(pid))
        Path(made).chmod(0o644)
        os.replace(made, self.path)

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def remove_if(self, pid: int) -> None:
        if self.read() == pid:
            self.remove()


def is_running(pid: int) -> bool:
    """Whether there is a process of this number, whosever it is."""
    return os.path.exists(f"/proc/{pid}")


def is_server(pid: int) -> bool:
    """Whether the process runs, is this user's and is a Salver: numbers are used again."""
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return owner == os.getuid() and b"salver" in line


def stop(pid: int, patience_s: float) -> bool:
    """Ask the process to end, and end it when it has not after that time; whether there was one to stop."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        if not select.select([descriptor], [], [], patience_s)[0]:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], patience_s)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True
