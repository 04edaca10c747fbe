"""The state in a SQLite file: how it is made, checked and opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from salver.errors import Code, StartupError
from salver.store import failures, migrations
from salver.store.aside import set_aside
from salver.store.files import move_into_place

BUSY_TIMEOUT_S = 10.0

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit that was acknowledged survives a power cut
    "PRAGMA foreign_keys = ON",
)


class SqliteFile:
    """The database in one file, and the write-ahead log beside it."""

    is_one_file = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    def open(self) -> sa.Engine:
        path = self._path
        with self.in_words():
            if not path.exists():
                _create(path)
            _check_file(path)
            engine = connect(path)
            try:
                with engine.begin() as connection:
                    _check_content(connection, path)
                    _bring_up_to_date(connection, path)
            except BaseException:
                engine.dispose()
                raise
            return engine

    def open_reader(self) -> sa.Engine:
        if not self._path.exists():
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"There is no state in {self._path}.",
                fix="Name the data directory of the server with --data-dir, or its database with --state-url.",
            )
        with self.in_words():
            _check_file(self._path)
        return connect(self._path, is_reader=True)

    def error_in(self, connection: sa.Connection) -> str | None:
        """The thorough check: indexes are compared with their tables too."""
        finding = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one())
        return None if finding == "ok" else finding

    def replace(self, fill: Callable[[sa.Connection], None]) -> Path | None:
        """Built beside, then renamed. The caller holds the data directory: no other program has the file open."""
        with self.in_words():
            fresh = _build(self._path, fill)
            try:
                kept = set_aside(self._path)
                move_into_place(fresh, self._path)
            finally:
                fresh.unlink(missing_ok=True)
        return kept

    @contextmanager
    def in_words(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise failures.at_startup(error, self._path) from error
        except OSError as error:
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"The state in {self._path} cannot be used: {error.strerror}.",
                fix="Check that the folder exists and belongs to the server's user.",
            ) from error


def connect(path: Path, *, is_reader: bool = False) -> sa.Engine:
    """An engine with one connection, for use by one thread at a time, on a file that exists.

    A reader's transaction sees one moment, and neither waits for a writer nor holds one up.
    """

    def open_connection() -> sqlite3.Connection:
        # `isolation_level=None` ends the driver's own transaction control; SQLAlchemy's `begin` event takes its place.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = sa.create_engine("sqlite://", creator=open_connection, poolclass=sa.StaticPool)
    sa.event.listen(engine, "begin", _begin_reading if is_reader else _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    """Take the right to write at once: a transaction that reads first and writes later could be refused in between."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reading(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _create(path: Path) -> None:
    """Make the whole database under another name first, so that an empty file at `path` always means damage."""
    if path.with_name(f"{path.name}-wal").exists():
        raise failures.damaged(path, "its write-ahead log is there, and the database itself is not")
    move_into_place(_build(path, migrations.upgrade), path)


def _build(path: Path, fill: Callable[[sa.Connection], None]) -> Path:
    """A complete database beside `path`, filled in one transaction, and on the disk; nothing when that fails."""
    fresh = path.with_name(f"{path.name}.new")
    _remove_leftovers(fresh)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    engine = connect(fresh)
    try:
        with engine.begin() as connection:
            fill(connection)
    except BaseException:
        engine.dispose()
        _remove_leftovers(fresh)
        raise
    engine.dispose()
    return fresh


def _remove_leftovers(fresh: Path) -> None:
    for leftover in (fresh, *(fresh.with_name(f"{fresh.name}-{kind}") for kind in ("wal", "shm", "journal"))):
        leftover.unlink(missing_ok=True)


def _check_file(path: Path) -> None:
    if path.stat().st_size == 0:
        raise failures.damaged(path, "the file is empty")


def _check_content(connection: sa.Connection, path: Path) -> None:
    """Raises StartupError(STATE_DAMAGED). Reads every page once: 0.12 s for 86 MB in the page cache."""
    finding = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if finding != "ok":
        raise failures.damaged(path, "SQLite's own check finds errors in it", log_detail=finding)


def _bring_up_to_date(connection: sa.Connection, path: Path) -> None:
    revision = migrations.current_revision(connection)
    if revision is None:
        raise failures.damaged(path, "its tables are not those of Salver")
    migrations.check_known(revision, f"The state in {path}")
    if revision != migrations.REVISIONS[-1]:
        migrations.upgrade(connection)
