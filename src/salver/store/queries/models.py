"""Queries on the table of models: what should be served under each name."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from salver.store.base import ModelRecord
from salver.store.tables import MODELS
from salver.types import ModelRoute, Scale, VersionPolicy

ALL = sa.select(MODELS)
REVISION = sa.select(MODELS.c.revision).where(MODELS.c.name == sa.bindparam("wanted"))
ADD = sa.insert(MODELS)
REPLACE = sa.update(MODELS).where(MODELS.c.name == sa.bindparam("wanted"))
REMOVE = sa.delete(MODELS).where(MODELS.c.name == sa.bindparam("wanted"))

_NESTED = {
    "policy": VersionPolicy,
    "labels": dict[str, int],
    "route": ModelRoute,
    "scale": Scale,
    "stable_history": tuple[int, ...],
}
"""The fields that are kept as JSON, each with its type."""


def by_name(connection: sa.Connection) -> tuple[ModelRecord, ...]:
    """Sorted here: databases differ in how they sort text."""
    records = (_record(row) for row in connection.execute(ALL).mappings())
    return tuple(sorted(records, key=lambda record: record.name))


def revision(connection: sa.Connection, name: str) -> int | None:
    return connection.execute(REVISION, {"wanted": name}).scalar_one_or_none()


def add(connection: sa.Connection, record: ModelRecord) -> None:
    connection.execute(ADD, _values(record))


def replace(connection: sa.Connection, record: ModelRecord) -> None:
    connection.execute(REPLACE.values(_values(record)), {"wanted": record.name})


def remove(connection: sa.Connection, name: str) -> None:
    connection.execute(REMOVE, {"wanted": name})


def _values(record: ModelRecord) -> dict[str, object]:
    values = msgspec.structs.asdict(record)
    for name in _NESTED:
        if values[name] is not None:
            values[name] = msgspec.json.encode(values[name]).decode()
    return values


def _record(row: sa.RowMapping) -> ModelRecord:
    values = dict(row)
    for name, type_ in _NESTED.items():
        if values[name] is not None:
            values[name] = msgspec.json.decode(values[name], type=type_)
    return ModelRecord(**values)
