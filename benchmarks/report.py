"""From samples to a table: medians, ratios, text and JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cpu import Usage
from benchmarks.load import Load

FASTAPI = "FastAPI"
PROTOTYPE = "prototype"
FLOOR = "in process"
"""The names of those that ratios are taken to, and of the model without a server."""


@dataclass(frozen=True)
class Sample:
    """One run: what the clients saw, and what the server's processes used meanwhile."""

    load: Load
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class Row:
    """The medians of one server's runs of one workload at one number of connections."""

    workload: str
    connections: int
    name: str
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    """CPU-milliseconds of all the server's processes for each request, which is CPU-seconds for 1,000."""
    children_cpu_ms: float
    """Of these, the processes below the one that was started: workers."""
    resident_mb: float
    """All processes together; 0 where there is no server."""
    bad: int
    """Wrong answers before the runs, and failed requests in them."""
    runs_cpu_ms: tuple[float, ...]


def median_row(
    workload: str, connections: int, name: str, samples: Sequence[Sample], *, wrong: int, resident_bytes: int
) -> Row:
    def median(of: Callable[[Sample], float]) -> float:
        return statistics.median(map(of, samples))

    runs = tuple(_per_request_ms(sample.usage.total_s, sample.load) for sample in samples)
    return Row(
        workload=workload,
        connections=connections,
        name=name,
        requests_per_s=median(lambda sample: sample.load.requests / sample.load.seconds),
        p50_ms=median(lambda sample: sample.load.p50_us / 1e3),
        p99_ms=median(lambda sample: sample.load.p99_us / 1e3),
        cpu_ms=statistics.median(runs),
        children_cpu_ms=median(lambda sample: _per_request_ms(sample.usage.children_s, sample.load)),
        resident_mb=resident_bytes / 1e6,
        bad=wrong + sum(sample.load.failed for sample in samples),
        runs_cpu_ms=runs,
    )


def _per_request_ms(seconds: float, load: Load) -> float:
    return seconds * 1e3 / max(load.requests, 1)


def to_json(rows: Sequence[Row], about: dict[str, Any]) -> dict[str, Any]:
    """Everything that was measured, with what it was measured on."""
    return {"about": about, "rows": [{**asdict(row), **_ratios(row, rows)} for row in rows]}


def _ratios(row: Row, rows: Sequence[Row]) -> dict[str, float | None]:
    """This row by the row of FastAPI and of the prototype: throughput and CPU; None where there is none."""
    others = {each.name: each for each in rows if (each.workload, each.connections) == (row.workload, row.connections)}
    fastapi, prototype = others.get(FASTAPI), others.get(PROTOTYPE)
    return {
        "requests_to_fastapi": row.requests_per_s / fastapi.requests_per_s if fastapi else None,
        "cpu_to_fastapi": row.cpu_ms / fastapi.cpu_ms if fastapi else None,
        "cpu_to_prototype": row.cpu_ms / prototype.cpu_ms if prototype else None,
    }


HEADINGS = (
    "conn.",
    "server",
    "req/s",
    "p50 ms",
    "p99 ms",
    "CPU s/1000",
    "workers",
    "req/s:FA",
    "CPU:FA",
    "CPU:proto",
    "MB",
    "bad",
)


def to_text(rows: Sequence[Row], titles: dict[str, str]) -> str:
    """A table for each workload."""
    return "\n\n".join(
        f"{title}\n{_table([row for row in rows if row.workload == name], rows)}"
        for name, title in titles.items()
        if any(row.workload == name for row in rows)
    )


def _table(shown: Sequence[Row], rows: Sequence[Row]) -> str:
    lines = [HEADINGS, *(_cells(row, _ratios(row, rows)) for row in shown)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if column == 1 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _cells(row: Row, ratios: dict[str, float | None]) -> tuple[str, ...]:
    return (
        str(row.connections),
        row.name,
        f"{row.requests_per_s:,.0f}",
        f"{row.p50_ms:.3f}",
        f"{row.p99_ms:.3f}",
        f"{row.cpu_ms:.4f}",
        f"{row.children_cpu_ms:.4f}" if row.children_cpu_ms else "",
        *("" if value is None else f"{value:.2f}" for value in ratios.values()),
        f"{row.resident_mb:.0f}" if row.resident_mb else "",
        str(row.bad),
    )
