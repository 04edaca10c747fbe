"""The steps from one state of the tables to the next, and the code that takes them.

`REVISIONS` has every step in order. It is here as plain data so that a server whose tables are current need not import
alembic to know it; a test compares it with the files in ``versions/``.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from salver.errors import Code, StartupError

REVISIONS = ("0001", "0002")
VERSION_TABLE = "alembic_version"

_READ_REVISION = sa.select(sa.column("version_num", sa.Text)).select_from(sa.table(VERSION_TABLE))


def current_revision(connection: sa.Connection) -> str | None:
    """The step that the tables are at; None when no step was ever taken, or it cannot be told."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(_READ_REVISION).scalar_one_or_none()


def check_known(revision: str, what: str) -> None:
    """Raises StartupError(STATE_DAMAGED) for a step that this version of the code does not know."""
    if revision in REVISIONS:
        return
    raise StartupError(
        Code.STATE_DAMAGED,
        f"{what} was written by a newer Salver: its tables are at step {revision}, "
        f"and this version knows the steps up to {REVISIONS[-1]}.",
        fix="Start the newer version again, or restore a backup from before it was installed.",
    )


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Take all steps that are missing up to `to`, inside the transaction that the connection is in."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
