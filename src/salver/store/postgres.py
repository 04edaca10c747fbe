"""The state in a Postgres database: how it is reached, made and checked.

Two advisory locks keep order:

- each transaction of a store holds TRANSACTION alone, as SQLite's writers do, so that two servers may start at once,
  and lines are chained one after the other;
- each connection of a store holds IN_USE together with others; a restore wants it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection

from salver.errors import Code, StartupError
from salver.store import failures, migrations
from salver.store.tables import METADATA

TRANSACTION = int.from_bytes(b"salver", "big")
IN_USE = TRANSACTION + 1

LOCK_TIMEOUT_S = 10

_CONNECTION = {
    "application_name": "salver",
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""What libpq is told unless the URL says otherwise: a database that is away is noticed in seconds."""

_SESSION = (
    f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'",
    "SET idle_in_transaction_session_timeout = '60s'",  # a server whose machine vanished holds nobody up
    # A commit that was acknowledged survives a power cut; more than that (replicas) is for the database to say.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)


class PostgresDatabase:
    """The database that a URL names."""

    is_one_file = False

    def __init__(self, url: sa.URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        self.name = f"the database {url.database} at {_host(url)}"

    def open(self) -> sa.Engine:
        with self.in_words():
            engine = self.connect(is_store=True)
            try:
                with engine.begin() as connection:
                    self._bring_up_to_date(connection)
            except BaseException:
                engine.dispose()
                raise
            return engine

    def open_reader(self) -> sa.Engine:
        engine = self.connect(is_store=False)
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def error_in(self, _connection: sa.Connection) -> str | None:
        """Postgres looks after its own pages; a row that cannot be read says so when it is read."""
        return None

    def replace(self, fill: Callable[[sa.Connection], None]) -> Path | None:
        engine = self.connect(is_store=False)
        try:
            with self.in_words(), engine.begin() as connection:
                self._hold_alone(connection)
                self._revision(connection)  # another program's tables are not dropped
                METADATA.drop_all(connection)
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {migrations.VERSION_TABLE}")
                fill(connection)
        finally:
            engine.dispose()
        return None

    @contextmanager
    def in_words(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise failures.at_startup(error, self.name) from error

    def connect(self, *, is_store: bool) -> sa.Engine:
        """An engine with one connection, for use by one thread at a time; a broken one is replaced before it is used.

        Raises StartupError(SETTINGS_INVALID) when the driver is not installed.
        """
        given = {name: value for name, value in _CONNECTION.items() if name not in self._url.query}
        try:
            engine = sa.create_engine(
                self._url,
                pool_size=1,
                max_overflow=0,
                pool_pre_ping=True,
                connect_args={**given, "prepare_threshold": None},  # poolers between do not know prepared statements
                hide_parameters=True,
            )
        except ImportError as error:
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"The state in {self.name} cannot be used: Python's driver for Postgres is not installed.",
                fix="Run `pip install 'salver[postgres]'`.",
            ) from error
        sa.event.listen(engine, "connect", _begin_use if is_store else _begin_session)
        if is_store:
            sa.event.listen(engine, "begin", _wait_for_turn)
        return engine

    def _bring_up_to_date(self, connection: sa.Connection) -> None:
        if self._revision(connection) != migrations.REVISIONS[-1]:
            migrations.upgrade(connection)

    def _revision(self, connection: sa.Connection) -> str | None:
        """The step of a state of ours; None where none of the tables is. Raises StartupError(STATE_DAMAGED)."""
        revision = migrations.current_revision(connection)
        if revision is not None:
            migrations.check_known(revision, f"The state in {self.name}")
        elif any(map(sa.inspect(connection).has_table, METADATA.tables)):
            raise failures.damaged(
                self.name, "it has tables with the names of Salver's, and does not say of which step"
            )
        return revision

    def _hold_alone(self, connection: sa.Connection) -> None:
        if not connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(IN_USE))).scalar_one():
            raise StartupError(
                Code.DATA_DIRECTORY_LOCKED,
                f"The state in {self.name} is in use by a server.",
                fix="Stop every server that keeps its state there, then repeat.",
            )


def _host(url: sa.URL) -> str:
    host = url.host or url.query.get("host") or "the local socket"
    return host if isinstance(host, str) else ", ".join(host)


def _begin_session(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for statement in _SESSION:
        cursor.execute(statement)
    cursor.close()
    connection.commit()


def _begin_use(connection: DBAPIConnection, record: object) -> None:
    _begin_session(connection, record)
    cursor = connection.cursor()
    cursor.execute(f"SELECT pg_advisory_lock_shared({IN_USE})")
    cursor.close()
    connection.commit()


def _wait_for_turn(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TRANSACTION})")
