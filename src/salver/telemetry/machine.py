"""What the machine says of its processors, memory and disk, now."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec

SAMPLE_S = 0.05
"""How long the processors are watched."""
MIB = 1024.0 * 1024.0
GIB = 1024.0 * MIB
_STAT, _MEMORY = Path("/proc/stat"), Path("/proc/meminfo")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """None where the system does not tell."""

    cpu_percent: float | None
    memory_total_bytes: float | None
    memory_available_bytes: float | None
    disk_total_bytes: float
    disk_free_bytes: float

    def gauges(self) -> tuple[tuple[str, str, float], ...]:
        """Name, unit and value, as Multi Model Server and TorchServe call them."""
        disk_used = self.disk_total_bytes - self.disk_free_bytes
        found = [
            ("DiskAvailable", "Gigabytes", self.disk_free_bytes / GIB),
            ("DiskUsage", "Gigabytes", disk_used / GIB),
            ("DiskUtilization", "Percent", _percent(disk_used, self.disk_total_bytes)),
        ]
        if self.cpu_percent is not None:
            found.append(("CPUUtilization", "Percent", self.cpu_percent))
        if self.memory_total_bytes is not None and self.memory_available_bytes is not None:
            used = self.memory_total_bytes - self.memory_available_bytes
            found += [
                ("MemoryAvailable", "Megabytes", self.memory_available_bytes / MIB),
                ("MemoryUsed", "Megabytes", used / MIB),
                ("MemoryUtilization", "Percent", _percent(used, self.memory_total_bytes)),
            ]
        return tuple(found)


def look() -> Machine:
    """Blocks for `SAMPLE_S`."""
    disk = shutil.disk_usage("/")
    memory = _memory()
    return Machine(
        cpu_percent=_cpu_percent(),
        memory_total_bytes=memory.get("MemTotal"),
        memory_available_bytes=memory.get("MemAvailable"),
        disk_total_bytes=float(disk.total),
        disk_free_bytes=float(disk.free),
    )


def _percent(part: float, whole: float) -> float:
    return round(100.0 * part / whole, 1) if whole else 0.0


def _memory() -> dict[str, float]:
    try:
        lines = _MEMORY.read_text().splitlines()
    except OSError:
        return {}
    rows = [line.replace(":", " ").split() for line in lines]
    return {row[0]: float(row[1]) * 1024.0 for row in rows if len(row) == 3}


def _cpu_percent() -> float | None:
    before = _cpu_times()
    time.sleep(SAMPLE_S)
    after = _cpu_times()
    if before is None or after is None:
        return None
    return _percent(after[0] - before[0], after[1] - before[1])


def _cpu_times() -> tuple[float, float] | None:
    """Busy, and all, in ticks since the start."""
    try:
        with _STAT.open() as file:
            ticks = [float(word) for word in file.readline().split()[1:9]]
    except OSError:
        return None
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
