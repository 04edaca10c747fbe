"""Keys changed in the store itself, for when no server runs. Every change is in the audit log, as it is on a server."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from salver.access.administration import Administration
from salver.access.audit import AuditEvent, audit_line
from salver.access.permit import local_admin
from salver.operations.access import KEYS_CREATE, KEYS_REVOKE
from salver.store.base import Store
from salver.wire.native.documents import KeyDocument
from salver.wire.native.views import key_document


class StoredKey(msgspec.Struct, frozen=True):
    """A new key and what is told of it."""

    key: str
    record: KeyDocument


class StoredKeys:
    """The user who owns the data directory is its admin, as at a server's Unix socket."""

    def __init__(self, store: Store, uid: int) -> None:
        self._store = store
        self._principal = local_admin(uid)
        self._administration = Administration(store)

    def create_key(
        self,
        label: str,
        role: str,
        *,
        models: Sequence[str],
        expires_in_days: float | None,
        requests_per_second: float | None,
    ) -> StoredKey:
        """Raises RequestError(INVALID_INPUT)."""
        text, record = self._administration.create_key(
            self._principal,
            label=label,
            role=role,
            models=tuple(models),
            expires_in_days=expires_in_days,
            requests_per_second=requests_per_second,
        )
        self._audit(KEYS_CREATE.name, f"key {record.id}, role {role}, label {label}")
        return StoredKey(text, key_document(record))

    def keys(self) -> tuple[KeyDocument, ...]:
        return tuple(map(key_document, self._administration.keys()))

    def revoke_key(self, id: str) -> KeyDocument:
        """Raises RequestError(INVALID_INPUT) when there is no such key."""
        record = self._administration.revoke_key(id)
        self._audit(KEYS_REVOKE.name, f"key {id}")
        return key_document(record)

    def _audit(self, operation: str, detail: str) -> None:
        event = AuditEvent(principal=self._principal.id, operation=operation, outcome="OK", peer="local", detail=detail)
        self._store.append_audit(audit_line(event, time.time()))
