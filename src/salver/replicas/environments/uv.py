"""Resolves and installs with uv, in a process of its own that sees no secrets and has limits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

from salver.replicas.environments import launcher
from salver.replicas.environments.base import EnvironmentRequest, EnvironmentSettings, Interpreter, Lock, Tell
from salver.replicas.environments.failures import KEPT_LINES, build_failure

MAX_FILE_BYTES = 16 * 1024**3
MAX_MEMORY_BYTES = 8 * 1024**3
MAX_LINE_BYTES = 64 * 1024
WATCH_S = 0.5
"""How often the free space of the disk is looked at while something is installed."""
_SECRET = re.compile(r"(?<=://)[^/@\s]+(?=@)")


class Uv:
    """One installer, used for every environment. Its cache lies beside the environments, so that files are linked."""

    def __init__(self, settings: EnvironmentSettings, variables: Mapping[str, str], cache: Path) -> None:
        """`variables` are all that it sees of the server's environment."""
        self._settings = settings
        self._variables = dict(variables)
        self._cache = cache

    async def compile(self, request: EnvironmentRequest, interpreter: Interpreter, folder: Path, tell: Tell) -> str:
        """The text of a lock for what is asked for, as uv writes it. Raises BuildFailed."""
        wanted, bounds, lock = folder / "requirements.in", folder / "constraints.txt", folder / "requirements.lock"
        await asyncio.to_thread(wanted.write_text, "".join(f"{line}\n" for line in request.requirements))
        await asyncio.to_thread(bounds.write_text, "".join(f"{line}\n" for line in request.constraints))
        await self._run(
            "resolving its requirements",
            ("pip", "compile", wanted.name, "--output-file", lock.name, "--constraints", bounds.name),
            ("--universal", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"),
            ("--python", interpreter.path, "--python-version", interpreter.series, *self._trust()),
            folder=folder,
            tell=tell,
        )
        return await asyncio.to_thread(lock.read_text)

    async def install(self, lock: Lock, interpreter: Interpreter, folder: Path, tell: Tell) -> Path:
        """An environment with the packages of the lock, inside `folder`. Raises BuildFailed."""
        place, text = folder / "environment", folder / "requirements.lock"
        await asyncio.to_thread(text.write_text, lock.text)
        await self._run(
            "making it",
            ("venv", place.name, "--relocatable", "--no-project", "--quiet", "--python", interpreter.path),
            folder=folder,
            tell=tell,
        )
        await self._run(
            "installing its packages",
            ("pip", "sync", text.name, "--require-hashes", "--python", str(place / "bin" / "python"), *self._trust()),
            folder=folder,
            tell=tell,
        )
        return place

    async def forget(self, packages: Iterable[str], folder: Path) -> None:
        """Remove what was downloaded of these packages; environments keep their files. Raises BuildFailed."""
        await self._run("forgetting packages", ("cache", "clean", "--quiet"), packages, folder=folder, tell=_untold)

    def _trust(self) -> tuple[str, ...]:
        return () if self._settings.allow_source_packages else ("--only-binary", ":all:")

    async def _run(self, step: str, *arguments: Iterable[str], folder: Path, tell: Tell) -> None:
        """Raises BuildFailed. Whatever ends this ends the process and all that it started."""
        words = [word for group in arguments for word in group]
        process = await self._start(words, folder, is_resolving="compile" in words)
        lines: list[str] = []
        watching = asyncio.get_running_loop().create_task(self._watch_disk(process, folder))
        try:
            assert process.stdout is not None
            async for raw in _lines_of(process.stdout):
                line = _SECRET.sub("***", raw)
                lines = [*lines, line][-4 * KEPT_LINES :]
                if line.startswith(("Resolved ", "Prepared ", "Installed ", "Downloading ", "Building ")):
                    tell(line[0].lower() + line[1:])
            code = await process.wait()
        finally:
            watching.cancel()
            _end(process)
            await process.wait()
        full = watching.done() and not watching.cancelled() and watching.result()
        if full:
            raise build_failure(step, [*lines, "no space left on device: too little would stay free"])
        if code:
            raise build_failure(step, lines or [f"uv ended with status {code}"])

    async def _start(self, arguments: Sequence[str], folder: Path, *, is_resolving: bool) -> asyncio.subprocess.Process:
        for name in ("home", "tmp"):
            await asyncio.to_thread((folder / name).mkdir, exist_ok=True)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", launcher.__file__, str(os.getpid()), str(MAX_FILE_BYTES), str(MAX_MEMORY_BYTES), "", ""),
            uv_program(),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE_BYTES,
            cwd=folder,
            env={
                **{name: value for name, value in self._variables.items() if is_resolving or name != "UV_CONSTRAINT"},
                "HOME": str(folder / "home"),
                "TMPDIR": str(folder / "tmp"),
                "UV_CACHE_DIR": str(self._cache),
            },
            start_new_session=True,
        )

    async def _watch_disk(self, process: asyncio.subprocess.Process, folder: Path) -> bool:
        """End the process when too little stays free; True then."""
        least = self._settings.environments_min_free_mb * 1024 * 1024
        while (await asyncio.to_thread(shutil.disk_usage, folder)).free >= least:  # noqa: ASYNC110  nothing tells it
            await asyncio.sleep(WATCH_S)
        _end(process)
        return True


def _untold(_text: str) -> None:
    """Nobody waits for it."""


def uv_program() -> str:
    import uv  # finds its own program

    return uv.find_uv_bin()


async def _lines_of(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines as they come; of one that is too long, pieces."""
    while raw := await _line(stream):
        yield raw.decode(errors="replace").rstrip()


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.read(max(error.consumed, 1))


def _end(process: asyncio.subprocess.Process) -> None:
    """The process leads a session of its own, so its group is all that it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
