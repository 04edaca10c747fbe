"""What a store, a backup and a restore need of the database that holds the state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from salver.errors import Code, StartupError
from salver.store.postgres import PostgresDatabase
from salver.store.sqlite import SqliteFile

POSTGRES = ("postgresql", "postgres")


class Database(Protocol):
    """One place where a state can be kept. Making the value touches nothing."""

    @property
    def name(self) -> str:
        """For people, without a password."""

    @property
    def is_one_file(self) -> bool:
        """Whether `replace` can keep the state that was there as it lies."""

    def open(self) -> sa.Engine:
        """For a store: made if there is nothing, checked, brought up to date. Each transaction is alone.

        Raises StartupError: STATE_DAMAGED when damaged or newer than this code, SETTINGS_INVALID when out of reach.
        """

    def open_reader(self) -> sa.Engine:
        """For looking: each transaction sees one moment and holds up nobody. Nothing is made or checked.

        Raises StartupError(SETTINGS_INVALID) when there is no state.
        """

    def error_in(self, connection: sa.Connection) -> str | None:
        """What the database's own check of its pages finds wrong, in its words; None when it finds nothing."""

    def replace(self, fill: Callable[[sa.Connection], None]) -> Path | None:
        """Put a new state in place of what is there: whole, or not at all. `fill` is given a database without tables.

        Returns the file in which the old state lies now, if there was one and it is a file. Raises StartupError.
        """

    def in_words(self) -> AbstractContextManager[None]:
        """Turns errors of the database and the file system into a StartupError."""


def database_at(location: str | Path) -> Database:
    """The database at a path, a `sqlite:///` or a `postgresql://` URL. Raises StartupError(SETTINGS_INVALID)."""
    if isinstance(location, Path) or "://" not in location:
        return SqliteFile(Path(location))
    try:
        url = sa.make_url(location)
    except (sa.exc.ArgumentError, ValueError):
        raise _unusable("a URL that cannot be read") from None  # the error's text may hold a password
    if "@" in (url.host or ""):
        raise _unusable("a URL whose password has an `@` that is not written as `%40`")
    backend = url.drivername.partition("+")[0]
    if backend in POSTGRES and url.database:
        return PostgresDatabase(url)
    if backend == "sqlite" and url.database:
        return SqliteFile(Path(url.database))
    raise _unusable(f"a database of the kind {backend!r}" if url.database else "a URL that names no database")


def _unusable(what: str) -> StartupError:
    return StartupError(
        Code.SETTINGS_INVALID,
        f"The state cannot be kept in {what}.",
        fix="Give state_url as postgresql://user@host/database, or leave it empty for SQLite in the data directory.",
    )
