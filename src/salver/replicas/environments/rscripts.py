"""The R of this machine: those that the settings name, else the one on the PATH."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Mapping, Sequence

import msgspec

from salver.errors import Code, LoadError
from salver.replicas.environments.base import Interpreter
from salver.replicas.environments.looking import told_by

LOOK_S = 60.0
"""How long R may take to say what it is, or what it has."""
_LOOK = r'cat(sprintf("%s\n", c(as.character(getRversion()), R.version$platform, R.home("bin"))), sep = "")'
_LIST = r'found <- installed.packages(); cat(sprintf("%s\t%s\n", found[, "Package"], found[, "Version"]), sep = "")'


class _Look(msgspec.Struct, frozen=True):
    interpreter: Interpreter
    home: str
    """The folder of R's programs."""


class Rscripts:
    """Looks at each once; what is installed is asked anew each time, since people install."""

    def __init__(self, configured: Sequence[str], variables: Mapping[str, str]) -> None:
        self._configured = tuple(configured)
        self._variables = dict(variables)
        self._seen: dict[str, _Look] = {}

    async def find(self, version: str) -> Interpreter:
        """The first of this version's series, else the first, as the worker chooses. Raises LoadError."""
        search = self._variables.get("PATH")
        named = self._configured or ("Rscript",)
        found = [path for path in (shutil.which(name, path=search) for name in named) if path is not None]
        if not found:
            raise LoadError(
                Code.ENVIRONMENT_BROKEN,
                f"There is no {' or '.join(named)} to run the model with.",
                fix="Install R (Debian: `apt install r-base-core`), or name its Rscript with `r_interpreters`.",
            )
        looks = [(await self._look(path)).interpreter for path in found]
        series = ".".join(version.split(".")[:2])
        return next((each for each in looks if each.series == series), looks[0])

    async def home(self, path: str) -> str:
        """The folder of R's programs."""
        return (await self._look(path)).home

    async def installed(self, path: str, libraries: str) -> dict[str, str]:
        """The versions of all packages that R finds, by name. Raises LoadError."""
        rows = [line.split("\t") for line in await self._ask(path, _LIST, {"R_LIBS": libraries})]
        found: dict[str, str] = {}
        for row in rows:
            if len(row) == 2:
                found.setdefault(row[0], row[1])  # R looks in its libraries in this order
        return found

    async def _look(self, path: str) -> _Look:
        seen = self._seen.get(path)
        if seen is None:
            told = await self._ask(path, _LOOK, {})
            if len(told) != 3:
                raise _unusable(path, "it does not say what it is")
            seen = _Look(Interpreter(path=path, version=told[0], platform=told[1]), told[2])
            self._seen[path] = seen
        return seen

    async def _ask(self, path: str, code: str, variables: Mapping[str, str]) -> list[str]:
        environment = {**self._variables, **variables, "HOME": os.devnull}
        return await told_by((path, "--vanilla", "-e", code), environment, LOOK_S, functools.partial(_unusable, path))


def _unusable(path: str, reason: str) -> LoadError:
    return LoadError(
        Code.ENVIRONMENT_BROKEN,
        f"The R at {path} cannot be used: {reason}.",
        fix="Correct the setting `r_interpreters`, or mend that R.",
    )
