"""Resolves and installs with uv."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from salver.replicas.environments.base import EnvironmentRequest, EnvironmentSettings, Interpreter, Lock, Tell
from salver.replicas.environments.cage import home_of
from salver.replicas.environments.failures import build_failure
from salver.replicas.environments.programs import Programs


class Uv:
    """One installer, used for every environment. Its cache lies beside the environments, so that files are linked."""

    def __init__(self, settings: EnvironmentSettings, variables: Mapping[str, str], cache: Path) -> None:
        """`variables` are all that it sees of the server's environment."""
        self._settings = settings
        self._variables = dict(variables)
        self._cache = cache
        self._programs = Programs(
            settings,
            build_failure,
            readable=(sys.prefix, sys.base_prefix, os.path.expanduser(settings.wheels_dir)),
            writable=(str(cache),),
        )

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
            interpreter=interpreter,
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
            interpreter=interpreter,
        )
        await self._run(
            "installing its packages",
            ("pip", "sync", text.name, "--require-hashes", "--python", str(place / "bin" / "python"), *self._trust()),
            folder=folder,
            tell=tell,
            interpreter=interpreter,
        )
        return place

    async def forget(self, packages: Iterable[str], folder: Path) -> None:
        """Remove what was downloaded of these packages; environments keep their files. Raises BuildFailed."""
        await self._run("forgetting packages", ("cache", "clean", "--quiet"), packages, folder=folder, tell=_untold)

    def _trust(self) -> tuple[str, ...]:
        return () if self._settings.allow_source_packages else ("--only-binary", ":all:")

    async def _run(
        self, step: str, *arguments: Iterable[str], folder: Path, tell: Tell, interpreter: Interpreter | None = None
    ) -> None:
        """Raises BuildFailed."""
        words = [word for group in arguments for word in group]
        is_resolving = "compile" in words
        variables = {
            **{name: value for name, value in self._variables.items() if is_resolving or name != "UV_CONSTRAINT"},
            "UV_CACHE_DIR": str(self._cache),
        }

        def hear(line: str) -> None:
            if line.startswith(("Resolved ", "Prepared ", "Installed ", "Downloading ", "Building ")):
                tell(line[0].lower() + line[1:])

        homes = () if interpreter is None else home_of(interpreter.path)
        linked = await asyncio.to_thread(_linked, self._settings.wheels_dir)
        await self._programs.run(step, [uv_program(), *words], folder, variables, hear, readable=(*homes, *linked))


def _linked(wheels_dir: str) -> list[str]:
    """Where the links in the folder of wheels lead to."""
    wheels = Path(wheels_dir).expanduser()
    if not wheels_dir or not wheels.is_dir():
        return []
    return [os.path.realpath(path) for path in wheels.iterdir() if path.is_symlink()]


def _untold(_text: str) -> None:
    """Nobody waits for it."""


def uv_program() -> str:
    import uv  # finds its own program

    return uv.find_uv_bin()
