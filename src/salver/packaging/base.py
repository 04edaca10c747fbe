"""What a package is to be, and what it became."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from salver.errors import Code, SalverError
from salver.types import Signature

FORMAT = 1


class PackagingFailed(SalverError):
    """Why there is no package."""

    def __init__(self, message: str, *, fix: str, code: Code = Code.INVALID_INPUT) -> None:
        super().__init__(code, message, fix=fix)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants packed. What is None or empty is found out."""

    path: str
    """As `salver serve` takes it."""
    name: str | None = None
    description: str | None = None
    requirements: tuple[str, ...] = ()
    """Files of requirements, or requirements themselves."""
    lock: Path | None = None
    """A file of exact versions with hashes."""
    python: str = ""
    code: tuple[Path, ...] = ()
    """Files and folders that go along, importable by their names."""
    example: str | None = None
    """A file, or JSON."""
    is_locked: bool = True
    is_checked: bool = True


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`salver.json` of a package. It has no time, no place and no name of a person: equal content is equal."""

    format: int = FORMAT
    name: str
    runtime: str = ""
    signature: Signature | None = None
    """None when the model was not loaded."""
    payload: str | None = None
    requirements: tuple[str, ...] = ()
    """What the lock was resolved from."""
    created_with: dict[str, str] = {}
    proved_with: dict[str, str] | None = None
    """The runtime and the Python that gave the example's answer."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be packed."""

    name: str
    runtime: str
    label: str
    files: tuple[str, ...]
    python: str
    requirements: tuple[str, ...]
    is_locked: bool
    notes: tuple[str, ...] = ()


class Packaged(msgspec.Struct, frozen=True, kw_only=True):
    """A package that was written."""

    path: str
    digest: str
    size_bytes: int
    files: tuple[str, ...]
    packages: int
    """How many the lock has; 0 without one."""
    has_answer: bool
    """Whether the example's answer was recorded."""
    record: Record
    notes: tuple[str, ...] = ()


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What the model showed when it was run."""

    signature: Signature
    payload: str
    runtime_version: str
    python: str
    answer: dict[str, Any] | None
