"""What a change of a model's life begins and ends with."""

from __future__ import annotations

import msgspec

from salver.models.planning import Plan
from salver.types import ModelStatus, VersionFailure, VersionState


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with every change: of which model, by whom, and whether it is to be made."""

    model: str
    by: str
    is_plan: bool = False
    revision: int | None = None
    """The latest one that whoever asks has seen; None: whatever it is."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or would be, and how the model stands now.

    A change that was made is kept, whether its version could be loaded or not: the states in `now` say that.
    """

    model: str
    version: int | None
    """The version that the change is about, where it is about one."""
    is_plan: bool
    """Whether this only says what would be done."""
    plan: Plan
    revision: int
    """Of the model's record; counts its changes. 0: nobody changed it yet, or nothing is left of it."""
    digest: str = ""
    """Of that version's artefact, where the repository has it."""
    is_settled: bool = False
    """Whether every version that is wanted serves or has failed."""
    now: ModelStatus | None = None
    """None: nothing is left of it."""


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a model, loaded or not: where it comes from, and what it is there for."""

    version: int
    state: VersionState | None
    """None: it is not loaded."""
    is_default: bool
    labels: tuple[str, ...]
    weight: int
    """Its part of the route; 0: none."""
    source: str
    digest: str
    """Empty for a version of the command line: it is served where it lies."""
    size_bytes: int
    created_at: float
    created_by: str
    failure: VersionFailure | None
    reason: str = ""
    """How far its environment is, or why it does not serve; empty when it does, or is not loaded."""


class VersionList(msgspec.Struct, frozen=True, kw_only=True):
    """A model's versions, highest first, loaded or not."""

    model: str
    versions: tuple[StoredVersion, ...]
    revision: int
