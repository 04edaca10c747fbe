"""A state written into a file, and a state made of such a file, whatever database either is in."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
import sqlalchemy as sa

import salver
from salver.errors import Code, StartupError
from salver.store import failures, migrations
from salver.store.aside import free_name
from salver.store.backupfile import BackupFile, Cell, Header, Row, write_backup_file
from salver.store.databases import Database
from salver.store.tables import METADATA

ROWS_AT_ONCE = 1000

_MISFITS = (
    KeyError,
    OverflowError,
    ValueError,
    sa.exc.CompileError,
    sa.exc.DataError,
    sa.exc.IntegrityError,
    sa.exc.InterfaceError,
    sa.exc.ProgrammingError,
)
"""What a row that does not fit its table ends in."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did: the header of the backup, and the file in which the state that was there before lies now."""

    header: Header
    kept: Path | None


def write_backup(database: Database, path: Path) -> Header:
    """Write all rows as they are at one moment; a server may go on meanwhile. Raises StartupError."""
    engine = database.open_reader()
    try:
        with database.in_words(), engine.begin() as connection:
            step = _step(connection, database)
            tables = _tables(connection)
            header = Header(
                step=step,
                salver=salver.__version__,
                made_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                rows={str(table.name): _count(connection, table) for table in tables},
            )
            with closing(_rows(connection, tables)) as rows:
                write_backup_file(path, header, rows)
            return header
    finally:
        engine.dispose()


def restore_backup(database: Database, path: Path, *, keep_in: Path) -> Restored:
    """Put the state of a backup in place of the database's. The caller holds the data directory.

    The state that was there is kept: a SQLite file under another name, anything else as a backup in the folder
    `keep_in`. Raises StartupError, and has then changed nothing.
    """
    with BackupFile(path) as backup:
        migrations.check_known(backup.header.step, f"The backup {path}")
        kept = None if database.is_one_file else _back_up_first(database, keep_in)
        moved = database.replace(lambda connection: _fill(connection, backup, path))
        return Restored(header=backup.header, kept=kept or moved)


def has_state(database: Database) -> bool:
    """Whether tables of Salver are there. Raises StartupError when the database is out of reach."""
    engine = database.open_reader()
    try:
        with database.in_words(), engine.begin() as connection:
            return migrations.current_revision(connection) is not None
    finally:
        engine.dispose()


def _back_up_first(database: Database, folder: Path) -> Path | None:
    if not has_state(database):
        return None
    path = free_name(folder / "state", ".jsonl")
    write_backup(database, path)
    return path


def _fill(connection: sa.Connection, backup: BackupFile, path: Path) -> None:
    """The tables as they were at the backup's step, its rows, then the steps since."""
    migrations.upgrade(connection, backup.header.step)
    tables = {table.name: table for table in _tables(connection)}
    for table, rows in _batches(backup.rows()):
        try:
            connection.execute(sa.insert(tables[table]), [_values(tables[table], row.row) for row in rows])
        except _MISFITS as error:
            raise StartupError(
                Code.STATE_DAMAGED,
                f"The backup {path} is damaged: a row of {table} in it does not fit. Nothing was changed.",
                fix="Use another backup.",
                log_detail=str(error),
            ) from error
    migrations.upgrade(connection)


def _step(connection: sa.Connection, database: Database) -> str:
    step = migrations.current_revision(connection)
    if step is None:
        raise failures.damaged(database.name, "its tables are not those of Salver")
    migrations.check_known(step, f"The state in {database.name}")
    return step


def _tables(connection: sa.Connection) -> list[sa.Table]:
    """The state's tables as they are in the database, which may be at an earlier step than the code."""
    found = sa.MetaData()
    found.reflect(connection, only=lambda name, _: name in METADATA.tables)
    return [found.tables[name] for name in METADATA.tables if name in found.tables]


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _rows(connection: sa.Connection, tables: list[sa.Table]) -> Generator[tuple[str, Mapping[str, object]], None, None]:
    """Every row in the order of its key, a thousand in memory at a time."""
    for table in tables:
        select = sa.select(table).order_by(*table.primary_key.columns)
        with connection.execute(select, execution_options={"yield_per": ROWS_AT_ONCE}) as result:
            for row in result.mappings():
                yield str(table.name), {str(name): value for name, value in row.items()}


def _batches(rows: Iterator[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Runs of rows of one table, each at most a thousand long."""
    waiting: list[Row] = []
    for row in rows:
        if waiting and (row.table != waiting[0].table or len(waiting) == ROWS_AT_ONCE):
            yield waiting[0].table, waiting
            waiting = []
        waiting.append(row)
    if waiting:
        yield waiting[0].table, waiting


def _values(table: sa.Table, row: Mapping[str, Cell]) -> dict[str, Cell | bytes]:
    """Raises KeyError or ValueError for what is no row of this table."""
    if set(row) != set(table.columns.keys()):
        raise ValueError("other columns")
    return {name: _value(table.columns[name], cell) for name, cell in row.items()}


def _value(column: sa.Column[object], cell: Cell) -> Cell | bytes:
    if isinstance(column.type, sa.LargeBinary) and isinstance(cell, str):
        try:
            return base64.b64decode(cell, validate=True)
        except binascii.Error as error:
            raise ValueError("no base64") from error
    return cell
