"""What must survive a restart, and the seam behind which it is kept."""

from __future__ import annotations

from typing import Protocol

import msgspec


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

    def close(self) -> None: ...
