"""What a process and all its children have used, from Linux's /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
NO_PROC = "The CPU time of processes is read from /proc, which this system does not have: measure on Linux."
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """CPU-seconds since the start: of the process itself, and of all below it that live."""

    own_s: float
    children_s: float

    def since(self, before: Usage) -> Usage:
        return Usage(self.own_s - before.own_s, self.children_s - before.children_s)

    @property
    def total_s(self) -> float:
        return self.own_s + self.children_s


def usage(pid: int) -> Usage:
    seconds = {each: _cpu_s(fields) for each, fields in _tree(pid).items()}
    own_s = seconds.pop(pid, 0.0)
    return Usage(own_s, sum(seconds.values()))


def resident_bytes(pid: int) -> int:
    """Memory of the process and all below it; pages that they share count in each."""
    return sum(int(fields[21]) * PAGE_BYTES for fields in _tree(pid).values())


def _tree(pid: int) -> dict[int, list[str]]:
    """The fields of /proc/PID/stat behind the name (proc(5), from `state` on), by pid: the process and all below it."""
    all_fields = {int(entry.name): _fields(entry) for entry in PROC.iterdir() if entry.name.isdigit()}
    children: dict[int, list[int]] = {}
    for each, fields in all_fields.items():
        if fields:
            children.setdefault(int(fields[1]), []).append(each)
    found, waiting = {}, [pid]
    while waiting:
        each = waiting.pop()
        if all_fields.get(each):
            found[each] = all_fields[each]
        waiting += children.get(each, [])
    return found


def _fields(entry: Path) -> list[str]:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return []


def _cpu_s(fields: list[str]) -> float:
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
