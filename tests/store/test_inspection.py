"""What is said of a state that is whole, and of one that is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from postgres_server import PostgresServer
from salver.errors import Code, StartupError
from salver.store import migrations
from salver.store.base import AuditLine
from salver.store.databases import database_at
from salver.store.inspection import Finding, inspect
from salver.store.sql import open_store

MakeLine = Callable[..., AuditLine]


def findings(location: str) -> dict[str, Finding]:
    return {finding.subject: finding for finding in inspect(database_at(location))}


def run_sql(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_whole_state_is_told_with_its_step_and_its_lines(location: str, line: MakeLine) -> None:
    store = open_store(location)
    last = [store.append_audit(line()) for _ in range(3)][-1]
    found = findings(location)  # while the store is open
    store.close()

    assert all(finding.is_whole for finding in found.values())
    assert found["tables"].message == f"at step {migrations.REVISIONS[-1]}"
    assert found["audit log"].message == f"has 3 lines, each chained to the one before; last digest {last.digest}"


def test_an_empty_state_is_whole(location: str) -> None:
    open_store(location).close()

    assert findings(location)["audit log"] == Finding(subject="audit log", is_whole=True, message="is empty")


def test_an_earlier_step_is_whole_and_is_not_changed_by_looking(location: str) -> None:
    database_at(location).replace(lambda connection: migrations.upgrade(connection, "0001"))

    for _ in range(2):
        found = findings(location)["tables"]
        assert (found.is_whole, found.message) == (True, "at step 0001; the next start takes them to step 0002")


def test_a_broken_chain_is_told_by_its_line(location: str, line: MakeLine, request: pytest.FixtureRequest) -> None:
    store = open_store(location)
    for number in range(5):
        store.append_audit(line(f"line {number}"))
    store.close()
    forgery = "UPDATE audit_lines SET detail = 'forged' WHERE sequence = 3"
    if location.endswith(".db"):
        run_sql(Path(location), "DROP TRIGGER audit_lines_refuses_update")
        run_sql(Path(location), forgery)
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        name = str(sa.make_url(location).database)
        postgres.psql(name, f"ALTER TABLE audit_lines DISABLE TRIGGER ALL; {forgery}")

    found = findings(location)["audit log"]
    assert not found.is_whole
    assert found.message.startswith("line 3 does not follow from the one before")


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_a_file_that_is_no_database_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.db").write_bytes(content)

    (found,) = inspect(database_at(tmp_path / "state.db"))
    assert not found.is_whole
    assert "is damaged" in found.message


def test_an_index_that_lost_a_row_is_found(tmp_path: Path, line: MakeLine) -> None:
    """The quick check of each start does not look there."""
    path = tmp_path / "state.db"
    store = open_store(path)
    store.append_audit(line())
    store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE lost (x)")
        connection.execute("CREATE INDEX ix_lost ON lost (x)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE name = 'ix_lost'")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO lost VALUES (1)")

    (found,) = inspect(database_at(path))
    assert not found.is_whole
    assert "is damaged" in found.message


def test_tables_of_another_program_or_a_newer_release_are_told(tmp_path: Path) -> None:
    run_sql(tmp_path / "other.db", "CREATE TABLE cats (name)")
    open_store(tmp_path / "newer.db").close()
    run_sql(tmp_path / "newer.db", "UPDATE alembic_version SET version_num = '9999'")

    assert "are not those of Salver" in findings(str(tmp_path / "other.db"))["tables"].message
    assert "newer Salver" in findings(str(tmp_path / "newer.db"))["tables"].message


def test_a_state_that_is_not_there_cannot_be_looked_at(tmp_path: Path) -> None:
    for location in (str(tmp_path / "state.db"), "postgresql://127.0.0.1:1/salver"):
        with pytest.raises(StartupError) as refused:
            inspect(database_at(location))
        assert refused.value.code is Code.SETTINGS_INVALID
    assert list(tmp_path.iterdir()) == []
