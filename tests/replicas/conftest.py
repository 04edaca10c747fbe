"""What it takes to start workers: specs, and engines to compare."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

from salver.replicas.base import ReplicaSpec
from salver.types import BatchSettings, ModelVersion

sys.path.append(str(Path(__file__).parent))  # the module beside this file is imported by name

from supervisor_stage import tell

T = TypeVar("T")


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., ReplicaSpec]:
    """Makes a spec of the echo model; keywords are its fields."""

    def make(**fields: Any) -> ReplicaSpec:
        plain: dict[str, Any] = {
            "id": ModelVersion("m", 1),
            "runtime": "echo",
            "path": str(tmp_path / "m.echo"),
            "folder": str(tmp_path),
            "python": sys.executable,
            "batching": BatchSettings(),
        }
        return ReplicaSpec(**(plain | fields))

    return make


@pytest.fixture
def python_spec(spec: Callable[..., ReplicaSpec], tmp_path: Path) -> Callable[..., ReplicaSpec]:
    """Makes a spec of a model that is a Python file with this code."""

    def make(code: str, **fields: Any) -> ReplicaSpec:
        path = tmp_path / "model.py"
        path.write_text(textwrap.dedent(code) + "\ndef predict(x: float) -> float:\n    return x\n")
        manifest = {"inputs": [], "outputs": [], "example": None, "handler": None, "function": None}
        return spec(runtime="function", path=str(path), manifest=manifest, **fields)

    return make


@pytest.fixture
def play() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine on the kind of loop that the server has, in real time."""

    def run(work: Coroutine[Any, Any, T]) -> T:
        async def limited() -> T:
            async with asyncio.timeout(30):
                return await work

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(limited())

    return run


@pytest.fixture
def play_group(spec: Callable[..., ReplicaSpec]) -> Callable[..., None]:
    """Runs a story with a group that was started, stops the group, and sees that no worker is left."""
    return partial(tell, spec)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.fixture
def alive() -> Callable[[int], bool]:
    return is_alive


@pytest.fixture
def open_files() -> Callable[[], int]:
    """How many descriptors this process has."""
    return lambda: len(os.listdir("/proc/self/fd"))
