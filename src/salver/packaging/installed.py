"""Requirements that nobody wrote down: the packages of this interpreter that modules come from, in their versions."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from packaging.version import Version


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """Requirements, and the modules that no package here has."""

    requirements: tuple[str, ...]
    unknown: tuple[str, ...]


def pinned(modules: Iterable[str], packages: Mapping[str, Sequence[str]] | None = None) -> Pinned:
    """The packages that have these modules, each in the version that is installed here."""
    known = importlib.metadata.packages_distributions() if packages is None else packages
    found: set[str] = set()
    unknown = []
    for module in modules:
        owners = known.get(module, ())
        found |= {f"{owner}=={_public(importlib.metadata.version(owner))}" for owner in owners}
        if not owners:
            unknown.append(module)
    return Pinned(requirements=tuple(sorted(found)), unknown=tuple(unknown))


def _public(version: str) -> str:
    """Without the local label of a build, as `+cpu`, that no index has."""
    return Version(version).public
