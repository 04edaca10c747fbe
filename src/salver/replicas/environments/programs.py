"""Runs an installer in a process of its own that sees no secrets, has limits, and has no files but those it needs."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path

from salver.replicas.environments import launcher
from salver.replicas.environments.base import BuildFailed, EnvironmentSettings
from salver.replicas.environments.cage import Cage, cage
from salver.replicas.environments.failures import KEPT_LINES

MAX_FILE_BYTES = 16 * 1024**3
MAX_MEMORY_BYTES = 8 * 1024**3
MAX_LINE_BYTES = 64 * 1024
WATCH_S = 0.5
"""How often the free space of the disk is looked at while something is installed."""
GONE_S = 5.0
"""How long what was started may take to be gone after it was killed."""
NO_SPACE = "no space left on device: too little would stay free"
_SECRET = re.compile(r"(?<=://)[^/@\s]+(?=@)")


class Programs:
    """`say_why` makes what is raised of a step, a clause as `resolving its requirements`, and of the last lines.

    All may read what lies below `readable`, and change what lies below `writable`.
    """

    def __init__(
        self,
        settings: EnvironmentSettings,
        say_why: Callable[[str, Sequence[str]], BuildFailed],
        *,
        readable: Iterable[str],
        writable: Iterable[str] = (),
    ) -> None:
        self._settings = settings
        self._say_why = say_why
        self._readable = tuple(readable)
        self._writable = tuple(writable)

    async def run(
        self,
        step: str,
        command: Sequence[str],
        folder: Path,
        variables: Mapping[str, str],
        hear: Callable[[str], None],
        *,
        readable: Iterable[str] = (),
    ) -> None:
        """Run to its end in this folder, which gets a home and a place for temporary files; `hear` gets each line.

        What lies below `readable` may be read as well.

        Raises BuildFailed. Whatever ends this ends the process and all that it started.
        """
        inside = self._cage([command[0], *self._readable, *readable], folder, variables)
        process = await self._start(command, folder, variables, inside)
        assert process.stdout is not None
        lines: list[str] = []
        watching = asyncio.get_running_loop().create_task(self._watch_disk(process, folder))
        try:
            async for raw in _lines_of(process.stdout):
                line = _SECRET.sub("***", raw)
                lines = [*lines, line][-4 * KEPT_LINES :]
                hear(line)
            code = await process.wait()
        finally:
            watching.cancel()
            _end(process)
            await process.wait()
            await _nobody_writes(process.stdout)
        full = watching.done() and not watching.cancelled() and watching.result()
        if full:
            raise self._say_why(step, [*lines, NO_SPACE])
        if code:
            raise self._say_why(step, lines or [f"{Path(command[0]).name} ended with status {code}"])

    def _cage(self, readable: Iterable[str], folder: Path, variables: Mapping[str, str]) -> Cage:
        """Raises BuildFailed where there has to be one and there is none."""
        if self._settings.install_cage == "off":
            return Cage()
        if self._settings.install_cage == "required" and not has_landlock():
            raise BuildFailed(
                "Installers cannot be caged here: this kernel has no Landlock.",
                fix="Start the server on Linux 5.13 or later, or set install_cage to where_possible.",
            )
        return cage(readable, variables, [str(folder), *self._writable])

    async def _start(
        self, command: Sequence[str], folder: Path, variables: Mapping[str, str], inside: Cage
    ) -> asyncio.subprocess.Process:
        for name in ("home", "tmp"):
            await asyncio.to_thread((folder / name).mkdir, exist_ok=True)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", launcher.__file__, str(os.getpid()), str(MAX_FILE_BYTES), str(MAX_MEMORY_BYTES)),
            *(":".join(inside.readable), ":".join(inside.writable)),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE_BYTES,
            cwd=folder,
            env={**variables, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")},
            start_new_session=True,
        )

    async def _watch_disk(self, process: asyncio.subprocess.Process, folder: Path) -> bool:
        """End the process when too little stays free; True then."""
        least = self._settings.environments_min_free_mb * 1024 * 1024
        while (await asyncio.to_thread(shutil.disk_usage, folder)).free >= least:  # noqa: ASYNC110  nothing tells it
            await asyncio.sleep(WATCH_S)
        _end(process)
        return True


def has_landlock() -> bool:
    """Whether this kernel can keep files from a process."""
    return sys.platform == "linux" and launcher.landlock_version(ctypes.CDLL(None, use_errno=True)) > 0


async def _lines_of(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines as they come; of one that is too long, pieces."""
    while raw := await _line(stream):
        yield raw.decode(errors="replace").rstrip()


async def _nobody_writes(stream: asyncio.StreamReader) -> None:
    """Until all that were killed with the process are gone, as far as they could still write."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GONE_S):
            while await stream.read(MAX_LINE_BYTES):
                pass


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
