"""Runs the load on all servers in turn, and reads what each of them used."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cpu, floor, load
from benchmarks.report import FLOOR, Row, Sample, median_row
from benchmarks.servers import Contender, Running
from benchmarks.workloads import Prepared, Workload

SETTLE_S = 0.2
"""Logs are written at most 0.1 s after the answer; their cost belongs to the run."""


@dataclass(frozen=True)
class Plan:
    """What is measured, and how often."""

    workloads: tuple[Workload, ...]
    connections: tuple[int, ...]
    runs: int
    duration_s: int
    contenders: tuple[Contender, ...]


def measure(workload: Workload, plan: Plan, models: Path) -> list[Row]:
    """All servers side by side: each takes its run in turn, so that what disturbs the machine disturbs all."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="salver-benchmark-")))
        prepared = Prepared(workload, models, folder)
        running: dict[str, Running] = {}
        for number, contender in enumerate(plan.contenders):
            if contender.can_serve(workload):
                own = folder / str(number)
                own.mkdir()
                running[contender.name] = stack.enter_context(contender.start(workload, models, own))
        return [row for count in plan.connections for row in _at(count, prepared, running, plan)]


def _at(connections: int, prepared: Prepared, running: dict[str, Running], plan: Plan) -> list[Row]:
    content_type = prepared.workload.content_type
    wrong = {name: load.count_wrong(each.url, content_type, prepared.examples) for name, each in running.items()}
    samples: dict[str, list[Sample]] = {name: [] for name in running}
    on_the_floor: list[Sample] = []
    for _ in range(plan.runs):
        for name, server in running.items():
            samples[name].append(_sample(server, prepared, connections, plan.duration_s))
        on_the_floor.append(floor.measure(prepared, connections=connections, duration_s=plan.duration_s / 4))

    def row(name: str, taken: list[Sample], wrong: int, resident_bytes: int) -> Row:
        workload = prepared.workload.name
        return median_row(workload, connections, name, taken, wrong=wrong, resident_bytes=resident_bytes)

    servers = [row(name, samples[name], wrong[name], cpu.resident_bytes(each.pid)) for name, each in running.items()]
    return [*servers, row(FLOOR, on_the_floor, 0, 0)]


def _sample(server: Running, prepared: Prepared, connections: int, duration_s: int) -> Sample:
    before = cpu.usage(server.pid)
    seen = load.run_wrk(
        server.url,
        prepared.body_path,
        prepared.workload.content_type,
        connections=connections,
        duration_s=duration_s,
    )
    time.sleep(SETTLE_S)
    used = cpu.usage(server.pid).since(before)
    if server.log is not None:
        os.truncate(server.log, 0)
    return Sample(seen, used)
