"""RELIABILITY T3: a big model is loaded beside one that is asked all the time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journey_load import quantile, steady_load
from journey_versions import MODEL, answered, nothing_was_lost, versions

MIB = 1024 * 1024
READS = """
import pathlib
import time
weights = (pathlib.Path(__file__).parent / "weights.bin").read_bytes()
time.sleep({seconds})
"""


PUSH = (sys.executable, "-m", "salver", "push", "--name", "big", "--wait", "600")


def stand_back() -> None:
    """The command is a program of its own, whose users have it on another machine: here it is not to be felt."""
    os.nice(19)
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as file:
        file.write("19")


@pytest.mark.proof("T3")
@pytest.mark.slow
@pytest.mark.parametrize("busy_s", [0.005, 0.0])
def test_a_big_model_is_published_and_loaded_beside_a_busy_one(
    tmp_path: Path, figure: Any, size: Any, busy_s: float
) -> None:
    mib, seconds = size(32, 5 * 1024), size(0.3, 2.0)
    with versions(tmp_path) as served:
        served.push(1)
        big = served.write(1, name="big", head=READS.format(seconds=seconds))
        with (big / "weights.bin").open("wb") as file:
            for number in range(mib):
                file.write(number.to_bytes(4, "big") * (MIB // 4))
        with steady_load(served.server.url, MODEL, clients=2, act=f"sleep {busy_s}") as load:
            answered(load, size(50, 3000))
            before = [each.seconds for each in load.outcomes]
            pushed = subprocess.run(
                [*PUSH, str(big), "--data-dir", str(served.server.data)],
                capture_output=True,
                text=True,
                start_new_session=True,
                preexec_fn=stand_back,
            )
            assert pushed.returncode == 0, pushed.stderr
            served.wait_for({1: "READY"}, "big")
            during = [each.seconds for each in load.outcomes[len(before) :]]
        requests = nothing_was_lost(load)
        (replica,) = served.client.model("big").versions[0].replicas
        assert replica.rss_bytes > mib * MIB
        ratios = [f"{name} {quantile(during, share) / quantile(before, share):.2f} times" for name, share in SHARES]
        figure(
            f"{mib} MiB published and loaded; {requests} requests to the other, which takes {1000 * busy_s:g} ms, "
            f"0 lost; {', '.join(ratios)} what it was before (p99 {1000 * quantile(before, 0.99):.1f} ms), with "
            f"{len(during)} requests during it"
        )


SHARES = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)]
