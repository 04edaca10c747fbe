"""The steps from one state of the tables to the next, and the code that takes them.

`REVISIONS` has every step in order. It is here as plain data so that a server whose tables are current need not import
alembic to know it; a test compares it with the files in ``versions/``.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

REVISIONS = ("0001",)
VERSION_TABLE = "alembic_version"

_READ_REVISION = sa.select(sa.column("version_num", sa.Text)).select_from(sa.table(VERSION_TABLE))


def current_revision(connection: sa.Connection) -> str | None:
    """The step that the tables are at; None when no step was ever taken, or it cannot be told."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(_READ_REVISION).scalar_one_or_none()


def upgrade(connection: sa.Connection) -> None:
    """Take all steps that are missing, inside the transaction that the connection is in."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
