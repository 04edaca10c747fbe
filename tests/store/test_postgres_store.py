"""What the store on Postgres promises beyond the rest: a database that goes away and comes back, and other servers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from postgres_server import PostgresServer
from salver.errors import Code, SalverError, StartupError
from salver.store import migrations
from salver.store import postgres as postgres_module
from salver.store.base import AuditLine, CatalogueChange, KeyRecord, ModelRecord, VersionRecord
from salver.store.postgres import PostgresDatabase
from salver.store.sql import SqlStore, open_store

MakeKey = Callable[..., KeyRecord]
MakeLine = Callable[..., AuditLine]
MakeModel = Callable[..., ModelRecord]
MakeVersion = Callable[..., VersionRecord]


@pytest.fixture
def store(postgres_url: str) -> Iterator[SqlStore]:
    store = open_store(postgres_url)
    yield store
    store.close()


def database_name(url: str) -> str:
    return str(sa.make_url(url).database)


def refusal(url: str) -> StartupError:
    with pytest.raises(StartupError) as refused:
        open_store(url)
    return refused.value


def test_everything_is_there_after_a_restart_of_either(
    postgres: PostgresServer, postgres_url: str, key: MakeKey, line: MakeLine
) -> None:
    store = open_store(postgres_url)
    store.add_key(key("k1"))
    stored = store.append_audit(line())
    store.close()
    postgres.stop("immediate")
    postgres.start()

    store = open_store(postgres_url)
    assert (store.keys(), store.audit(10)) == ((key("k1"),), (stored,))
    assert store.append_audit(line()).sequence == 2
    assert store.check_audit() is None
    store.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_the_database_between_two_calls_is_not_noticed(
    postgres: PostgresServer, store: SqlStore, key: MakeKey, mode: str
) -> None:
    store.add_key(key("k1"))
    postgres.stop(mode)
    postgres.start()

    store.add_key(key("k2"))
    assert store.keys() == (key("k1"), key("k2"))


def test_while_the_database_is_away_every_call_says_so_and_afterwards_every_call_works(
    postgres: PostgresServer,
    store: SqlStore,
    key: MakeKey,
    line: MakeLine,
    model: MakeModel,
    version: MakeVersion,
) -> None:
    change = CatalogueChange(put=(model(),), add=(version(),))
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.add_key(key("k1")),
        lambda: store.append_audit(line()),
        lambda: store.set_value("a", "1"),
        lambda: store.change_catalogue(change),
        lambda: store.set_failure("iris", 1, None),
        store.keys,
        store.models,
        store.versions,
        store.check_audit,
    )
    postgres.stop()
    try:
        for call in calls:
            with pytest.raises(SalverError) as refused:
                call()
            assert refused.value.code is Code.OVERLOADED
            assert refused.value.message == (
                "The server's state cannot be changed now: the database cannot be reached."
            )
            assert refused.value.retry_after_s
    finally:
        postgres.start()

    for call in calls:
        call()
    assert (store.keys(), store.models(), store.versions()) == ((key("k1"),), (model(),), (version(),))
    assert store.check_audit() is None


def test_a_crash_of_the_database_in_the_middle_of_a_change_leaves_nothing_of_it(
    postgres: PostgresServer, store: SqlStore, model: MakeModel, version: MakeVersion
) -> None:
    listener = only_once(lambda statement: "INSERT INTO model_versions" in statement, postgres.stop)
    sa.event.listen(store._engine, "before_cursor_execute", listener)
    try:
        with pytest.raises(SalverError) as refused:
            store.change_catalogue(CatalogueChange(put=(model("a"), model("b")), add=(version("a", 1),)))
    finally:
        postgres.start()

    assert refused.value.code is Code.OVERLOADED
    assert (store.models(), store.versions()) == ((), ())


def test_a_crash_while_a_change_is_kept_leaves_it_open_whether_it_was(
    postgres: PostgresServer, store: SqlStore, model: MakeModel, version: MakeVersion
) -> None:
    listener = only_once(lambda _: True, postgres.stop)
    change = CatalogueChange(put=(model("a"),), add=(version("a", 1),))
    sa.event.listen(store._engine, "commit", lambda connection: listener(connection, None, "COMMIT"))
    try:
        with pytest.raises(SalverError) as refused:
            store.change_catalogue(change)
    finally:
        postgres.start()

    assert refused.value.code is Code.OVERLOADED
    assert "it may be there or not" in refused.value.message
    assert (store.models(), store.versions()) in [((), ()), (change.put, change.add)]


def only_once(is_the_one: Callable[[str], bool], act: Callable[[], None]) -> Callable[..., None]:
    """A listener that acts before the first statement that is the one."""
    acted: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not acted and is_the_one(statement):
            acted.append(statement)
            act()

    return listen


WRITER = """
import sys
from salver.access.audit import AuditEvent, audit_line
from salver.errors import SalverError
from salver.store.sql import open_store
from salver.store.base import CatalogueChange, ModelRecord, VersionRecord

