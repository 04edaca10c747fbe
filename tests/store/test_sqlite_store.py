"""What the store on SQLite promises beyond the rest: the disk, damage, and newer tables."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from salver.errors import Code, SalverError, StartupError
from salver.store.base import AuditLine, KeyRecord
from salver.store.sql import SqlStore, open_store
from salver.store.sqlite import connect

MakeKey = Callable[..., KeyRecord]
MakeLine = Callable[..., AuditLine]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a store that was used and closed."""
    path = tmp_path / "state.db"
    open_store(path).close()
    return path


def run_sql(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def refusal(location: str | Path) -> StartupError:
    with pytest.raises(StartupError) as refused:
        open_store(location)
    return refused.value


def test_everything_is_there_after_a_restart(path: Path, key: MakeKey, line: MakeLine) -> None:
    store = open_store(path)
    store.add_key(key("k1"))
    stored = store.append_audit(line())
    store.set_value("a", "1")
    store.close()

    store = open_store(path)
    assert (store.keys(), store.audit(10), store.get_value("a")) == ((key("k1"),), (stored,), "1")
    assert store.append_audit(line()).sequence == 2
    assert store.check_audit() is None
    store.close()


def test_commits_wait_for_the_disk_and_foreign_keys_are_held(path: Path) -> None:
    engine = connect(path)
    with engine.begin() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()

    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_a_change_of_the_tables_is_undone_with_its_transaction(path: Path) -> None:
    engine = connect(path)
    with engine.connect() as connection, connection.begin() as transaction:
        connection.exec_driver_sql("CREATE TABLE half_done (x)")
        transaction.rollback()
    with engine.begin() as connection:
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    engine.dispose()

    assert "half_done" not in tables


def test_the_file_is_for_its_owner_alone(path: Path, key: MakeKey) -> None:
    store = open_store(path)
    store.add_key(key("k1"))

    modes = {stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    store.close()
    assert modes == {0o600}


def test_a_closed_store_leaves_one_file(path: Path) -> None:
    assert [found.name for found in path.parent.iterdir()] == ["state.db"]


def test_a_closed_store_says_so(path: Path, key: MakeKey) -> None:
    store = open_store(path)
    store.close()

    with pytest.raises(SalverError) as refused:
        store.add_key(key("k1"))
    assert refused.value.code is Code.SHUTTING_DOWN


@pytest.mark.parametrize("statement", ["UPDATE audit_lines SET detail = 'forged'", "DELETE FROM audit_lines"])
def test_the_audit_table_refuses_changes(path: Path, line: MakeLine, statement: str) -> None:
    store = open_store(path)
    store.append_audit(line())
    store.close()

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        run_sql(path, statement)


def test_a_line_changed_behind_the_stores_back_is_found(path: Path, line: MakeLine) -> None:
    store = open_store(path)
    for number in range(5):
        store.append_audit(line(f"line {number}"))
    store.close()
    run_sql(path, "DROP TRIGGER audit_lines_refuses_update")
    run_sql(path, "UPDATE audit_lines SET detail = 'forged' WHERE sequence = 3")

    store = open_store(path)
    assert store.check_audit() == 3
    store.close()


def test_another_program_may_read_meanwhile(path: Path, key: MakeKey) -> None:
    store = open_store(path)
    store.add_key(key("k1"))
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT id FROM api_keys").fetchall() == [("k1",)]
        store.add_key(key("k2"))
    store.close()


def test_a_database_that_another_program_holds_is_named_as_the_reason(
    path: Path, key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salver.store.sqlite.BUSY_TIMEOUT_S", 0.01)
    store = open_store(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SalverError) as refused:
            store.add_key(key("k1"))
        other.execute("ROLLBACK")
    store.add_key(key("k1"))
    store.close()

    assert refused.value.code is Code.OVERLOADED
    assert refused.value.message == "The server's state cannot be changed now: another program holds it."


def test_a_full_disk_is_named_as_the_reason_and_keeps_what_was_there(path: Path, key: MakeKey) -> None:
    engine = connect(path)
    store = SqlStore(engine)
    store.add_key(key("k1"))
    with engine.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(SalverError) as refused:
        store.add_key(key("k2", label="x" * 100_000))

    assert refused.value.message == "The server's state cannot be changed now: the disk is full."
    assert store.keys() == (key("k1"),)
    store.add_key(key("k3"))
    store.close()


@pytest.mark.parametrize("name", ["plain.db", "100% odd?#.db"])
def test_a_store_may_have_any_name(tmp_path: Path, key: MakeKey, name: str) -> None:
    store = open_store(tmp_path / name)
    store.add_key(key("k1"))
    store.close()

    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_a_url_of_sqlite_is_a_path(path: Path, key: MakeKey) -> None:
    store = open_store(f"sqlite:///{path}")
    store.add_key(key("k1"))
    store.close()

    store = open_store(str(path))
    assert store.keys() == (key("k1"),)
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://salver:secret@db/salver",
        "postgresql://salver:secret@db",
        "postgresql://salver:p@secret@db/salver",
        "postgresql://salver:secret@db:x/y",
        "sqlite://",
    ],
)
def test_what_is_no_place_for_a_state_is_refused_without_its_password(url: str) -> None:
    error = refusal(url)

    assert error.code is Code.SETTINGS_INVALID
    assert error.message.startswith("The state cannot be kept in ")
    assert "secret" not in f"{error} {error.log_detail}"


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    assert refusal(path).code is Code.STATE_DAMAGED
    assert path.read_bytes() == content


def test_a_database_cut_short_is_refused(path: Path, key: MakeKey) -> None:
    store = open_store(path)
    for number in range(200):
        store.add_key(key(f"k{number}"))
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])

    error = refusal(path)

    assert error.code is Code.STATE_DAMAGED
    assert "is damaged" in error.message
    assert path.read_bytes() == whole[: len(whole) // 2]


def test_a_database_with_rotten_pages_is_refused(path: Path, key: MakeKey) -> None:
    store = open_store(path)
    for number in range(200):
        store.add_key(key(f"k{number}"))
    store.close()
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 100] = b"\xa5" * 100
    path.write_bytes(content)

    assert refusal(path).code is Code.STATE_DAMAGED


