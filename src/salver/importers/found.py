"""Looks with the server's own eyes at what a set-up names: which models it would serve, and why not others."""

from __future__ import annotations

import itertools
from pathlib import Path

from salver.errors import LoadError, StartupError
from salver.importers.base import ImportedVersion, Problem
from salver.models.discovery import discover
from salver.models.sources import ModelSource


def sources(path: Path, scratch: Path) -> tuple[dict[str, list[ModelSource]], dict[str, Problem]]:
    """By name the versions that would be served, and by path why others would not."""
    try:
        found = discover([str(path)], scratch, has_all_versions=True)
    except (LoadError, StartupError) as error:
        return {}, {str(path): Problem.of(error)}
    models = sorted(found.models, key=lambda source: source.id)
    by_name = {name: list(group) for name, group in itertools.groupby(models, lambda source: source.name)}
    return by_name, {failure.source: Problem.of(failure.error) for failure in found.failures}


def version_of(source: ModelSource) -> ImportedVersion:
    """A version that is served from where it lies."""
    return ImportedVersion(number=source.version, path=Path(source.source))
