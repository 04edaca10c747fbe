"""Which program listens on a port, as far as this user may know (Linux: /proc/net/tcp)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

LISTEN = "0A"
PROC = Path("/proc")


def holder_of(port: int) -> str:
    """`process 123 (nginx)`, or an empty text when nothing is known."""
    inodes = set(_listening_inodes(port))
    if not inodes:
        return ""
    for pid in _pids():
        if inodes & _socket_inodes(pid):
            return f"process {pid} ({_command(pid)})"
    return "a program of another user"


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            rows = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                yield fields[9]


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdigit()]
    except OSError:
        return []


def _socket_inodes(pid: int) -> set[str]:
    inodes = set()
    try:
        for entry in (PROC / str(pid) / "fd").iterdir():
            target = os.readlink(entry)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    except OSError:  # another user's process, or one that has just ended
        return inodes
    return inodes


def _command(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return "unknown"
