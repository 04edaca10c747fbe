"""The floor: the same requests to the same model in this process, without a network or a server."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.cpu import Usage
from benchmarks.load import Load
from benchmarks.report import Sample
from benchmarks.workloads import Prepared


def measure(prepared: Prepared, *, connections: int, duration_s: float) -> Sample:
    """As many requests at once as there would be connections, the model asked once for all of them."""
    bodies = [prepared.examples[0].body] * connections
    took_s: list[float] = []
    began, began_cpu = time.perf_counter(), time.process_time()
    now = began
    while now - began < duration_s:
        prepared.answer(bodies)
        before, now = now, time.perf_counter()
        took_s.append(now - before)
    used_s = time.process_time() - began_cpu
    p50_us, p99_us = np.percentile(took_s, (50, 99)) * 1e6
    load = Load(len(took_s) * connections, now - began, float(p50_us), float(p99_us), failed=0)
    return Sample(load, Usage(used_s, 0.0))
