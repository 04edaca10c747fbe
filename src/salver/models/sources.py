"""What a command line, or a watched folder, was found to mean: models with their versions, and what is wrong."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from salver.errors import Code, LoadError, StartupError
from salver.models.environmentfiles import EnvironmentWish
from salver.models.foreign.base import Declared, ForeignFile
from salver.models.manifest import Manifest
from salver.models.manifestfile import ManifestFile
from salver.models.recognising.base import Recognition
from salver.types import ModelVersion, VersionPolicy


class ModelSource(msgspec.Struct, frozen=True, kw_only=True):
    """One version that can be served: where it lies, what it is, and how its model.toml wants it."""

    name: str
    version: int
    source: str
    """The path as the user gave it, with what was found below."""
    folder: Path
    """Where files that the manifest names are looked for, absolute."""
    recognition: Recognition
    manifest: Manifest = Manifest()
    manifest_file: ManifestFile | None = None
    details: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    """What the user should know: a name that was changed, a file that is not read."""
    archive_config: Mapping[str, Any] = {}
    """The settings of an archive of TorchServe, which its handler is given whole."""
    wish: EnvironmentWish | None = None
    """What it wants to run in; None: the interpreter as it is."""

    @property
    def id(self) -> ModelVersion:
        return ModelVersion(self.name, self.version)

    @property
    def environment(self) -> str:
        """In what it will run, in words."""
        return self.manifest.environment.python or "the server's Python"

    @property
    def foreign(self) -> ForeignFile | None:
        """The file of another server that the manifest was made of."""
        return self.manifest_file if isinstance(self.manifest_file, ForeignFile) else None

    @property
    def declared(self) -> Declared | None:
        """What another server's file says of it."""
        return None if self.foreign is None else self.foreign.declared

    @property
    def policy(self) -> VersionPolicy | None:
        """Which versions are loaded as long as nobody says otherwise; None: the highest."""
        return None if self.declared is None else self.declared.policy

    def worker_manifest(self) -> dict[str, Any]:
        """The `manifest` of the LOAD frame: parts of model.toml, what the artefact tells, a Python file's function."""
        parts = self.manifest.for_worker()
        parts["runtime"] = {**self.recognition.options, **parts["runtime"]}
        if self.declared is not None and self.declared.checks:
            parts["declared"] = self.declared.checks
        if self.recognition.runtime == "function":
            return {**parts, "handler": None, "function": self.recognition.function}
        if self.recognition.runtime == "mar":
            return {**parts, "archive_config": dict(self.archive_config)}
        return parts


class FailedSource(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a folder of models that was meant to be one and cannot be served."""

    source: str
    error: LoadError
    id: ModelVersion | None = None
    """The version that it would be, where that is known."""


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found, models by name and version."""

    models: tuple[ModelSource, ...] = ()
    failures: tuple[FailedSource, ...] = ()
    notes: tuple[str, ...] = ()


def joined(parts: Sequence[Discovery]) -> Discovery:
    """One discovery of several. Raises StartupError(CONFLICT) when two sources claim the same version of a name."""
    models = sorted((model for part in parts for model in part.models), key=lambda model: model.id)
    for one, other in itertools.pairwise(models):
        if one.id == other.id:
            raise _clash(one, other)
    return Discovery(
        models=tuple(models),
        failures=tuple(failure for part in parts for failure in part.failures),
        notes=tuple(note for part in parts for note in part.notes),
    )


def _clash(one: ModelSource, other: ModelSource) -> StartupError:
    message = f"both {one.source} and {other.source} would be version {one.version} of the model {one.name}"
    fix = f"Give one of them another name, as other-name={other.source}, or leave one out."
    return StartupError(Code.CONFLICT, message, fix=fix)
