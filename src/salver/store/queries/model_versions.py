"""Queries on the table of published versions."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from salver.store.base import VersionRecord
from salver.store.tables import MODEL_VERSIONS
from salver.types import VersionFailure

_IS_THE_ONE = sa.and_(
    MODEL_VERSIONS.c.model == sa.bindparam("wanted_model"), MODEL_VERSIONS.c.version == sa.bindparam("wanted_version")
)

ALL = sa.select(MODEL_VERSIONS)
ADD = sa.insert(MODEL_VERSIONS)
REMOVE = sa.delete(MODEL_VERSIONS).where(_IS_THE_ONE)
REMOVE_ALL = sa.delete(MODEL_VERSIONS).where(MODEL_VERSIONS.c.model == sa.bindparam("wanted_model"))
SET_FAILURE = sa.update(MODEL_VERSIONS).where(_IS_THE_ONE).values(failure=sa.bindparam("new_failure"))


def by_number(connection: sa.Connection) -> tuple[VersionRecord, ...]:
    """Sorted here: databases differ in how they sort text."""
    records = (_record(row) for row in connection.execute(ALL).mappings())
    return tuple(sorted(records, key=lambda record: (record.model, record.version)))


def add(connection: sa.Connection, record: VersionRecord) -> None:
    connection.execute(ADD, msgspec.structs.asdict(record) | {"failure": _text(record.failure)})


def remove(connection: sa.Connection, model: str, version: int) -> None:
    connection.execute(REMOVE, {"wanted_model": model, "wanted_version": version})


def remove_all(connection: sa.Connection, model: str) -> None:
    connection.execute(REMOVE_ALL, {"wanted_model": model})


def set_failure(connection: sa.Connection, model: str, version: int, failure: VersionFailure | None) -> None:
    wanted = {"wanted_model": model, "wanted_version": version}
    connection.execute(SET_FAILURE, wanted | {"new_failure": _text(failure)})


def _text(failure: VersionFailure | None) -> str | None:
    return None if failure is None else msgspec.json.encode(failure).decode()


def _record(row: sa.RowMapping) -> VersionRecord:
    values = dict(row)
    if values["failure"] is not None:
        values["failure"] = msgspec.json.decode(values["failure"], type=VersionFailure)
    return VersionRecord(**values)
