"""SQLite on a disk that is full, may not be written to, or is held by another program, and then well again."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from salver.errors import Code, SalverError
from salver.store.base import AuditLine, CatalogueChange, KeyRecord, ModelRecord, VersionRecord
from salver.store.sql import SqlStore
from salver.store.sqlite import SqliteFile

MakeKey = Callable[..., KeyRecord]
MakeLine = Callable[..., AuditLine]
MakeModel = Callable[..., ModelRecord]
MakeVersion = Callable[..., VersionRecord]
Trouble = Callable[[Path, SqlStore], AbstractContextManager[None]]

NOBODY = 65534


@contextmanager
def full_disk(_path: Path, store: SqlStore) -> Iterator[None]:
    """SQLite is told that no page more can be had, which is what it makes of a full disk."""
    with store._engine.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    yield
    with store._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


@contextmanager
def read_only(_path: Path, store: SqlStore) -> Iterator[None]:
    connection = store._engine.raw_connection()
    connection.cursor().execute("PRAGMA query_only = ON")
    connection.close()
    yield
    connection = store._engine.raw_connection()
    connection.cursor().execute("PRAGMA query_only = OFF")
    connection.close()


@contextmanager
def held(path: Path, _store: SqlStore) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (full_disk, "the disk is full"),
        (read_only, "it may not be written to"),
        (held, "another program holds it"),
    ],
)
def test_trouble_with_the_disk_is_told_and_leaves_all_that_was_acknowledged_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    key: MakeKey,
    line: MakeLine,
    model: MakeModel,
    version: MakeVersion,
    trouble: Trouble,
    reason: str,
) -> None:
    monkeypatch.setattr("salver.store.sqlite.BUSY_TIMEOUT_S", 0.01)
    path = tmp_path / "state.db"
    store = SqlStore(SqliteFile(path).open())
    store.add_key(key("k1"))
    stored = store.append_audit(line())
    published = CatalogueChange(put=(model("before"),), add=(version("before", 1),))
    store.change_catalogue(published)

    big = "x" * 200_000
    changes: tuple[Callable[[], object], ...] = (
        lambda: store.add_key(key("k2", label=big)),
        lambda: store.append_audit(line(detail=big)),
        lambda: store.set_value("value", big),
        lambda: store.change_catalogue(CatalogueChange(put=(model("m"),), add=(version("m", 1, source=big),))),
    )
    with trouble(path, store):
        for change in changes:
            with pytest.raises(SalverError) as refused:
                change()
            assert refused.value.code is Code.OVERLOADED
            assert refused.value.message == f"The server's state cannot be changed now: {reason}."
            assert refused.value.retry_after_s

    assert (store.keys(), store.audit(10), store.get_value("value")) == ((key("k1"),), (stored,), None)
    assert (store.models(), store.versions()) == (published.put, published.add)
    for change in changes:
        change()
    assert len(store.keys()) == len(store.audit(10)) == len(store.models()) == len(store.versions()) == 2
    assert store.check_audit() is None
    store.close()


def test_a_file_that_the_servers_user_may_not_write_to_is_told_at_the_start() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.db"
        SqliteFile(path).open().dispose()
        path.chmod(0o644)
        Path(folder).chmod(0o755)
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            with pytest.raises(SalverError) as refused:
                SqliteFile(path).open()
        finally:
            os.setresuid(0, 0, 0)

    assert refused.value.code is Code.SETTINGS_INVALID
    assert refused.value.message == f"The state in {path} cannot be used: it may not be written to."
