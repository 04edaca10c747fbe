"""Which interpreter is meant. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from salver.errors import Code, LoadError
from salver.replicas.environments.base import Interpreter

VERSION = re.compile(r"3\.\d{1,3}(?:\.\d{1,3})?")
"""What a model.toml may say instead of a path; only the first two numbers count."""


def is_version(python: str) -> bool:
    return VERSION.fullmatch(python) is not None


def is_range(python: str) -> bool:
    """Whether it is a range of versions, as `>=3.9`."""
    try:
        return bool(python) and python[0] in "<>=!~" and bool(SpecifierSet(python))
    except InvalidSpecifier:
        return False


def is_found_by_version(python: str) -> bool:
    """Whether an interpreter is chosen among those that are known, and not named."""
    return not python or is_version(python) or is_range(python)


def choose(python: str, own: Interpreter, known: Sequence[Interpreter]) -> Interpreter:
    """The interpreter for a version, a range, or nothing. The server's own goes first, then the order of `known`.

    Of a range the newest is taken where the server's own is not in it. The third number of a version does not count:
    packages do not depend on it. Raises LoadError(ENVIRONMENT_BROKEN) that lists what there is.
    """
    every = [own, *(each for each in known if each.path != own.path)]
    if not python:
        return own
    if is_version(python):
        series = ".".join(python.split(".")[:2])
        found = [each for each in every if each.series == series]
    else:
        ranges = SpecifierSet(_widened(python))
        fitting = [each for each in every if ranges.contains(each.version, prereleases=True)]
        found = fitting if own in fitting else sorted(fitting, key=lambda each: Version(each.version), reverse=True)
    if not found:
        there = ", ".join(dict.fromkeys(each.version for each in every))
        raise LoadError(
            Code.ENVIRONMENT_BROKEN,
            f"The model wants Python {python}, and the interpreters here are {there}.",
            fix="Install one and name it with the setting `interpreters`, as /usr/bin/python3.8.",
        )
    return found[0]


def _widened(python: str) -> str:
    """`==3.10.4` as `==3.10.*`: a third number says with which Python something was made, not which it needs."""
    return re.sub(r"(==|~=)\s*(\d+)\.(\d+)(?:\.\d+)?(?:\.\*)?(?=,|$)", r"==\2.\3.*", python)
