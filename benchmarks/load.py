"""Load on one address, by wrk; and a look at the answers before."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.errors import MeasureError
from benchmarks.inprocess import numbers_of
from benchmarks.workloads import Example

SCRIPT = Path(__file__).with_name("wrk.lua")
TIMEOUT_S = 10
TOLERANCE = 1e-4
CHECK_ROUNDS = 4
NO_WRK = "wrk is not installed; it makes the load. On Debian and Ubuntu: apt-get install wrk"


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    failed: int


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


def run_wrk(url: str, body: Path, content_type: str, *, connections: int, duration_s: int) -> Load:
    """Closed loop: each connection asks again as soon as it has its answer. One thread, keep-alive, no pipelining."""
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{duration_s}s",
        "--timeout",
        f"{TIMEOUT_S}s",
        "-s",
        str(SCRIPT),
        url,
    ]
    environment = {**os.environ, "BENCHMARK_BODY": str(body), "BENCHMARK_TYPE": content_type}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    line = next((line for line in ran.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise MeasureError(f"wrk gave no result: {ran.stdout[-500:]}{ran.stderr[-500:]}")
    told = json.loads(line.removeprefix("RESULT "))
    seconds = told["duration_us"] / 1e6
    return Load(told["requests"], seconds, told["p50_us"], told["p99_us"], told["failed"])


def count_wrong(url: str, content_type: str, examples: Sequence[Example]) -> int:
    """How many of many different requests, sent at the same time, do not get the answer of the model in process."""
    with (
        httpx.Client(headers={"Content-Type": content_type}, timeout=TIMEOUT_S, trust_env=False) as client,
        ThreadPoolExecutor(len(examples)) as threads,
    ):
        return sum(threads.map(lambda example: not _is_right(client, url, example), [*examples] * CHECK_ROUNDS))


def _is_right(client: httpx.Client, url: str, example: Example) -> bool:
    answer = client.post(url, content=example.body)
    if answer.status_code != 200:
        return False
    got = numbers_of(answer.content)
    return len(got) == len(example.expected) and all(
        math.isclose(have, want, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        for have, want in zip(got, example.expected, strict=True)
    )
