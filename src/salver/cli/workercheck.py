"""Starts one real worker process, as the server does, with the model that only answers what it was sent."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from salver.cli.checks import Finding, State
from salver.errors import SalverError
from salver.replicas.base import LoadFailed, ReplicaSpec, WorkerLost
from salver.replicas.local import LocalEngine
from salver.types import BatchSettings, ModelVersion

TIMEOUT_S = 20.0
STOP_GRACE_S = 2.0
FIX = "Run `python -c 'import numpy, salver_worker'` with that interpreter and mend what it says."


def check_worker(python: str = sys.executable) -> Finding:
    """Whether a worker starts in the interpreter, loads and stops."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="salver-doctor-") as folder:
        try:
            asyncio.run(asyncio.wait_for(_start_and_stop(Path(folder), python), TIMEOUT_S))
        except TimeoutError:
            return Finding("worker", State.WRONG, f"no sign of life within {TIMEOUT_S:g} s", FIX)
        except SalverError as error:
            return Finding("worker", State.WRONG, error.message, error.fix)
        except (OSError, LoadFailed, WorkerLost) as error:
            return Finding("worker", State.WRONG, f"it does not start: {error}", FIX)
    return Finding("worker", State.FINE, f"started, loaded and stopped in {time.monotonic() - started:.2f} s")


async def _start_and_stop(folder: Path, python: str) -> None:
    artefact = folder / "try.echo"
    artefact.touch()
    spec = ReplicaSpec(
        id=ModelVersion("doctor", 1),
        runtime="echo",
        path=str(artefact),
        folder=str(folder),
        manifest={"inputs": [], "outputs": [], "example": None, "handler": None},
        python=python,
        batching=BatchSettings(),
    )
    worker = await LocalEngine(folder, os.environ).start(spec, "doctor")
    try:
        await worker.load()
    finally:
        await worker.stop(STOP_GRACE_S)
