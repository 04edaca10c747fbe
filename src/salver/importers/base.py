"""What another server was set up to serve, in our words, and what became of all that it said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from salver.errors import Code, LoadError, StartupError
from salver.models.foreign.base import Fate, Remark
from salver.models.manifest import Manifest
from salver.types import VersionPolicy

__all__ = ["Fate", "Imported", "ImportedModel", "ImportedVersion", "Importer", "Problem", "Remark", "Surroundings"]


class Problem(msgspec.Struct, frozen=True):
    """Why a model, or one of its versions, is not served here."""

    message: str
    fix: str

    @classmethod
    def of(cls, error: LoadError | StartupError) -> Problem:
        return cls(error.message, error.fix)


class ImportedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version: its file or folder, and what is to stand in its model.toml."""

    number: int
    path: Path
    manifest: Manifest = Manifest()
    problem: Problem | None = None


class ImportedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model with all that was said of it."""

    name: str
    versions: tuple[ImportedVersion, ...] = ()
    files: tuple[Path, ...] = ()
    """Files beside its versions that every one of them needs."""
    policy: VersionPolicy | None = None
    """None: the usual one, the highest version."""
    labels: dict[str, int] = {}
    remarks: tuple[Remark, ...] = ()
    problem: Problem | None = None
    """Why nothing of it is served."""

    @property
    def served(self) -> tuple[ImportedVersion, ...]:
        return () if self.problem else tuple(version for version in self.versions if version.problem is None)

    @property
    def is_whole(self) -> bool:
        return bool(self.versions) and len(self.served) == len(self.versions)


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """A whole set-up. `settings` are values by the names of our settings."""

    server: str
    source: str
    models: tuple[ImportedModel, ...] = ()
    settings: dict[str, Any] = {}
    remarks: tuple[Remark, ...] = ()
    """Of what is about the server, not about one model."""

    @property
    def missed(self) -> tuple[Remark, ...]:
        """Everything that does not hold here and that somebody may miss."""
        remarks = (*self.remarks, *(remark for model in self.models for remark in model.remarks))
        return tuple(remark for remark in remarks if remark.fate is Fate.UNSUPPORTED)


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What an importer may look at besides the source."""

    scratch: Path
    """Where archives are unpacked to be looked at; it goes afterwards."""
    root: Path | None = None
    """Where the paths of the file lie on this machine: a container's file system."""
    environment: dict[str, str] = {}
    files: Mapping[str, Path] = {}
    """Files that belong to the set-up and that nothing in it names, by the flag that the original names them with."""

    def place(self, path: str, beside: Path) -> Path | None:
        """What a path of the file means here: below the root, as it is, beside the file, or by its last name there."""
        text = path.removeprefix("file://")
        inside = [] if self.root is None else [self.root / text.lstrip("/")]
        choices = [*inside, beside / text, beside / Path(text).name]  # `/` with an absolute path is that path
        return next((choice for choice in choices if choice.exists()), None)


class Importer(Protocol):
    """One server's importer: a module with these two."""

    def fits(self, path: Path) -> bool:
        """Whether the path is a set-up of this server."""

    def read(self, path: Path, around: Surroundings) -> Imported:
        """Raises LoadError, or StartupError for a file that cannot be understood."""


def unreadable(path: Path, why: str, fix: str) -> StartupError:
    return StartupError(Code.SETTINGS_INVALID, f"{path}: {why}", fix=fix)
