"""What another server's file says of a model, in our words, and what became of each of its options."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import msgspec

from salver.errors import Code, LoadError
from salver.models.manifest import Manifest
from salver.models.manifestfile import ManifestFile
from salver.models.manifestrules import first_problem
from salver.models.manifestwords import Problem
from salver.types import VersionPolicy

MAX_BYTES = 8 * 1024 * 1024
"""Of one such file."""


class Fate(enum.Enum):
    """What becomes of an option. The value is its name in reports."""

    MAPPED = "mapped"
    """It holds here."""
    NEEDLESS = "needless"
    """It does nothing here, and nothing is missing without it."""
    UNSUPPORTED = "unsupported"
    """It does not hold here: somebody may miss it."""


class Remark(msgspec.Struct, frozen=True):
    """One option, what became of it, and as what or why."""

    option: str
    fate: Fate
    text: str


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """One model, as the file beside it declares it."""

    server: str
    """Whose file it is, for people."""
    manifest: Manifest = Manifest()
    version: int | None = None
    """What the file itself says; a numbered folder goes before it."""
    policy: VersionPolicy | None = None
    """Which versions shall be loaded, as long as nobody says otherwise."""
    checks: dict[str, Any] = {}
    """What the worker holds the model to: see ``salver_worker/declared.py``."""
    label_files: dict[str, str] = {}
    """By output, the file with one label on each line."""
    config: dict[str, Any] = {}
    """Triton's file as Triton would show it: what is set, and no more."""
    remarks: tuple[Remark, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What does not hold, for the start of the server."""
        return tuple(
            f"{self.server}'s `{remark.option}` does not hold here: {remark.text}"
            for remark in self.remarks
            if remark.fate is Fate.UNSUPPORTED
        )


class ForeignFile(ManifestFile, frozen=True, kw_only=True):
    """Another server's file in the place of a model.toml: errors name the file, and no line of what is not in it."""

    declared: Declared
    labels: dict[str, tuple[str, ...]]

    def place(self, where: Sequence[str | int]) -> str:
        return self.path

    def error(self, where: Sequence[str | int], text: str, fix: str | None = None) -> LoadError:
        return refused(self.path, text, fix)


def refused(path: str, text: str, fix: str | None = None) -> LoadError:
    return LoadError(Code.MANIFEST_INVALID, f"{path}: {text}", fix=fix or "Correct the file, or write a model.toml.")


def unserved(path: str, what: str, fix: str) -> LoadError:
    """What the file asks for exists, and this release lacks it."""
    return LoadError(Code.FORMAT_UNKNOWN, f"{path} asks for {what}, which is not part of this release", fix=fix)


def broken_rule(declared: Declared) -> Problem | None:
    """What its manifest says that no model.toml may say: a file outside of its folder, say."""
    return first_problem(declared.manifest)


def with_artifact(declared: Declared, artifact: str) -> Declared:
    """The same model, kept in another file of its version's folder."""
    return msgspec.structs.replace(declared, manifest=msgspec.structs.replace(declared.manifest, artifact=artifact))
