"""Measures Salver beside a plain FastAPI service, the model in process, and prototypes: `python -m benchmarks.run`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import cpu, load
from benchmarks.errors import MeasureError
from benchmarks.measure import Plan, measure
from benchmarks.models import MODELS, make_models
from benchmarks.report import FASTAPI, PROTOTYPE, Row, to_json, to_text
from benchmarks.servers import Contender, fastapi, prototype, salver
from benchmarks.workloads import WORKLOADS

PACKAGES = ("salver", "fastapi", "uvicorn", "uvloop", "httptools", "onnxruntime", "numpy", "pillow")


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0; 1 when an answer was wrong or a request failed; 2 when nothing could be measured."""
    options = _parser().parse_args(arguments)
    if not load.has_wrk() or not cpu.PROC.is_dir():
        print(load.NO_WRK if cpu.PROC.is_dir() else cpu.NO_PROC, file=sys.stderr)
        return 2
    plan = _plan(options)
    make_models(MODELS)
    rows: list[Row] = []
    try:
        for workload in plan.workloads:
            rows += measure(workload, plan, MODELS)
            print(to_text(rows, {workload.name: workload.title}), end="\n\n", flush=True)
    except MeasureError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    about = _about(plan)
    if options.json is not None:
        options.json.write_text(json.dumps(to_json(rows, about), indent=1) + "\n")
    bad = sum(row.bad for row in rows)
    print(f"{bad} wrong or failed answers. {_in_words(about)}")
    return 1 if bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="What a prediction costs, side by side.")
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--workload", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument(
        "--connections", action="append", type=int, metavar="N", help="instead of 1, 8 and 64; may be repeated"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each server; medians are shown (3)")
    parser.add_argument("--duration", type=int, default=2, metavar="S", help="seconds of each run (2)")
    parser.add_argument("--prototypes", type=Path, metavar="FOLDER", help="measure the arch.py of this folder, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    parser.add_argument("--quick", action="store_true", help="one run of 1 s at 8 connections: shows that it works")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    contenders = [
        Contender("Salver", salver(has_access_log=True)),
        Contender("Salver, no log", salver(has_access_log=False)),
        Contender(FASTAPI, fastapi),
    ]
    if options.prototypes is not None:
        contenders.append(Contender(PROTOTYPE, prototype(options.prototypes.resolve()), is_prototype=True))
    return Plan(
        workloads=tuple(each for each in WORKLOADS if each.name in (options.workload or [each.name])),
        connections=(8,) if options.quick else tuple(options.connections or (1, 8, 64)),
        runs=1 if options.quick else options.runs,
        duration_s=1 if options.quick else options.duration,
        contenders=tuple(contenders),
    )


def _about(plan: Plan) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[1],
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "runs": plan.runs,
        "duration_s": plan.duration_s,
    }


def _in_words(about: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    return (
        f"{about['date']}, {about['machine']}, {about['cores']} cores, load average {about['load_average']:.1f}, "
        f"Python {about['python']}, {packages}; medians of {about['runs']} runs of {about['duration_s']} s each."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
