"""Queries on the table of the server's own named values."""

from __future__ import annotations

import sqlalchemy as sa

from salver.store.tables import SERVER_VALUES

GET = sa.select(SERVER_VALUES.c.value).where(SERVER_VALUES.c.name == sa.bindparam("wanted"))
REPLACE = (
    sa.update(SERVER_VALUES)
    .where(SERVER_VALUES.c.name == sa.bindparam("wanted"))
    .values(value=sa.bindparam("new_value"))
)
ADD = sa.insert(SERVER_VALUES)


def get(connection: sa.Connection, name: str) -> str | None:
    return connection.execute(GET, {"wanted": name}).scalar_one_or_none()


def put(connection: sa.Connection, name: str, value: str) -> None:
    """Set the value, whether or not there was one."""
    if not connection.execute(REPLACE, {"wanted": name, "new_value": value}).rowcount:
        connection.execute(ADD, {"name": name, "value": value})
