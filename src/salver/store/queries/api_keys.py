"""Queries on the table of keys."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from salver.store.base import KeyRecord
from salver.store.tables import API_KEYS

ALL = sa.select(API_KEYS)
ONE = sa.select(API_KEYS).where(API_KEYS.c.id == sa.bindparam("key_id"))
ADD = sa.insert(API_KEYS)
REVOKE = (
    sa.update(API_KEYS)
    .where(API_KEYS.c.id == sa.bindparam("key_id"), API_KEYS.c.revoked_at.is_(None))
    .values(revoked_at=sa.bindparam("at"))
)


def add(connection: sa.Connection, record: KeyRecord) -> None:
    values = msgspec.structs.asdict(record)
    values["models"] = msgspec.json.encode(record.models).decode()
    connection.execute(ADD, values)


def all_oldest_first(connection: sa.Connection) -> tuple[KeyRecord, ...]:
    """Sorted here: databases differ in how they sort text."""
    records = (_record(row) for row in connection.execute(ALL).mappings())
    return tuple(sorted(records, key=lambda record: (record.created_at, record.id)))


def one(connection: sa.Connection, id: str) -> KeyRecord | None:
    row = connection.execute(ONE, {"key_id": id}).mappings().one_or_none()
    return None if row is None else _record(row)


def revoke(connection: sa.Connection, id: str, at: float) -> None:
    """Set the time of revocation, unless there is one."""
    connection.execute(REVOKE, {"key_id": id, "at": at})


def _record(row: sa.RowMapping) -> KeyRecord:
    values = dict(row)
    values["models"] = msgspec.json.decode(values["models"], type=tuple[str, ...])
    return KeyRecord(**values)
