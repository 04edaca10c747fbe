"""What each stage of a prediction costs: `python -m benchmarks.stages`. Nothing but clients' sockets is left out."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks.inprocess import numbers_of
from benchmarks.lane import Lane
from benchmarks.models import MODELS, make_models
from benchmarks.sampling import STAGES, sampled
from benchmarks.workloads import WORKLOADS, Prepared

WARM_UP_ROUNDS = 200
SMALL = [workload.name for workload in WORKLOADS if workload.name in ("iris-json", "mlp-json", "mlp-raw")]
"""Requests that arrive in one piece; how larger ones arrive depends on the socket."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description="The cost of each stage.")
    parser.add_argument("--workload", choices=SMALL, default=SMALL[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each number of connections")
    options = parser.parse_args(arguments)
    make_models(MODELS)
    workload = next(each for each in WORKLOADS if each.name == options.workload)
    columns = {}
    with tempfile.TemporaryDirectory(prefix="salver-benchmark-") as folder:
        prepared = Prepared(workload, MODELS, Path(folder))
        for connections in (1, 64):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                columns[connections] = runner.run(_measure(prepared, Path(folder), connections, options.seconds))
    print(workload.title)
    print(_table(columns))
    return 0


async def _measure(prepared: Prepared, folder: Path, connections: int, seconds: float) -> dict[str, float]:
    """Microseconds of CPU for each request, by stage."""
    lane = await Lane.open(prepared, MODELS, folder / "access.log", connections)
    for _ in range(WARM_UP_ROUNDS):
        await lane.ask_all()
    _check(lane, prepared)
    rounds = 0
    with sampled() as found:
        began, deadline = time.thread_time(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            await lane.ask_all()
            rounds += 1
        used_us = (time.thread_time() - began) * 1e6
    await lane.close()
    return _shares(found, used_us / (rounds * connections))


def _check(lane: Lane, prepared: Prepared) -> None:
    expected = prepared.examples[0].expected
    for client in lane.clients:
        head, _, body = client.answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 ") or len(numbers_of(body)) != len(expected):
            raise RuntimeError(f"a wrong answer: {client.answer[:500]!r}")


def _shares(found: Counter[str], request_us: float) -> dict[str, float]:
    samples = sum(found.values())
    return {stage: request_us * found[stage] / samples for stage in STAGES}


def _table(columns: dict[int, dict[str, float]]) -> str:
    """Microseconds by stage; a column for each number of connections."""
    counts = list(columns)
    lines = [f"{'µs each request':<18}" + "".join(f"{f'{count} conn.':>12}" for count in counts)]
    lines += [f"{stage:<18}" + "".join(f"{columns[count][stage]:>12.2f}" for count in counts) for stage in STAGES]
    lines.append(f"{'together':<18}" + "".join(f"{sum(columns[count].values()):>12.2f}" for count in counts))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
