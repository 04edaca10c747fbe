"""The store on a SQL database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from salver.errors import Code, SalverError
from salver.store import conflicts, failures
from salver.store.base import AuditLine, CatalogueChange, KeyRecord, ModelRecord, VersionRecord
from salver.store.chain import chained, first_broken
from salver.store.databases import database_at
from salver.store.queries import api_keys, audit_lines, model_versions, models, server_values
from salver.types import VersionFailure


def open_store(location: str | Path) -> SqlStore:
    """The store at a path, a `sqlite:///` or a `postgresql://` URL; made if there is none. Raises StartupError."""
    return SqlStore(database_at(location).open())


class SqlStore:
    """Each method is one transaction. One thread works at a time; the others wait for it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._is_closed = False

    def add_key(self, record: KeyRecord) -> None:
        with self._transaction() as connection:
            try:
                api_keys.add(connection, record)
            except sa.exc.IntegrityError as error:
                raise conflicts.key_exists(record.id) from error

    def keys(self) -> tuple[KeyRecord, ...]:
        with self._transaction() as connection:
            return api_keys.all_oldest_first(connection)

    def revoke_key(self, id: str, at: float) -> KeyRecord | None:
        with self._transaction() as connection:
            api_keys.revoke(connection, id, at)
            return api_keys.one(connection, id)

    def append_audit(self, line: AuditLine) -> AuditLine:
        with self._transaction() as connection:
            last = next(iter(audit_lines.newest(connection, 1)), None)
            stored = chained(line, last)
            audit_lines.add(connection, stored)
            return stored

    def audit(self, limit: int) -> tuple[AuditLine, ...]:
        with self._transaction() as connection:
            return audit_lines.newest(connection, limit)

    def check_audit(self) -> int | None:
        with self._transaction() as connection:
            return first_broken(audit_lines.all_oldest_first(connection))

    def get_value(self, name: str) -> str | None:
        with self._transaction() as connection:
            return server_values.get(connection, name)

    def set_value(self, name: str, value: str) -> None:
        with self._transaction() as connection:
            server_values.put(connection, name, value)

    def models(self) -> tuple[ModelRecord, ...]:
        with self._transaction() as connection:
            return models.by_name(connection)

    def versions(self) -> tuple[VersionRecord, ...]:
        with self._transaction() as connection:
            return model_versions.by_number(connection)

    def change_catalogue(self, change: CatalogueChange) -> None:
        with self._transaction() as connection:
            for name in change.remove_models:
                models.remove(connection, name)
                model_versions.remove_all(connection, name)
            for id in change.remove:
                model_versions.remove(connection, *id)
            for model in change.put:
                _put_model(connection, model)
            for version in change.add:
                _add_version(connection, version)
            for name, value in change.values.items():
                server_values.put(connection, name, value)

    def set_failure(self, model: str, version: int, failure: VersionFailure | None) -> None:
        with self._transaction() as connection:
            model_versions.set_failure(connection, model, version, failure)

    def close(self) -> None:
        """Let go of the database. Whoever uses the store afterwards gets SalverError(SHUTTING_DOWN)."""
        with self._lock:
            self._is_closed = True
            self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """Commits at the end, on the disk; an error undoes all of it and is raised in words."""
        with self._lock:
            if self._is_closed:
                raise SalverError(Code.SHUTTING_DOWN, "The server's state is closed: the server is stopping.")
            is_committing = False
            try:
                with self._engine.begin() as connection:
                    yield connection
                    is_committing = True
            except sa.exc.DBAPIError as error:
                raise failures.at_work(error, is_committing=is_committing) from error


def _put_model(connection: sa.Connection, record: ModelRecord) -> None:
    stored = models.revision(connection, record.name)
    conflicts.check_revision(record, stored)
    if stored is None:
        models.add(connection, record)
    else:
        models.replace(connection, record)


def _add_version(connection: sa.Connection, record: VersionRecord) -> None:
    try:
        model_versions.add(connection, record)
    except sa.exc.IntegrityError as error:
        raise conflicts.version_exists(record) from error
