"""What must survive a restart, and the seam behind which it is kept."""

from __future__ import annotations

from typing import Protocol

import msgspec

from salver.types import ModelRoute, Scale, VersionFailure, VersionPolicy


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a key: never the key itself, only its SHA-256 digest. Times are seconds since the epoch."""

    id: str
    label: str
    role: str
    models: tuple[str, ...]
    digest: bytes
    created_at: float
    created_by: str
    expires_at: float | None = None
    revoked_at: float | None = None
    requests_per_second: float | None = None


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the append-only audit table; `digest` chains each row to the one before."""

    sequence: int
    at: float
    principal: str
    operation: str
    scope: str
    decision: str
    """`allowed` or `denied`."""
    outcome: str
    """A Code's value, or `OK`."""
    request_id: str
    peer: str
    detail: str
    digest: str


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What should be served under one name, whole. `revision` counts up with each change."""

    name: str
    policy: VersionPolicy = VersionPolicy()
    labels: dict[str, int] = {}
    route: ModelRoute | None = None
    scale: Scale = Scale()
    stable_history: tuple[int, ...] = ()
    """Versions that had the label `stable` before, the latest last: what a rollback goes back to."""
    is_unloaded: bool = False
    """Whether somebody asked that nothing of it is loaded."""
    revision: int = 1
    updated_at: float
    updated_by: str


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One version that was published into the repository. Its artefact never changes; `failure` may."""

    model: str
    version: int
    digest: str
    """SHA-256 of the artefact, in hexadecimal: its address in the repository."""
    size_bytes: int
    source: str
    created_at: float
    created_by: str
    failure: VersionFailure | None = None


class CatalogueChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change of what should be served: all of it is kept, or nothing."""

    put: tuple[ModelRecord, ...] = ()
    """Models as they stand afterwards; the revision must be the stored one's plus one, 1 for a new one."""
    add: tuple[VersionRecord, ...] = ()
    remove: tuple[tuple[str, int], ...] = ()
    """Versions that are no longer there, by model and number."""
    remove_models: tuple[str, ...] = ()
    """Models of which nothing stays, their versions included."""
    values: dict[str, str] = {}
    """Named values of the server that go with it."""


class Store(Protocol):
    """State that was acknowledged. Every method is one transaction; when it returns, the change survives a power cut.

    Methods block for a disk write: they are called from a thread, never from the prediction path.
    """

    def add_key(self, record: KeyRecord) -> None:
        """Raises SalverError(CONFLICT) when the id exists."""

    def keys(self) -> tuple[KeyRecord, ...]:
        """All keys ever made, revoked and expired ones too, oldest first."""

    def revoke_key(self, id: str, at: float) -> KeyRecord | None:
        """The record as it stands now (a second revocation keeps the first time), or None when there is no such key."""

    def append_audit(self, line: AuditLine) -> AuditLine:
        """Keep the line under the next sequence number and chain its digest to the last one; returns it as stored."""

    def audit(self, limit: int) -> tuple[AuditLine, ...]:
        """The newest lines, newest first."""

    def check_audit(self) -> int | None:
        """The sequence number of the first line whose chain is broken, or None."""

    def get_value(self, name: str) -> str | None:
        """A small named value of the server (for example that the first-run key was made)."""

    def set_value(self, name: str, value: str) -> None: ...

    def models(self) -> tuple[ModelRecord, ...]:
        """What should be served, by name."""

    def versions(self) -> tuple[VersionRecord, ...]:
        """All published versions, by model and number."""

    def change_catalogue(self, change: CatalogueChange) -> None:
        """Raises SalverError(CONFLICT) when a revision is not the next one, or an added version exists."""

    def set_failure(self, model: str, version: int, failure: VersionFailure | None) -> None:
        """Keep why a published version cannot be loaded, or forget it. Does nothing for a version that is not there."""

    def close(self) -> None: ...
