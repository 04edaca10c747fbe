"""The store's twin in memory: the same promises but for the disk. For tests, and for servers that need not remember."""

from __future__ import annotations

import threading

import msgspec

from salver.errors import Code, SalverError
from salver.store.base import AuditLine, KeyRecord
from salver.store.chain import chained, first_broken


class MemoryStore:
    """Keeps everything in dictionaries; safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, KeyRecord] = {}
        self._lines: list[AuditLine] = []
        self._values: dict[str, str] = {}

    def add_key(self, record: KeyRecord) -> None:
        with self._lock:
            if record.id in self._keys:
                raise SalverError(Code.CONFLICT, f"There is already a key with the id {record.id}.")
            self._keys[record.id] = record

    def keys(self) -> tuple[KeyRecord, ...]:
        with self._lock:
            return tuple(sorted(self._keys.values(), key=lambda record: (record.created_at, record.id)))

    def revoke_key(self, id: str, at: float) -> KeyRecord | None:
        with self._lock:
            record = self._keys.get(id)
            if record is None or record.revoked_at is not None:
                return record
            self._keys[id] = msgspec.structs.replace(record, revoked_at=at)
            return self._keys[id]

    def append_audit(self, line: AuditLine) -> AuditLine:
        with self._lock:
            self._lines.append(chained(line, self._lines[-1] if self._lines else None))
            return self._lines[-1]

    def audit(self, limit: int) -> tuple[AuditLine, ...]:
        with self._lock:
            return tuple(reversed(self._lines[-limit:]))

    def check_audit(self) -> int | None:
        with self._lock:
            return first_broken(self._lines)

    def get_value(self, name: str) -> str | None:
        with self._lock:
            return self._values.get(name)

    def set_value(self, name: str, value: str) -> None:
        with self._lock:
            self._values[name] = value

    def close(self) -> None:
        """Nothing to let go of."""
