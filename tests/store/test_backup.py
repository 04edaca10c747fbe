"""A state in a file, and put back from it: from each kind of database into each."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from salver.errors import Code, StartupError
from salver.store import migrations
from salver.store.backup import Restored, has_state, restore_backup, write_backup
from salver.store.backupfile import BackupFile
from salver.store.base import AuditLine, CatalogueChange, KeyRecord, ModelRecord, VersionRecord
from salver.store.databases import database_at
from salver.store.inspection import inspect
from salver.store.queries import api_keys
from salver.store.sql import SqlStore, open_store
from salver.types import VersionFailure

MakeKey = Callable[..., KeyRecord]
MakeLine = Callable[..., AuditLine]
MakeModel = Callable[..., ModelRecord]
MakeVersion = Callable[..., VersionRecord]
Fill = Callable[[str], SqlStore]


@pytest.fixture
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Another place of a kind, where no state is yet."""
    numbers = itertools.count()

    def make(kind: str) -> str:
        if kind == "sqlite":
            return str(tmp_path / f"other-{next(numbers)}.db")
        new_postgres_url: Callable[[], str] = request.getfixturevalue("new_postgres_url")
        return new_postgres_url()

    return make


@pytest.fixture
def fill(key: MakeKey, line: MakeLine, model: MakeModel, version: MakeVersion) -> Iterator[Fill]:
    """Opens a store and puts something of everything into it."""
    stores = []

    def make(location: str) -> SqlStore:
        store = open_store(location)
        stores.append(store)
        store.add_key(key("k1", digest=bytes(range(256)), created_at=1000.123456789, expires_at=0.1 + 0.2))
        store.add_key(key("k2", label="Größe\n'x'", models=("iris", "wein"), requests_per_second=5.0))
        for number in range(3):
            store.append_audit(line(f"line {number} ü 😀", at=1000 + number / 3))
        store.set_value("a", "1\n2")
        failure = VersionFailure(code="LOAD_FAILED", message="\x00", log_tail=("x",))
        store.change_catalogue(
            CatalogueChange(
                put=(model(labels={"stable": 2}, is_unloaded=True), model("b")),
                add=(version("iris", 1), version("iris", 2**62, failure=failure)),
            )
        )
        return store

    yield make
    for store in stores:
        store.close()


def content(store: SqlStore) -> tuple[object, ...]:
    return store.keys(), store.audit(10_000), store.models(), store.versions(), store.get_value("a")


def content_at(location: str) -> tuple[object, ...]:
    store = open_store(location)
    try:
        return content(store)
    finally:
        store.close()


def restored(location: str, backup: Path) -> Restored:
    return restore_backup(database_at(location), backup, keep_in=backup.parent)


def refusal(act: Callable[[], object]) -> StartupError:
    with pytest.raises(StartupError) as refused:
        act()
    return refused.value


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_state_comes_back_whole_in_either_kind_of_database(
    location: str, other: Callable[[str], str], fill: Fill, tmp_path: Path, kind: str
) -> None:
    store = fill(location)
    header = write_backup(database_at(location), tmp_path / "backup.jsonl")
    target = other(kind)
    result = restored(target, tmp_path / "backup.jsonl")

    assert result == Restored(header=header, kept=None)
    assert header.rows == {"api_keys": 2, "audit_lines": 3, "server_values": 1, "models": 2, "model_versions": 2}
    assert content_at(target) == content(store)
    assert all(finding.is_whole for finding in inspect(database_at(target)))


def test_a_backup_of_a_restored_state_has_the_same_rows(
    location: str, other: Callable[[str], str], fill: Fill, tmp_path: Path
) -> None:
    fill(location)
    place = location
    for number, kind in enumerate(("sqlite", "postgres", "sqlite")):
        backup = tmp_path / f"{number}.jsonl"
        write_backup(database_at(place), backup)
        place = other(kind)
        restored(place, backup)

    rows = [(tmp_path / f"{number}.jsonl").read_text().splitlines()[1:-1] for number in range(3)]
    assert sorted(rows[0]) == sorted(rows[1]) == sorted(rows[2])


