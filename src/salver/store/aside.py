"""Keeping the old SQLite file when another one takes its place, so that a crash at any moment loses neither."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

MAGIC = b"SQLite format 3\0"


def free_name(path: Path, suffix: str = "") -> Path:
    """A name beside `path` that says when, in UTC, and that nothing has yet."""
    stem = f"{path.name}.before-restore-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    names = (path.with_name(f"{stem}{again}{suffix}") for again in ("", *(f"-{number}" for number in range(2, 1000))))
    return next(name for name in names if not name.exists())


def set_aside(path: Path) -> Path | None:
    """Give the database at `path` a second name and take its write-ahead log away; None when nothing is there.

    Afterwards a new file can be renamed to `path`: no log of the old one is left that would be taken for its own.
    """
    log = path.with_name(f"{path.name}-wal")
    if not path.exists() and not log.exists():
        return None
    _put_log_into(path)
    kept = free_name(path)
    for old, new in ((path, kept), (log, kept.with_name(f"{kept.name}-wal"))):
        if old.exists():
            _give_second_name(old, new)
    log.unlink(missing_ok=True)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return kept


def _put_log_into(path: Path) -> None:
    """What the last one who closes a database does. What is none keeps its log, which SQLite would remove."""
    if path.exists() and _begins_as_a_database(path):
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _begins_as_a_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _give_second_name(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:  # not every file system knows second names
        shutil.copyfile(old, new)
        new.chmod(0o600)
