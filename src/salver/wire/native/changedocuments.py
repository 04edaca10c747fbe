"""The JSON documents of the addresses that change what is served."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from salver.types import PolicyKind, Preserve, VersionState
from salver.wire.native.documents import ModelDocument, Moment

Whole: TypeAlias = Annotated[int, msgspec.Meta(le=2**63 - 1)]
"""A number that every part of the server can hold."""


class VersionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version is meant."""

    version: Whole


class LoadRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version is to be tried again; null: each that has failed."""

    version: Whole | None = None


class RouteRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights by version. `sticky` keeps a caller with one version: `principal`, or `header:NAME`."""

    weights: dict[Whole, Whole]
    sticky: str = ""


class ScaleRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of the scale; what is left out stays."""

    replicas: Whole | msgspec.UnsetType | None = msgspec.UNSET
    min_replicas: Whole | msgspec.UnsetType = msgspec.UNSET
    max_replicas: Whole | msgspec.UnsetType | None = msgspec.UNSET
    on_demand: bool | msgspec.UnsetType = msgspec.UNSET
    idle_unload_s: float | msgspec.UnsetType | None = msgspec.UNSET
    pinned: bool | msgspec.UnsetType = msgspec.UNSET


class PolicyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which versions are loaded: the latest `count`, the `versions` that are named, or all."""

    policy: PolicyKind
    count: Whole = 1
    versions: tuple[Whole, ...] = ()
    preserve: Preserve = Preserve.AVAILABILITY


class FailureDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Why a version cannot be loaded; it is not tried again until somebody asks."""

    code: str
    message: str
    fix: str
    exception: str
    log_tail: tuple[str, ...]
    at: Moment


class StoredVersionDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One version, loaded or not; `state` is null when it is not. One of the command line has no digest."""

    version: int
    state: VersionState | None
    default: bool
    labels: tuple[str, ...]
    weight: int
    source: str
    digest: str
    size_bytes: int
    created_at: Moment | None
    created_by: str
    failure: FailureDocument | None
    reason: str


class VersionsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A model's versions, highest first."""

    model: str
    revision: int
    versions: tuple[StoredVersionDocument, ...]


class OutcomeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or with `plan` would be; `now` is how the model stands, null when nothing is left of it."""

    model: str
    version: int | None
    digest: str
    plan: bool
    steps: tuple[str, ...]
    warnings: tuple[str, ...]
    revision: int
    settled: bool
    now: ModelDocument | None
