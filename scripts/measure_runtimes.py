#!/usr/bin/env python3
"""Measures a small model of each runtime in a worker of its own: the models of the conformance suite."""

from __future__ import annotations

import functools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "worker")]

import driver  # noqa: E402
from runtime_cases import Case, all_cases  # noqa: E402

from framework_environments import framework_python  # noqa: E402
from salver_worker import frames  # noqa: E402

FIGURES = ROOT / "docs" / "runtimes" / "figures.json"
STARTS = 4
"""The first one reads the disk, and does not count."""
ROWS = 64
MIB = 1024 * 1024


def main(words: list[str]) -> int:
    cases = all_cases()
    names = [word for word in words if not word.startswith("-")] or sorted(cases)
    figures: dict[str, Any] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    print(f"{'runtime':16} {'start s':>8} {'MiB':>6} {'us, 1 row':>10} {f'us a row, {ROWS}':>14}  version")
    for name in names:
        found = figures[name] = measure(name, cases[name])
        print(
            f"{name:16} {found['start_s']:8.2f} {found['memory_mib']:6.0f} {found['one_row_us']:10.0f} "
            f"{found['row_of_many_us']:14.1f}  {found['version']}",
            flush=True,
        )
    if "--write" in words:
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text(json.dumps(dict(sorted(figures.items())), indent=2) + "\n")
    return 0


def measure(name: str, case: Case) -> dict[str, Any]:
    python = framework_python(*case.requirements, series=case.series) if case.requirements else None
    with tempfile.TemporaryDirectory() as folder:
        path = case.build(Path(folder), python or sys.executable)
        starts = []
        for number in range(STARTS):
            begun = time.perf_counter()
            with driver.WorkerProcess(Path(folder), python=python, command=case.command(Path(folder))) as worker:
                ready = worker.load(name, path)
                starts.append(time.perf_counter() - begun)
                assert ready.verb == frames.READY, ready.header
                if number == STARTS - 1:
                    ask = functools.partial(case.ask, worker.attach(), driver)
                    one, many = median_s(functools.partial(ask, 1), 300), median_s(functools.partial(ask, ROWS), 100)
                    memory = worker.ping()["rss"]
    return {
        "version": ready.header["runtime_version"],
        "python": ready.header["python"],
        "start_s": round(statistics.median(starts[1:]), 3),
        "memory_mib": round(memory / MIB),
        "one_row_us": round(1e6 * one),
        "row_of_many_us": round(1e6 * many / ROWS, 1),
    }


def median_s(ask: Callable[[], Any], times: int) -> float:
    """Of the round trips of at most three seconds."""
    taken = []
    until = time.perf_counter() + 3
    while len(taken) < times and time.perf_counter() < until:
        begun = time.perf_counter()
        answer = ask()
        taken.append(time.perf_counter() - begun)
        assert answer.verb == frames.RESULT, answer.header
    return statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
