"""Where versions come from by themselves: what is seen there, and who looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from salver.errors import LoadError
from salver.types import ModelVersion


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One version that a source has, at rest."""

    model: str
    version: int
    fetch: Callable[[Path], Path]
    """Bring it into an empty folder and return where it is; a folder that is served where it lies returns that place.

    Waits for the disk and the network. Raises SourceGone, and LoadError for what is not as it should be.
    """
    stamp: str
    """Another text means other content."""
    source: str
    """Where it is, for people."""

    @property
    def id(self) -> ModelVersion:
        return ModelVersion(self.model, self.version)


class SourceGone(LoadError):
    """The source could not be asked, so nothing is known of what it has: whatever came from it stays."""


class Source(Protocol):
    """Looks, and decides nothing."""

    name: str

    async def look(self) -> tuple[Seen, ...]:
        """All versions that it has now. Raises SourceGone when it cannot be asked: never an empty answer then."""
