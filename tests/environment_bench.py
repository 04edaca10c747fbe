"""A builder of real environments, on wheels of a few bytes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from salver.replicas.environments.base import PYTHON, EnvironmentRequest, EnvironmentSettings, R
from salver.replicas.environments.book import StoredLocks
from salver.replicas.environments.builder import Builder
from salver.replicas.environments.interpreters import Interpreters
from salver.replicas.environments.pipsettings import uv_variables
from salver.replicas.environments.pythonkind import PythonKind
from salver.replicas.environments.rkind import RKind
from salver.replicas.environments.shelf import Shelf
from salver.replicas.environments.uv import Uv
from salver.store.memory import MemoryStore
from tiny_wheels import make_wheel

OLD = EnvironmentRequest(requirements=("numpy", "tinylib<2"), origin="requirements.txt")
NEW = EnvironmentRequest(requirements=("numpy", "tinylib>=2"), origin="requirements.txt")
Story = Callable[["Bench"], Awaitable[None]]


class Bench:
    """A builder on a folder of wheels; `said` is what it told whoever waits."""

    def __init__(self, folder: Path, store: MemoryStore | None = None, **settings: Any) -> None:
        self.wheels = folder / "wheels"
        for name, version in (("numpy", "1.0"), ("tinylib", "1.0"), ("tinylib", "2.0")):
            make_wheel(self.wheels, name, version)
        chosen = EnvironmentSettings(**{"offline": True, "wheels_dir": str(self.wheels), **settings})
        self.store = store or MemoryStore()
        self.shelf = Shelf(folder / "environments")
        self.builder = Builder(
            chosen,
            self.shelf,
            {
                PYTHON: PythonKind(Interpreters(chosen.interpreters, ""), self._uv(chosen)),
                R: RKind(chosen, {"PATH": os.environ["PATH"]}, self.shelf.sources),
            },
            StoredLocks(self.store),
        )
        self.said: list[str] = []

    def _uv(self, chosen: EnvironmentSettings) -> Uv:
        return Uv(chosen, uv_variables(chosen, {"PATH": os.defpath}, {}), self.shelf.cache)

    async def python(self, request: EnvironmentRequest) -> str:
        return (await self.builder.prepare(request, self.said.append)).python


def play(bench: Bench, story: Story) -> None:
    async def whole() -> None:
        try:
            await story(bench)
        finally:
            await bench.builder.stop()

    asyncio.run(whole())


def version_of(python: str, name: str = "tinylib") -> str:
    code = f"import {name}; print({name}.VERSION)"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
