"""Queries on the audit table. There is none that changes or removes a line."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import sqlalchemy as sa

from salver.store.base import AuditLine
from salver.store.tables import AUDIT_LINES

NEWEST = sa.select(AUDIT_LINES).order_by(AUDIT_LINES.c.sequence.desc()).limit(sa.bindparam("most"))
ALL_OLDEST_FIRST = sa.select(AUDIT_LINES).order_by(AUDIT_LINES.c.sequence)
ADD = sa.insert(AUDIT_LINES)

LINES_AT_ONCE = 1000


def add(connection: sa.Connection, line: AuditLine) -> None:
    connection.execute(ADD, msgspec.structs.asdict(line))


def newest(connection: sa.Connection, limit: int) -> tuple[AuditLine, ...]:
    return tuple(_line(row) for row in connection.execute(NEWEST, {"most": limit}).mappings())


def all_oldest_first(connection: sa.Connection) -> Iterator[AuditLine]:
    """Every line, a thousand in memory at a time."""
    with connection.execute(ALL_OLDEST_FIRST, execution_options={"yield_per": LINES_AT_ONCE}) as result:
        for row in result.mappings():
            yield _line(row)


def _line(row: sa.RowMapping) -> AuditLine:
    return AuditLine(**row)