def test_a_restored_state_goes_on_where_the_old_one_was(
    location: str, other: Callable[[str], str], fill: Fill, tmp_path: Path, line: MakeLine
) -> None:
    fill(location)
    write_backup(database_at(location), tmp_path / "backup.jsonl")
    target = other("postgres" if location.endswith(".db") else "sqlite")
    restored(target, tmp_path / "backup.jsonl")

    store = open_store(target)
    assert store.append_audit(line()).sequence == 4
    assert store.check_audit() is None
    store.close()


def test_an_empty_state_can_be_kept_and_restored(location: str, tmp_path: Path) -> None:
    open_store(location).close()
    header = write_backup(database_at(location), tmp_path / "backup.jsonl")
    restored(location, tmp_path / "backup.jsonl")

    assert set(header.rows.values()) == {0}
    assert content_at(location) == ((), (), (), (), None)


def test_a_large_state_is_not_read_at_once_and_comes_back(
    location: str, other: Callable[[str], str], tmp_path: Path, line: MakeLine
) -> None:
    store = open_store(location)
    for number in range(1100):
        store.append_audit(line(f"line {number}"))
    before = content(store)
    store.close()
    write_backup(database_at(location), tmp_path / "backup.jsonl")
    target = other("sqlite")
    restored(target, tmp_path / "backup.jsonl")

    store = open_store(target)
    assert store.audit(10_000) == before[1]
    assert store.check_audit() is None
    store.close()


