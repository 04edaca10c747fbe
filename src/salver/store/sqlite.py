"""The state in a SQLite file: how it is made, checked and opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from salver.errors import Code, StartupError
from salver.store import failures, migrations
from salver.store.files import move_into_place

BUSY_TIMEOUT_S = 10.0

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit that was acknowledged survives a power cut
    "PRAGMA foreign_keys = ON",
)


def open_database(path: Path) -> sa.Engine:
    """An engine on the database, made if there is none, checked and brought up to date.

    Raises StartupError: STATE_DAMAGED when it is damaged or newer than this code, SETTINGS_INVALID when out of reach.
    """
    with _in_words(path):
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


def connect(path: Path) -> sa.Engine:
    """An engine with one connection, for use by one thread at a time, on a file that exists."""

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
    sa.event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    """Take the right to write at once: a transaction that reads first and writes later could be refused in between."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _create(path: Path) -> None:
    """Make the whole database under another name first, so that an empty file at `path` always means damage."""
    if path.with_name(f"{path.name}-wal").exists():
        raise failures.damaged(path, "its write-ahead log is there, and the database itself is not")
    fresh = path.with_name(f"{path.name}.new")
    for leftover in (fresh, *(fresh.with_name(f"{fresh.name}-{kind}") for kind in ("wal", "shm", "journal"))):
        leftover.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    engine = connect(fresh)
    try:
        with engine.begin() as connection:
            migrations.upgrade(connection)
    finally:
        engine.dispose()
    move_into_place(fresh, path)


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
    if revision not in migrations.REVISIONS:
        raise StartupError(
            Code.STATE_DAMAGED,
            f"The state in {path} was written by a newer Salver: its tables are at step {revision}, "
            f"and this version knows the steps up to {migrations.REVISIONS[-1]}.",
            fix="Start the newer version again, or restore a backup from before it was installed.",
        )
    if revision != migrations.REVISIONS[-1]:
        migrations.upgrade(connection)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Turns errors of the database and the file system into a StartupError."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise failures.at_startup(error, path) from error
    except OSError as error:
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"The state in {path} cannot be used: {error.strerror}.",
            fix="Check that the folder exists and belongs to the server's user.",
        ) from error
