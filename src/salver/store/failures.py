"""What a database's own errors mean, in words. Pure."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from salver.errors import Code, SalverError, StartupError

_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_REASONS = (
    ("SQLITE_FULL", "the disk is full", "Make room on the disk, then repeat the request."),
    ("SQLITE_READONLY", "it may not be written to", "Give the server's user the right to write there."),
    ("SQLITE_BUSY", "another program holds it", "Close the other program that has the database open, then repeat."),
    ("SQLITE_IOERR", "the disk reported an error", "Look at the system's log for errors of the disk."),
    ("SQLITE_CANTOPEN", "it could not be opened", "Check that the folder and the file belong to the server's user."),
)
_UNKNOWN = ("", "the database refused", "Look at the server's log for the database's own words.")


def at_startup(error: sa.exc.DBAPIError, path: Path) -> StartupError:
    """Why the database at `path` could not be opened."""
    name = _name(error)
    if name.startswith(_DAMAGE):
        return damaged(path, "it is not a whole SQLite database", log_detail=str(error.orig))
    _, reason, fix = _row(name)
    return StartupError(
        Code.SETTINGS_INVALID,
        f"The state in {path} cannot be used: {reason}.",
        fix=fix,
        log_detail=str(error.orig),
    )


def at_work(error: sa.exc.DBAPIError) -> SalverError:
    """Why an open database did not do what was asked. Nothing of the transaction was kept."""
    name = _name(error)
    if name.startswith(_DAMAGE):
        return SalverError(Code.STATE_DAMAGED, "The server's state is damaged.", log_detail=str(error.orig))
    _, reason, fix = _row(name)
    return SalverError(
        Code.OVERLOADED, f"The server's state cannot be changed now: {reason}.", fix=fix, log_detail=str(error.orig)
    )


def damaged(path: Path, reason: str, *, log_detail: str = "") -> StartupError:
    return StartupError(
        Code.STATE_DAMAGED,
        f"The state in {path} is damaged: {reason}. The server does not start, so that nothing of it is lost.",
        log_detail=log_detail,
    )


def _name(error: sa.exc.DBAPIError) -> str:
    """SQLite's name of the error, such as SQLITE_IOERR_WRITE; empty where the driver gives none."""
    return getattr(error.orig, "sqlite_errorname", "")


def _row(name: str) -> tuple[str, str, str]:
    return next((row for row in _REASONS if name.startswith(row[0])), _UNKNOWN)
