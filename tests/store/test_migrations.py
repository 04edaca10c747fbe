"""The steps of the tables and what they lead to."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from salver.store import migrations
from salver.store.sql import open_store
from salver.store.sqlite import connect
from salver.store.tables import METADATA


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return ScriptDirectory.from_config(config)


def test_the_list_of_steps_is_what_the_files_say() -> None:
    in_files = [script.revision for script in scripts().walk_revisions()]

    assert tuple(reversed(in_files)) == migrations.REVISIONS


def test_all_steps_together_lead_to_the_tables_as_they_are_declared(tmp_path: Path) -> None:
    open_store(tmp_path / "state.db").close()
    engine = connect(tmp_path / "state.db")
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, METADATA)
    engine.dispose()

    assert differences == []


def test_upgrading_twice_changes_nothing(tmp_path: Path) -> None:
    open_store(tmp_path / "state.db").close()
    before = (tmp_path / "state.db").read_bytes()
    engine = connect(tmp_path / "state.db")
    with engine.begin() as connection:
        migrations.upgrade(connection)
        assert migrations.current_revision(connection) == migrations.REVISIONS[-1]
    engine.dispose()

    assert (tmp_path / "state.db").read_bytes() == before