def test_a_backup_is_of_one_moment_while_a_server_goes_on(
    location: str, other: Callable[[str], str], tmp_path: Path, model: MakeModel, version: MakeVersion
) -> None:
    """Each change makes a model and its version; no backup has one without the other, or a gap."""
    store = open_store(location)
    is_over = threading.Event()

    def write() -> None:
        for number in itertools.count():
            if is_over.is_set():
                return
            name = f"m{number}"
            store.change_catalogue(CatalogueChange(put=(model(name),), add=(version(name, 1),)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        headers = [write_backup(database_at(location), tmp_path / f"{number}.jsonl") for number in range(4)]
    finally:
        is_over.set()
        writer.join()
        store.close()

    for number, header in enumerate(headers):
        target = other("sqlite")
        restored(target, tmp_path / f"{number}.jsonl")
        copy = open_store(target)
        models, versions = copy.models(), copy.versions()
        copy.close()
        assert header.rows["models"] == header.rows["model_versions"] == len(models)
        assert {record.name for record in models} == {record.model for record in versions}
        assert {record.name for record in models} == {f"m{index}" for index in range(len(models))}


def test_a_backup_waits_for_no_writer_and_no_writer_for_it(
    location: str, tmp_path: Path, fill: Fill, key: MakeKey
) -> None:
    store = fill(location)
    with store._engine.begin() as connection:
        api_keys.add(connection, key("k3"))
        header = write_backup(database_at(location), tmp_path / "backup.jsonl")

    assert header.rows["api_keys"] == 2
    assert len(store.keys()) == 3


def test_a_backup_is_for_its_owner_alone_and_takes_no_other_files_place(
    location: str, tmp_path: Path, fill: Fill
) -> None:
    fill(location)
    backup = tmp_path / "backup.jsonl"
    write_backup(database_at(location), backup)
    before = backup.read_bytes()

    error = refusal(lambda: write_backup(database_at(location), backup))

    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert error.message == f"The backup {backup} cannot be written: it is there already."
    assert backup.read_bytes() == before


def test_a_backup_that_cannot_be_written_leaves_nothing(location: str, tmp_path: Path, fill: Fill) -> None:
    fill(location)

    error = refusal(lambda: write_backup(database_at(location), tmp_path / "missing" / "backup.jsonl"))

    assert "cannot be written: No such file or directory." in error.message
    assert list(tmp_path.glob("**/*.new")) == []


def test_what_is_no_state_has_no_backup(tmp_path: Path, postgres_url: str) -> None:
    for location in (str(tmp_path / "state.db"), postgres_url):
        refusal(lambda location=location: write_backup(database_at(location), tmp_path / "backup.jsonl"))

    assert list(tmp_path.iterdir()) == []


# Restoring over a state that is there


def test_the_old_file_is_kept_and_can_be_opened(tmp_path: Path, fill: Fill, key: MakeKey) -> None:
    location = str(tmp_path / "state.db")
    store = fill(location)
    write_backup(database_at(location), tmp_path / "backup.jsonl")
    before = content(store)
    store.add_key(key("k3"))
    after = content(store)
    store.close()

    result = restored(location, tmp_path / "backup.jsonl")

    assert result.kept is not None
    assert content_at(location) == before
    assert content_at(str(result.kept)) == after
    assert {path.name for path in tmp_path.iterdir()} == {"state.db", "backup.jsonl", result.kept.name}


def test_the_old_state_of_a_killed_server_is_kept_with_its_log(tmp_path: Path, fill: Fill) -> None:
    """What is only in the write-ahead log is neither lost nor taken for the new state's."""
    location = str(tmp_path / "state.db")
    fill(location).close()
    write_backup(database_at(location), tmp_path / "backup.jsonl")
    before = content_at(location)
    program = (
        "import os, signal, sys; from salver.store.sql import open_store; store = open_store(sys.argv[1]); "
        "store.set_value('a', 'in the log'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, location], check=False)
    assert (tmp_path / "state.db-wal").stat().st_size > 0

    result = restored(location, tmp_path / "backup.jsonl")

    assert content_at(location) == before
    assert content_at(str(result.kept))[-1] == "in the log"


@pytest.mark.parametrize("content_of_old", [b"", b"no database" * 1000])
def test_a_damaged_file_is_kept_as_it_is(tmp_path: Path, fill: Fill, content_of_old: bytes) -> None:
    location = str(tmp_path / "state.db")
    fill(location).close()
    before = content_at(location)
    write_backup(database_at(location), tmp_path / "backup.jsonl")
    Path(location).write_bytes(content_of_old)
    (tmp_path / "state.db-wal").write_bytes(b"its log")

    result = restored(location, tmp_path / "backup.jsonl")

    assert content_at(location) == before
    assert result.kept is not None
    assert result.kept.read_bytes() == content_of_old
    assert Path(f"{result.kept}-wal").read_bytes() == b"its log"


def test_a_log_without_its_database_is_kept_too(tmp_path: Path, fill: Fill) -> None:
    location = str(tmp_path / "state.db")
    fill(location).close()
    write_backup(database_at(location), tmp_path / "backup.jsonl")
    before = content_at(location)
    Path(location).rename(tmp_path / "state.db-wal")

    result = restored(location, tmp_path / "backup.jsonl")

    assert result.kept is not None
    assert Path(f"{result.kept}-wal").exists()
    assert content_at(location) == before


def test_two_restores_in_one_second_keep_both_files(tmp_path: Path, fill: Fill) -> None:
    location = str(tmp_path / "state.db")
    fill(location).close()
    write_backup(database_at(location), tmp_path / "backup.jsonl")
    kept = {restored(location, tmp_path / "backup.jsonl").kept for _ in range(3)}

    assert len(kept) == 3


def test_the_old_state_in_postgres_is_kept_as_a_backup(
    postgres_url: str, tmp_path: Path, fill: Fill, key: MakeKey
) -> None:
    store = fill(postgres_url)
    write_backup(database_at(postgres_url), tmp_path / "backup.jsonl")
    before = content(store)
    store.add_key(key("k3"))
    after = content(store)
    store.close()

    result = restored(postgres_url, tmp_path / "backup.jsonl")
    assert content_at(postgres_url) == before

    assert result.kept is not None
    restored(postgres_url, result.kept)
    assert content_at(postgres_url) == after


def test_a_database_that_a_server_uses_is_left_alone(postgres_url: str, tmp_path: Path, fill: Fill) -> None:
    store = fill(postgres_url)
    write_backup(database_at(postgres_url), tmp_path / "backup.jsonl")

    error = refusal(lambda: restored(postgres_url, tmp_path / "backup.jsonl"))

    assert error.code is Code.DATA_DIRECTORY_LOCKED
    assert "is in use by a server." in error.message
    assert len(store.keys()) == 2


# Backups that cannot be trusted


def spoiled(spoil: Callable[[list[bytes]], None], backup: Path, *, has_new_end: bool = False) -> Path:
    lines = backup.read_bytes().splitlines(keepends=True)
    spoil(lines)
    if has_new_end:
        digest = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
        lines[-1] = b'{"sha256":"%s"}\n' % digest.encode()
    other = backup.with_name("spoiled.jsonl")
    other.write_bytes(b"".join(lines))
    return other


def change_a_letter(lines: list[bytes]) -> None:
    lines[2] = lines[2].replace(b"local:0", b"local:1")


def take_a_row_out(lines: list[bytes]) -> None:
    del lines[2]


def say_a_row_twice(lines: list[bytes]) -> None:
    lines.insert(2, lines[1])


def cut_the_end_off(lines: list[bytes]) -> None:
    del lines[-1]


def cut_the_last_line(lines: list[bytes]) -> None:
    lines[-1] = lines[-1][:-1]


def put_more_behind(lines: list[bytes]) -> None:
    lines.append(lines[1])


def put_another_table(lines: list[bytes]) -> None:
    lines[2] = b'{"table":"sqlite_master","row":{}}\n'


def put_no_json(lines: list[bytes]) -> None:
    lines[2] = b"\xff\n"


def rename_a_column(lines: list[bytes]) -> None:
    lines[1] = lines[1].replace(b'"label"', b'"lable"')


def spoil_the_digest(lines: list[bytes]) -> None:
    row = json.loads(lines[1])
    row["row"]["digest"] = "no base64!"
    lines[1] = json.dumps(row).encode() + b"\n"


def repeat_an_id(lines: list[bytes]) -> None:
    row = json.loads(lines[2])
    row["row"]["id"] = json.loads(lines[1])["row"]["id"]
    lines[2] = json.dumps(row).encode() + b"\n"


def leave_a_value_out(lines: list[bytes]) -> None:
    row = json.loads(lines[1])
    row["row"]["label"] = None
    lines[1] = json.dumps(row).encode() + b"\n"


def give_an_enormous_number(lines: list[bytes]) -> None:
    index = next(index for index, line in enumerate(lines) if b'"audit_lines"' in line and index)
    row = json.loads(lines[index])
    row["row"]["sequence"] = 2**64 - 1
    lines[index] = json.dumps(row).encode() + b"\n"


@pytest.mark.parametrize(
    ("spoil", "has_new_end"),
    [
        (change_a_letter, False),
        (take_a_row_out, False),
        (take_a_row_out, True),
        (say_a_row_twice, True),
        (cut_the_end_off, False),
        (cut_the_last_line, False),
        (put_more_behind, False),
        (put_another_table, True),
        (put_no_json, True),
        (rename_a_column, True),
        (spoil_the_digest, True),
        (repeat_an_id, True),
        (leave_a_value_out, True),
        (give_an_enormous_number, True),
    ],
)
def test_a_damaged_backup_is_refused_and_changes_nothing(
    location: str, tmp_path: Path, fill: Fill, spoil: Callable[[list[bytes]], None], has_new_end: bool
) -> None:
    fill(location).close()
    before = content_at(location)
    write_backup(database_at(location), tmp_path / "backup.jsonl")
    damaged = spoiled(spoil, tmp_path / "backup.jsonl", has_new_end=has_new_end)

    error = refusal(lambda: restored(location, damaged))

    assert error.code is Code.STATE_DAMAGED
    assert error.message.startswith(f"The backup {damaged} is damaged: ")
    assert error.message.endswith("Nothing was changed.")
    assert content_at(location) == before
    assert not list(tmp_path.glob("*.new*"))


def test_a_damaged_backup_makes_no_state_where_there_was_none(
    location: str, other: Callable[[str], str], tmp_path: Path, fill: Fill
) -> None:
    fill(location).close()
    write_backup(database_at(location), tmp_path / "backup.jsonl")
    damaged = spoiled(cut_the_end_off, tmp_path / "backup.jsonl")

    file, database = other("sqlite"), other("postgres")
    refusal(lambda: restored(file, damaged))
    refusal(lambda: restored(database, damaged))

    assert not Path(file).exists()
    assert not has_state(database_at(database))


@pytest.mark.parametrize("field", [b'"version":1', b'"step":"0002"'])
def test_a_backup_from_a_newer_release_is_refused(tmp_path: Path, fill: Fill, field: bytes) -> None:
    location = str(tmp_path / "state.db")
    fill(location).close()
    before = content_at(location)
    write_backup(database_at(location), tmp_path / "backup.jsonl")

    def make_newer(lines: list[bytes]) -> None:
        assert field in lines[0]
        lines[0] = lines[0].replace(field, field.replace(b"1", b"2").replace(b"0002", b"9999"))

    error = refusal(lambda: restored(location, spoiled(make_newer, tmp_path / "backup.jsonl", has_new_end=True)))

    assert error.code is Code.STATE_DAMAGED
    assert "was written by a newer Salver" in error.message
    assert content_at(location) == before


@pytest.mark.parametrize("content_of_file", [b"", b"{}\n", b'{"format":"x"}\n', b"SQLite format 3\x00", b"\n"])
def test_what_is_no_backup_is_told(tmp_path: Path, content_of_file: bytes) -> None:
    (tmp_path / "file").write_bytes(content_of_file)

    error = refusal(lambda: restored(str(tmp_path / "state.db"), tmp_path / "file"))

    assert error.message == f"The file {tmp_path}/file is not a backup of a state."
    assert not (tmp_path / "state.db").exists()


def test_a_backup_that_is_not_there_is_told(tmp_path: Path) -> None:
    error = refusal(lambda: restored(str(tmp_path / "state.db"), tmp_path / "missing"))

    assert error.message == f"The backup {tmp_path}/missing cannot be read: No such file or directory."


def test_a_backup_of_an_earlier_step_is_brought_up_to_date(
    location: str, other: Callable[[str], str], tmp_path: Path, key: MakeKey
) -> None:
    def first_step(connection: sa.Connection) -> None:
        migrations.upgrade(connection, "0001")
        api_keys.add(connection, key("k1"))

    database_at(location).replace(first_step)
    header = write_backup(database_at(location), tmp_path / "backup.jsonl")
    target = other("postgres" if location.endswith(".db") else "sqlite")
    restored(target, tmp_path / "backup.jsonl")

    assert (header.step, set(header.rows)) == ("0001", {"api_keys", "audit_lines", "server_values"})
    assert content_at(target) == ((key("k1"),), (), (), (), None)


def test_a_backup_is_lines_of_json_that_anybody_can_read(tmp_path: Path, fill: Fill) -> None:
    location = str(tmp_path / "state.db")
    fill(location)
    write_backup(database_at(location), tmp_path / "backup.jsonl")

    lines = (tmp_path / "backup.jsonl").read_bytes().splitlines(keepends=True)
    header, key_row, end = (json.loads(line) for line in (lines[0], lines[1], lines[-1]))
    assert (header["format"], header["version"], header["step"]) == ("salver-state", 1, migrations.REVISIONS[-1])
    assert (key_row["table"], base64.b64decode(key_row["row"]["digest"])) == ("api_keys", bytes(range(256)))
    assert end == {"sha256": hashlib.sha256(b"".join(lines[:-1])).hexdigest()}
    with BackupFile(tmp_path / "backup.jsonl") as backup:
        assert len(list(backup.rows())) == len(lines) - 2


def test_a_restore_that_is_killed_leaves_the_old_state(tmp_path: Path, fill: Fill) -> None:
    """Killed at the end of the work, before the new file takes the old one's place."""
    location = str(tmp_path / "state.db")
    fill(location).close()
    before = content_at(location)
    write_backup(database_at(location), tmp_path / "backup.jsonl")
    program = (
        "import os, signal, sys; from pathlib import Path; from salver.store import sqlite, backup, databases\n"
        "sqlite.move_into_place = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "backup.restore_backup(databases.database_at(sys.argv[1]), Path(sys.argv[2]), keep_in=Path('.'))"
    )
    done = subprocess.run([sys.executable, "-c", program, location, str(tmp_path / "backup.jsonl")], check=False)

    assert done.returncode == -9
    assert content_at(location) == before
    (kept,) = tmp_path.glob("state.db.before-restore-*")
    assert os.path.samefile(kept, location)
    restored(location, tmp_path / "backup.jsonl")
    assert content_at(location) == before
