"""The store's twin in memory: the same promises but for the disk. For tests, and for servers that need not remember."""

from __future__ import annotations

import threading

import msgspec

from salver.store import conflicts
from salver.store.base import AuditLine, CatalogueChange, KeyRecord, ModelRecord, VersionRecord
from salver.store.chain import chained, first_broken
from salver.types import VersionFailure


class MemoryStore:
    """Keeps everything in dictionaries; safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, KeyRecord] = {}
        self._lines: list[AuditLine] = []
        self._values: dict[str, str] = {}
        self._models: dict[str, ModelRecord] = {}
        self._versions: dict[tuple[str, int], VersionRecord] = {}

    def add_key(self, record: KeyRecord) -> None:
        with self._lock:
            if record.id in self._keys:
                raise conflicts.key_exists(record.id)
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

    def models(self) -> tuple[ModelRecord, ...]:
        with self._lock:
            return tuple(self._models[name] for name in sorted(self._models))

    def versions(self) -> tuple[VersionRecord, ...]:
        with self._lock:
            return tuple(self._versions[id] for id in sorted(self._versions))

    def change_catalogue(self, change: CatalogueChange) -> None:
        with self._lock:
            gone = set(change.remove_models)
            models = {name: record for name, record in self._models.items() if name not in gone}
            versions = {
                id: record for id, record in self._versions.items() if id[0] not in gone and id not in change.remove
            }
            for model in change.put:
                known = models.get(model.name)
                conflicts.check_revision(model, None if known is None else known.revision)
                models[model.name] = model
            for version in change.add:
                if (version.model, version.version) in versions:
                    raise conflicts.version_exists(version)
                versions[version.model, version.version] = version
            self._models, self._versions = models, versions
            self._values |= change.values

    def set_failure(self, model: str, version: int, failure: VersionFailure | None) -> None:
        with self._lock:
            record = self._versions.get((model, version))
            if record is not None:
                self._versions[model, version] = msgspec.structs.replace(record, failure=failure)

    def close(self) -> None:
        """Nothing to let go of."""
