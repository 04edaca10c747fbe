"""The steps of the tables and what they lead to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from salver.store import migrations
from salver.store.base import KeyRecord
from salver.store.databases import database_at
from salver.store.queries import api_keys
from salver.store.sql import open_store
from salver.store.sqlite import connect
from salver.store.tables import METADATA

MakeKey = Callable[..., KeyRecord]


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return ScriptDirectory.from_config(config)


def test_the_list_of_steps_is_what_the_files_say() -> None:
    in_files = [script.revision for script in scripts().walk_revisions()]

    assert tuple(reversed(in_files)) == migrations.REVISIONS


def test_all_steps_together_lead_to_the_tables_as_they_are_declared(location: str) -> None:
    open_store(location).close()
    engine = database_at(location).open()
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, METADATA)
    engine.dispose()

    assert differences == []


def test_a_state_at_the_first_step_is_brought_up_to_date_and_keeps_what_it_has(location: str, key: MakeKey) -> None:
    database_at(location).replace(lambda connection: first_step(connection, key("k1")))

    store = open_store(location)
    kept, models = store.keys(), store.models()
    store.close()

    assert (kept, models) == ((key("k1"),), ())


def first_step(connection: sa.Connection, record: KeyRecord) -> None:
    migrations.upgrade(connection, migrations.REVISIONS[0])
    api_keys.add(connection, record)


def test_upgrading_twice_changes_nothing(tmp_path: Path) -> None:
    open_store(tmp_path / "state.db").close()
    before = (tmp_path / "state.db").read_bytes()
    engine = connect(tmp_path / "state.db")
    with engine.begin() as connection:
        migrations.upgrade(connection)
        assert migrations.current_revision(connection) == migrations.REVISIONS[-1]
    engine.dispose()

    assert (tmp_path / "state.db").read_bytes() == before
