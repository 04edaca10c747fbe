import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.store.directory import DataDirectory
from salver.store.sql import SqlStore, open_store

CREATE = ("keys", "create", "--label", "web shop", "--role", "user")


@pytest.fixture
def directory(tmp_path) -> DataDirectory:
    """The data directory that the commands of this test use; no server runs on it."""
    return DataDirectory(tmp_path / "data")


@pytest.fixture
def labels(directory) -> Callable[[str | Path], list[str]]:
    """The labels of the keys in a state."""

    def read(location: str | Path = directory.state) -> list[str]:
        store: SqlStore = open_store(location)
        try:
            keys = store.keys()
            return [key.label for key in keys]
        finally:
            store.close()

    return read


def test_a_backup_says_what_is_in_it_and_is_for_its_owner_alone(run, tmp_path, directory):
    run(*CREATE)
    ran = run("state", "backup", "backup.jsonl")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        f"The state in {directory.state} is in backup.jsonl: "
        "1 of api_keys, 1 of audit_lines, 0 of server_values, 0 of models, 0 of model_versions.\n"
    )
    assert stat.S_IMODE((tmp_path / "backup.jsonl").stat().st_mode) == 0o600


def test_a_backup_may_be_made_while_a_server_holds_the_directory(run, directory):
    run(*CREATE)
    with directory.lock():
        store = open_store(directory.state)
        ran = run("state", "backup", "backup.jsonl", "--json")
        store.close()
    assert ran.code == 0
    assert json.loads(ran.out)["rows"]["api_keys"] == 1


def test_a_restored_state_is_that_of_the_backup_and_the_old_one_is_kept(run, directory, labels):
    run(*CREATE)
    run("state", "backup", "backup.jsonl")
    run("keys", "create", "--label", "later")
    ran = run("state", "restore", "backup.jsonl")
    assert (ran.code, ran.err) == (0, "")
    first, second = ran.out.splitlines()
    assert first.startswith(f"The state in {directory.state} is that of backup.jsonl: 1 of api_keys")
    assert labels() == ["web shop"]
    assert labels(Path(second.removeprefix("The state that was there before is kept in ").rstrip("."))) == [
        "web shop",
        "later",
    ]


def test_a_restore_makes_the_data_directory_where_there_is_none(run, tmp_path, labels):
    run(*CREATE)
    run("state", "backup", "backup.jsonl")
    ran = run("state", "restore", "backup.jsonl", "--data-dir", "new", "--json")
    assert json.loads(ran.out)["kept"] is None
    assert labels(tmp_path / "new" / "state.db") == ["web shop"]


def test_a_state_moves_to_postgres_and_back(run, postgres_url, tmp_path, labels):
    run(*CREATE)
    run("state", "backup", "file.jsonl")
    ran = run("state", "restore", "file.jsonl", "--state-url", postgres_url)
    assert ran.code == 0
    assert labels(postgres_url) == ["web shop"]

    run("keys", "create", "--label", "in postgres", "--state-url", postgres_url)
    run("state", "backup", "database.jsonl", "--state-url", postgres_url)
    run("state", "restore", "database.jsonl", "--data-dir", "new")
    assert labels(tmp_path / "new" / "state.db") == ["web shop", "in postgres"]


def test_a_database_can_be_named_by_a_variable(run, postgres_url, monkeypatch, directory):
    monkeypatch.setenv("SALVER_STATE_URL", postgres_url)
    run(*CREATE)
    ran = run("state", "check")
    assert ran.code == 0
    assert "has 1 lines" in ran.out
    assert not directory.state.exists()


def test_a_restore_refuses_while_a_server_holds_the_directory(run, directory, labels):
    run(*CREATE)
    run("state", "backup", "backup.jsonl")
    run("keys", "create", "--label", "later")
    with directory.lock():
        ran = run("state", "restore", "backup.jsonl")
    assert ran.code == 2
    assert "is in use by a server" in ran.err
    assert labels() == ["web shop", "later"]


def test_a_damaged_backup_changes_nothing(run, tmp_path, labels):
    run(*CREATE)
    run("state", "backup", "backup.jsonl")
    run("keys", "create", "--label", "later")
    backup = tmp_path / "backup.jsonl"
    backup.write_text(backup.read_text().replace("web shop", "web shap"))
    ran = run("state", "restore", "backup.jsonl")
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "error: The backup backup.jsonl is damaged: its content does not match its checksum. Nothing was changed.",
        "  fix: Use another backup, or a fresh copy of this one.",
    ]
    assert labels() == ["web shop", "later"]


def test_a_backup_with_a_broken_chain_is_restored_and_said_to_have_one(run, directory, tmp_path):
    import sqlite3
    from contextlib import closing

    run(*CREATE)
    with closing(sqlite3.connect(directory.state)) as connection, connection:
        connection.execute("DROP TRIGGER audit_lines_refuses_update")
        connection.execute("UPDATE audit_lines SET detail = 'forged'")
    run("state", "backup", "backup.jsonl")
    ran = run("state", "restore", "backup.jsonl", "--data-dir", "new")
    assert ran.code == 0
    assert "warning: audit log: line 1 does not follow" in ran.err

    checked = run("state", "check", "--data-dir", "new")
    assert checked.code == 1
    assert "wrong audit log        line 1 does not follow from the one before" in checked.out
    assert "fix: " in checked.out


def test_a_whole_state_is_told_in_three_lines(run, directory):
    run(*CREATE)
    ran = run("state", "check")
    assert ran.code == 0
    first, second, third = ran.out.splitlines()
    assert first == f"ok    database         {directory.state} can be read"
    assert second == "ok    tables           at step 0002"
    assert third.startswith("ok    audit log        has 1 lines, each chained to the one before; last digest ")
    assert all(finding["is_whole"] for finding in json.loads(run("state", "check", "--json").out))


def test_a_damaged_state_is_told_and_can_be_replaced(run, directory, labels):
    run(*CREATE)
    run("state", "backup", "backup.jsonl")
    directory.state.write_bytes(b"no database" * 1000)
    ran = run("state", "check")
    assert ran.code == 1
    assert "wrong database" in ran.out

    assert run("state", "restore", "backup.jsonl").code == 0
    assert labels() == ["web shop"]


@pytest.mark.parametrize("action", ["backup", "check"])
def test_where_no_state_is_nothing_is_made(run, tmp_path, action):
    ran = run("state", action, *(("backup.jsonl",) if action == "backup" else ()))
    assert ran.code == 2
    assert ran.err.startswith(f"error: There is no state in {tmp_path}/data/state.db.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("action", ["backup", "restore", "check"])
def test_each_action_explains_itself(run, action):
    ran = run("state", action, "--help")
    assert ran.code == 0
    assert all(flag in ran.out for flag in ("--data-dir", "--state-url", "--json", "--config"))


def test_no_command_shows_the_databases_password(run, monkeypatch):
    monkeypatch.setenv("SALVER_STATE_URL", "postgresql://salver:secret@127.0.0.1:1/salver")
    for arguments in (["config"], ["config", "--json"], ["state", "check"], ["keys", "list"]):
        ran = run(*arguments)
        assert "127.0.0.1" in ran.out + ran.err
        assert "secret" not in ran.out + ran.err