store = open_store(sys.argv[1])
number = 0
for line in sys.stdin:
    number += 1
    name = f"m{number}"
    change = CatalogueChange(
        put=(ModelRecord(name=name, updated_at=0.0, updated_by="x"),),
        add=(VersionRecord(model=name, version=1, digest="d", size_bytes=1, source="", created_at=0.0, created_by=""),),
    )
    try:
        store.change_catalogue(change)
        event = AuditEvent(principal="x", operation="models.publish", outcome="OK", detail=name)
        store.append_audit(audit_line(event, 0.0))
        print(name, flush=True)
    except SalverError as error:
        print(error.code.value, flush=True)
"""


def test_nothing_acknowledged_is_lost_and_nothing_is_half_there_over_many_crashes_of_the_database(
    postgres: PostgresServer, postgres_url: str
) -> None:
    told: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, postgres_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        stdin, stdout = writer.stdin, writer.stdout

        def write(count: int) -> list[str]:
            for _ in range(count):
                stdin.write("go\n")
                stdin.flush()
                told.append(stdout.readline().strip())
            return told[-count:]

        write(1)
        for _ in range(3):
            crash = threading.Thread(target=postgres.stop)
            crash.start()
            while write(1) != ["OVERLOADED"]:
                pass
            crash.join()
            postgres.start()
            assert "OVERLOADED" not in write(20)
        stdin.close()

    acknowledged = {name for name in told if name != "OVERLOADED"}
    store = open_store(postgres_url)
    models = {record.name for record in store.models()}
    versions = {record.model for record in store.versions()}
    lines = {record.detail for record in store.audit(10_000)}
    broken = store.check_audit()
    store.close()
    assert acknowledged <= lines <= models == versions
    assert broken is None


def test_two_servers_may_start_at_once_on_an_empty_database(postgres_url: str, key: MakeKey) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(open_store, [postgres_url] * 4))
    stores[0].add_key(key("k1"))

    assert [store.keys() for store in stores] == [(key("k1"),)] * 4
    for store in stores:
        store.close()


def test_two_servers_on_one_database_keep_one_chain(postgres_url: str, line: MakeLine) -> None:
    stores = [open_store(postgres_url) for _ in range(3)]

    def write(store: SqlStore) -> None:
        for number in range(20):
            store.append_audit(line(f"line {number}"))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, stores))

    assert [each.sequence for each in stores[0].audit(100)] == list(range(60, 0, -1))
    assert stores[0].check_audit() is None
    for store in stores:
        store.close()


def test_of_two_servers_changing_one_model_the_later_one_hears_it(postgres_url: str, model: MakeModel) -> None:
    one, other = open_store(postgres_url), open_store(postgres_url)
    one.change_catalogue(CatalogueChange(put=(model(),)))
    with pytest.raises(SalverError) as refused:
        other.change_catalogue(CatalogueChange(put=(model(updated_by="key:other"),)))
    one.close()
    other.close()

    assert refused.value.code is Code.CONFLICT


def test_a_database_that_another_program_holds_is_named_as_the_reason(
    postgres_url: str, key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "_SESSION", ("SET lock_timeout = '10ms'",))
    store = open_store(postgres_url)
    other = sa.create_engine(postgres_url.replace("postgresql", "postgresql+psycopg"))
    with other.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE api_keys")
        with pytest.raises(SalverError) as refused:
            store.add_key(key("k1"))
    other.dispose()
    store.add_key(key("k1"))
    store.close()

    assert refused.value.message == "The server's state cannot be changed now: another program holds it."


def test_a_database_that_only_reads_is_named_as_the_reason(
    postgres: PostgresServer, postgres_url: str, key: MakeKey
) -> None:
    open_store(postgres_url).close()
    name = database_name(postgres_url)
    store = open_store(postgres_url)
    postgres.psql(name, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    postgres.stop()
    postgres.start()
    with pytest.raises(SalverError) as refused:
        store.add_key(key("k1"))
    store.close()

    assert refused.value.message == "The server's state cannot be changed now: it may not be written to."


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_lines SET detail = 'forged'", "DELETE FROM audit_lines", "TRUNCATE audit_lines"],
)
def test_the_audit_table_refuses_changes(
    postgres: PostgresServer, postgres_url: str, store: SqlStore, line: MakeLine, statement: str
) -> None:
    store.append_audit(line())

    with pytest.raises(AssertionError, match="audit_lines is append-only"):
        postgres.psql(database_name(postgres_url), statement)


def test_a_line_changed_behind_the_stores_back_is_found(
    postgres: PostgresServer, postgres_url: str, store: SqlStore, line: MakeLine
) -> None:
    for number in range(5):
        store.append_audit(line(f"line {number}"))
    name = database_name(postgres_url)
    postgres.psql(name, "ALTER TABLE audit_lines DISABLE TRIGGER audit_lines_refuses_changes")
    postgres.psql(name, "UPDATE audit_lines SET detail = 'forged' WHERE sequence = 3")

    assert store.check_audit() == 3


def test_commits_wait_for_the_disk_even_where_the_database_would_not(
    postgres: PostgresServer, postgres_url: str
) -> None:
    name = database_name(postgres_url)
    postgres.psql(name, f"ALTER DATABASE {name} SET synchronous_commit = off")
    engine = PostgresDatabase(sa.make_url(postgres_url)).open()
    with engine.begin() as connection:
        setting = connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
    engine.dispose()

    assert setting == "on"


def test_a_database_that_is_not_there_is_told_at_the_start_without_a_password(postgres_url: str) -> None:
    error = refusal(postgres_url.replace("salver@", "salver:secret@").replace("/test_", "/missing_"))

    assert error.code is Code.SETTINGS_INVALID
    assert "does not exist" in error.message
    assert "secret" not in f"{error} {error.log_detail}"


def test_a_server_that_does_not_answer_is_told_at_the_start() -> None:
    error = refusal("postgresql://salver:secret@127.0.0.1:1/salver")

    assert error.code is Code.SETTINGS_INVALID
    assert error.message.startswith(
        "The state in the database salver at 127.0.0.1 cannot be used: the database cannot be reached (connection"
    )
    assert "secret" not in f"{error} {error.log_detail}"


def test_tables_of_a_newer_version_are_refused_with_words(postgres: PostgresServer, postgres_url: str) -> None:
    open_store(postgres_url).close()
    postgres.psql(database_name(postgres_url), "UPDATE alembic_version SET version_num = '9999'")

    error = refusal(postgres_url)

    assert error.code is Code.STATE_DAMAGED
    assert "was written by a newer Salver: its tables are at step 9999" in error.message


def test_tables_that_do_not_say_of_which_step_they_are_are_refused(postgres: PostgresServer, postgres_url: str) -> None:
    open_store(postgres_url).close()
    postgres.psql(database_name(postgres_url), "DROP TABLE alembic_version")

    error = refusal(postgres_url)

    assert error.code is Code.STATE_DAMAGED
    assert "does not say of which step" in error.message


def test_a_table_of_another_program_with_the_same_name_is_never_dropped(
    postgres: PostgresServer, postgres_url: str
) -> None:
    name = database_name(postgres_url)
    postgres.psql(name, "CREATE TABLE models (theirs text)")

    assert refusal(postgres_url).code is Code.STATE_DAMAGED
    with pytest.raises(StartupError):
        PostgresDatabase(sa.make_url(postgres_url)).replace(migrations.upgrade)
    assert postgres.psql(name, "SELECT count(theirs) FROM models") == "0"


def test_no_server_starts_in_the_middle_of_a_restore(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "_SESSION", ("SET lock_timeout = '10ms'",))
    errors: list[StartupError] = []

    def fill(connection: sa.Connection) -> None:
        errors.append(refusal(postgres_url))
        migrations.upgrade(connection)

    PostgresDatabase(sa.make_url(postgres_url)).replace(fill)
    open_store(postgres_url).close()

    (error,) = errors
    assert error.code is Code.SETTINGS_INVALID
    assert "another program holds it" in error.message


def test_other_tables_in_the_same_database_are_left_alone(
    postgres: PostgresServer, postgres_url: str, key: MakeKey
) -> None:
    name = database_name(postgres_url)
    postgres.psql(name, "CREATE TABLE cats (name text)")
    store = open_store(postgres_url)
    store.add_key(key("k1"))
    store.close()

    assert postgres.psql(name, "SELECT count(*) FROM cats") == "0"


def test_a_missing_driver_is_told_with_what_to_install() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from salver.store.sql import open_store\n"
        "from salver.errors import StartupError\n"
        "try: open_store('postgresql://db/salver')\n"
        "except StartupError as error: print(error)"
    )

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "Python's driver for Postgres is not installed. [SETTINGS_INVALID]" in shown.stdout
    assert "pip install 'salver[postgres]'" in shown.stdout


def test_a_store_in_a_file_does_not_load_the_driver(tmp_path: Path) -> None:
    program = (
        f"import sys; from salver.store.sql import open_store; open_store({str(tmp_path / 'state.db')!r}).close(); "
        "print('psycopg' in sys.modules)"
    )

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "False"
