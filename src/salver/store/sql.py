"""The store on a SQL database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from salver.errors import Code, SalverError, StartupError
from salver.store import failures
from salver.store.base import AuditLine, KeyRecord
from salver.store.chain import chained, first_broken
from salver.store.queries import api_keys, audit_lines, server_values
from salver.store.sqlite import open_database


def open_store(location: str | Path) -> SqlStore:
    """The store at a path or a `sqlite:///` URL; made if there is none. Raises StartupError."""
    return SqlStore(open_database(_path(location)))


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
                raise SalverError(Code.CONFLICT, f"There is already a key with the id {record.id}.") from error

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

    def close(self) -> None:
        """Let go of the file. Whoever uses the store afterwards gets SalverError(SHUTTING_DOWN)."""
        with self._lock:
            self._is_closed = True
            self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """Commits at the end, on the disk; an error undoes all of it and is raised in words."""
        with self._lock:
            if self._is_closed:
                raise SalverError(Code.SHUTTING_DOWN, "The server's state is closed: the server is stopping.")
            try:
                with self._engine.begin() as connection:
                    yield connection
            except sa.exc.DBAPIError as error:
                raise failures.at_work(error) from error


def _path(location: str | Path) -> Path:
    if isinstance(location, Path) or "://" not in location:
        return Path(location)
    url = sa.make_url(location)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"The state cannot be kept in {url.render_as_string(hide_password=True)}.",
            fix="Give the path of a file; this version keeps its state in SQLite.",
        )
    return Path(url.database)