def test_a_log_without_its_database_is_refused(path: Path) -> None:
    path.rename(path.with_name("state.db-wal"))

    error = refusal(path)

    assert error.code is Code.STATE_DAMAGED
    assert not path.exists()


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    run_sql(tmp_path / "other.db", "CREATE TABLE cats (name)")

    assert "its tables are not those of Salver" in refusal(tmp_path / "other.db").message


def test_tables_of_a_newer_version_are_refused_with_words(path: Path) -> None:
    run_sql(path, "UPDATE alembic_version SET version_num = '9999'")

    error = refusal(path)

    assert error.code is Code.STATE_DAMAGED
    assert "was written by a newer Salver: its tables are at step 9999" in error.message
    assert "newer version" in error.fix


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    (tmp_path / "state.db" / "x").touch()

    error = refusal(tmp_path / "state.db")

    assert (error.code, error.message) == (
        Code.SETTINGS_INVALID,
        f"The state in {tmp_path}/state.db cannot be used: it could not be opened.",
    )


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path / "missing" / "state.db")

    assert error.code is Code.SETTINGS_INVALID
    assert "No such file or directory" in error.message


def test_a_start_that_was_killed_while_making_the_database_leaves_nothing_that_matters(tmp_path: Path) -> None:
    (tmp_path / "state.db.new").write_bytes(b"half")
    (tmp_path / "state.db.new-wal").write_bytes(b"half")

    open_store(tmp_path / "state.db").close()

    assert [found.name for found in tmp_path.iterdir()] == ["state.db"]


def test_opening_a_current_store_does_not_load_the_migration_tool(path: Path) -> None:
    program = (
        "import sys; from salver.store.sql import open_store; "
        f"open_store({str(path)!r}).close(); print('alembic' in sys.modules)"
    )

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "False"
