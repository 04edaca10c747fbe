"""Environments of Python: an interpreter that is there, and packages that uv resolves and installs."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from salver.replicas.environments.base import (
    LANGUAGES,
    PYTHON,
    EnvironmentRequest,
    Interpreter,
    Lock,
    Pin,
    Tell,
)
from salver.replicas.environments.interpreters import Interpreters
from salver.replicas.environments.locks import pins_for, read_lock
from salver.replicas.environments.uv import Uv

log = logging.getLogger("salver.environments")
COMPILE_S = 1800.0


class PythonKind:
    language = LANGUAGES[PYTHON]

    def __init__(self, interpreters: Interpreters, uv: Uv) -> None:
        self._interpreters = interpreters
        self._uv = uv

    async def find(self, request: EnvironmentRequest) -> Interpreter:
        return await self._interpreters.find(request.python)

    def read(self, text: str, origin: str) -> Lock:
        return read_lock(text, origin)

    async def known(self, request: EnvironmentRequest, kept: Lock | None, interpreter: Interpreter) -> Lock | None:
        if kept is not None or not request.lock:
            return kept
        return read_lock(request.lock, request.origin or "the lock")

    async def resolve(
        self, request: EnvironmentRequest, kept: Lock | None, interpreter: Interpreter, folder: Path, tell: Tell
    ) -> Lock:
        return read_lock(await self._uv.compile(request, interpreter, folder, tell), "the lock")

    def pins(self, lock: Lock, interpreter: Interpreter) -> tuple[Pin, ...]:
        return pins_for(lock, interpreter)

    async def install(self, lock: Lock, interpreter: Interpreter, folder: Path, tell: Tell) -> Path:
        return await self._uv.install(lock, interpreter, folder, tell)

    def start_in(self, place: Path | None, interpreter: Interpreter) -> tuple[str, dict[str, str]]:
        return interpreter.path if place is None else str(place / "bin" / "python"), {}

    async def finish(self, place: Path) -> None:
        """Compile the bytecode, so that the next start need not."""
        library = await asyncio.to_thread(lambda: next(place.glob("lib/python*"), None))
        process = await asyncio.create_subprocess_exec(
            str(place / "bin" / "python"),
            *("-I", "-c", _COMPILE, str(library)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.defpath},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(COMPILE_S):
                await process.wait()
        except TimeoutError:
            log.warning("environment_not_compiled", extra={"environment": place.name})
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def forget(self, packages: Iterable[str], folder: Path) -> None:
        await self._uv.forget(packages, folder)


_COMPILE = """
import compileall, os, sys
os.nice(15)
try:
    with open("/proc/self/autogroup", "w") as file:  # its session as well, which Linux may take as one
        file.write("15")
except OSError:
    pass
compileall.compile_dir(sys.argv[1], quiet=2)
"""
