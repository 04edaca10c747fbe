"""The interpreters of this machine: the server's own, those that the settings name, and those on the PATH."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from salver.errors import Code, LoadError
from salver.replicas.environments.base import Interpreter
from salver.replicas.environments.looking import told_by
from salver.replicas.environments.pythons import choose, is_found_by_version

LOOK_S = 20.0
"""How long an interpreter may take to say what it is."""
_NAME = re.compile(r"python3\.\d{1,3}")
_LOOK = """
import os, platform, sys, sysconfig
base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
kind = "%s %s" % (platform.python_implementation().lower(), sysconfig.get_platform())
print("%s\\n%s\\n%s" % (base, platform.python_version(), kind))
"""


def interpreter(wanted: str) -> str:
    """The absolute path of an interpreter. Raises LoadError(ENVIRONMENT_BROKEN) when it is not there."""
    path = os.path.expanduser(wanted)
    found = path if os.path.isabs(path) else shutil.which(path)
    if found is None or not os.path.isfile(found) or not os.access(found, os.X_OK):
        raise LoadError(
            Code.ENVIRONMENT_BROKEN,
            f"The interpreter {wanted} is not there or cannot be run.",
            fix="Correct `python` under [environment] in model.toml, or leave it out to use the server's own.",
        )
    return found


class Interpreters:
    """Looks at each interpreter once; a launcher (of pyenv, say) is seen through to what it starts."""

    def __init__(self, configured: Sequence[str], search_path: str) -> None:
        self._configured = tuple(configured)
        self._search_path = search_path
        self._seen: dict[str, Interpreter] = {}
        self._known: tuple[Interpreter, ...] | None = None
        self._looking = asyncio.Lock()

    async def find(self, python: str) -> Interpreter:
        """The interpreter that a request's `python` means. Raises LoadError(ENVIRONMENT_BROKEN)."""
        if not is_found_by_version(python):
            return await self._look_at(interpreter(python))
        own = await self._look_at(sys.executable)
        if not python:
            return own
        return choose(python, own, await self.known())

    async def known(self) -> tuple[Interpreter, ...]:
        """Those of the settings in their order, then those on the PATH. Raises LoadError for one of the settings."""
        async with self._looking:
            if self._known is None:
                named = [await self._look_at(interpreter(path)) for path in self._configured]
                found = []
                for path in candidates(self._search_path):
                    with contextlib.suppress(LoadError):  # nobody asked for this one
                        found.append(await self._look_at(path))
                self._known = tuple({each.path: each for each in (*named, *found)}.values())
            return self._known

    async def _look_at(self, path: str) -> Interpreter:
        seen = self._seen.get(path)
        if seen is None:
            seen = self._seen[path] = await look_at(path)
        return seen


async def look_at(path: str) -> Interpreter:
    """What the interpreter says of itself. Raises LoadError(ENVIRONMENT_BROKEN)."""
    command, variables = (path, "-I", "-S", "-c", _LOOK), {"PATH": os.path.dirname(path)}
    lines = await told_by(command, variables, LOOK_S, functools.partial(_unusable, path))
    if len(lines) != 3:
        raise _unusable(path, "it is no Python 3")
    return msgspec.convert(dict(zip(("path", "version", "platform"), lines, strict=True)), Interpreter)


def candidates(search_path: str) -> Iterable[str]:
    """What is called pythonX.Y in the folders of a PATH. Of pyenv not its launchers, but what they would start."""
    for folder in dict.fromkeys(filter(None, search_path.split(os.pathsep))):
        path = Path(folder)
        if path.name == "shims" and (path.parent / "versions").is_dir():
            yield from _in_folders(sorted((path.parent / "versions").glob("*/bin")))
        else:
            yield from _in_folders([path])


def _in_folders(folders: Iterable[Path]) -> Iterable[str]:
    for folder in folders:
        try:
            names = sorted(entry.name for entry in folder.iterdir() if _NAME.fullmatch(entry.name))
        except OSError:
            continue
        yield from (str(folder / name) for name in names if os.access(folder / name, os.X_OK))


def _unusable(path: str, reason: str) -> LoadError:
    return LoadError(
        Code.ENVIRONMENT_BROKEN,
        f"The interpreter {path} cannot be used: {reason}.",
        fix="Correct `python` under [environment] in model.toml, or the setting `interpreters`.",
    )
