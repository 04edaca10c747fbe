"""What a database's own errors mean, in words. Pure.

SQLite names its errors (SQLITE_FULL), Postgres numbers them (53100); a row knows either by how it begins.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from salver.errors import Code, SalverError, StartupError

RETRY_AFTER_S = 5.0

_AWAY = "08"
"""Postgres' class of connections that failed; also what a connection that broke without a number counts as."""
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "XX001", "XX002", "42P01", "42703")
_CANNOT_BE_REACHED = ("the database cannot be reached", "Repeat the request when the database is back.")
_IS_FULL = ("the disk is full", "Make room on the disk, then repeat the request.")
_IS_READ_ONLY = ("it may not be written to", "Give the server's user the right to write there.")
_IS_HELD = ("another program holds it", "Close the other program that has the database open, then repeat.")
_REASONS = (
    ("SQLITE_FULL", *_IS_FULL),
    ("SQLITE_READONLY", *_IS_READ_ONLY),
    ("SQLITE_BUSY", *_IS_HELD),
    ("SQLITE_IOERR", "the disk reported an error", "Look at the system's log for errors of the disk."),
    ("SQLITE_CANTOPEN", "it could not be opened", "Check that the folder and the file belong to the server's user."),
    (_AWAY, *_CANNOT_BE_REACHED),
    ("57P", *_CANNOT_BE_REACHED),
    ("53100", *_IS_FULL),
    ("53", "the database has no connection or memory to spare", "Raise the database's own limits, then repeat."),
    ("25006", *_IS_READ_ONLY),
    ("42501", *_IS_READ_ONLY),
    ("55P03", *_IS_HELD),
    ("28", "the database does not accept the user or the password", "Correct state_url, or the user's rights."),
    ("3D000", "there is no such database", "Make the database, for example with `createdb`, or correct state_url."),
)
_UNKNOWN = ("", "the database refused", "Look at the server's log for the database's own words.")


def at_startup(error: sa.exc.DBAPIError, where: str | Path) -> StartupError:
    """Why the database could not be opened. Who starts a server may read why the connection failed."""
    name = _name(error)
    if name.startswith(_DAMAGE):
        return damaged(where, "the database itself finds errors in it", log_detail=str(error.orig))
    _, reason, fix = _row(name)
    if name == _AWAY:
        reason, fix = f"{reason} ({_on_one_line(error.orig)})", "Start the database, or correct state_url."
    return StartupError(
        Code.SETTINGS_INVALID,
        f"The state in {where} cannot be used: {reason}.",
        fix=fix,
        log_detail=str(error.orig),
    )


def at_work(error: sa.exc.DBAPIError, *, is_committing: bool = False) -> SalverError:
    """Why an open database did not do what was asked.

    Nothing of the transaction was kept, unless the connection broke while it was committed: then nobody can know.
    """
    name = _name(error)
    if name.startswith(_DAMAGE):
        return SalverError(Code.STATE_DAMAGED, "The server's state is damaged.", log_detail=str(error.orig))
    _, reason, fix = _row(name)
    if is_committing and name.startswith((_AWAY, "57P")):
        reason = "the database went away while the change was being kept, so it may be there or not"
        fix = "Look whether the change is there when the database is back, and repeat it if not."
    return SalverError(
        Code.OVERLOADED,
        f"The server's state cannot be changed now: {reason}.",
        fix=fix,
        retry_after_s=RETRY_AFTER_S,
        log_detail=str(error.orig),
    )


def damaged(where: str | Path, reason: str, *, log_detail: str = "") -> StartupError:
    return StartupError(
        Code.STATE_DAMAGED,
        f"The state in {where} is damaged: {reason}. The server does not start, so that nothing of it is lost.",
        log_detail=log_detail,
    )


def _name(error: sa.exc.DBAPIError) -> str:
    """SQLite's name of the error, such as SQLITE_IOERR_WRITE, or Postgres' number; empty where there is neither."""
    original = error.orig
    name = getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None)
    if name:
        return str(name)
    is_postgres = hasattr(original, "sqlstate")
    return _AWAY if is_postgres and isinstance(error, sa.exc.OperationalError) else ""


def _row(name: str) -> tuple[str, str, str]:
    return next((row for row in _REASONS if name.startswith(row[0])), _UNKNOWN)


def _on_one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())
