"""The benchmark itself: that it runs, and that no answer is wrong under load. How long anything takes is not tested."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVERS = {"Salver", "Salver, no log", "FastAPI", "in process"}
WORKLOADS = {"iris-json", "mlp-json", "mlp-raw", "tensor-raw", "photo-jpeg"}


def run(module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("wrk") is None, reason="NO LOAD GENERATOR: wrk is not installed (apt-get install wrk)")
def test_every_workload_is_measured_on_every_server_without_a_wrong_answer(tmp_path: Path) -> None:
    ran = run("run", "--quick", "--json", str(tmp_path / "figures.json"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert {(row["workload"], row["name"]) for row in rows} == {(each, name) for each in WORKLOADS for name in SERVERS}
    assert [row for row in rows if row["bad"] or not row["requests_per_s"]] == []
    assert "0 wrong or failed answers" in ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["iris-json", "mlp-json", "mlp-raw"])
def test_every_stage_of_the_lane_has_its_cost(workload: str) -> None:
    ran = run("stages", "--workload", workload, "--seconds", "0.5")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    table = {line[:18].strip(): line[18:].split() for line in ran.stdout.splitlines()[2:]}
    assert list(table)[-1] == "together"
    assert all(len(costs) == 2 for costs in table.values())
    assert all(float(cost) > 0 for cost in table["together"])


def test_without_a_load_generator_the_benchmark_says_what_to_install(tmp_path: Path) -> None:
    ran = run("run", "--quick", PATH=str(tmp_path))
    assert ran.returncode == 2
    assert "apt-get install wrk" in ran.stderr
