"""Locks in the store: beside the versions that were published, and as long as the state itself."""

from __future__ import annotations

import hashlib

from salver.store.base import Store

REQUEST = "environment.request."
LOCK = "environment.lock."


class StoredLocks:
    """A lock is kept once under its own digest; each request names the one that it got."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def lock(self, request_digest: str) -> str | None:
        digest = self._store.get_value(REQUEST + request_digest)
        return None if digest is None else self._store.get_value(LOCK + digest)

    def keep(self, request_digest: str, text: str) -> str:
        kept = self.lock(request_digest)
        if kept is not None:
            return kept
        self.replace(request_digest, text)
        return text

    def replace(self, request_digest: str, text: str) -> None:
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._store.set_value(LOCK + digest, text)
        self._store.set_value(REQUEST + request_digest, digest)
