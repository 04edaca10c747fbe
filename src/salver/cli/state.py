"""`salver state`: what the server keeps, written to a file, put back from one, and looked over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from salver.cli.connection import data_directory, state_location
from salver.cli.options import json_option, setting_options
from salver.cli.terminal import console, show_json, show_warning

if TYPE_CHECKING:
    from salver.store.databases import Database
    from salver.store.inspection import Finding

state_options = setting_options("data_dir", "state_url")


@click.group("state")
def command() -> None:
    """Back up, restore and check what the server keeps: keys, models, the audit log.

    The state is SQLite in the data directory, or the database that --state-url names. A backup of either can be
    restored into either. Artefacts are not in it: copy the folder `repository` of the data directory too.

    \b
    Examples:
      salver state backup state-2027-01-31.jsonl
      salver state check
      salver state restore state-2027-01-31.jsonl
      salver state restore state-2027-01-31.jsonl --state-url postgresql://salver@db/salver
    """


@command.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@state_options
@click.pass_context
def backup(context: click.Context, file: Path, as_json: bool) -> None:
    """Write the whole state, as it is at one moment, to the new FILE.

    A server may run meanwhile. The file is for its owner alone: it has the keys' digests and the audit log.
    """
    from salver.store.backup import write_backup

    database = _database(context)
    header = write_backup(database, file)
    if as_json:
        show_json(header)
    else:
        click.echo(f"The state in {database.name} is in {file}: {_counted(header.rows)}.")


@command.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@state_options
@click.pass_context
def restore(context: click.Context, file: Path, as_json: bool) -> None:
    """Put the state of the backup FILE in place of what is there.

    No server may run. The old state is kept: a SQLite file beside the new one, a database as a backup in the data
    directory. A backup that is damaged, or from a newer Salver, changes nothing.
    """
    from salver.store.backup import restore_backup

    directory = data_directory(context)
    database = _database(context)
    directory.prepare()
    with directory.lock():
        restored = restore_backup(database, file, keep_in=directory.path)
        findings = _inspected(database)
    if as_json:
        show_json({"header": restored.header, "kept": None if restored.kept is None else str(restored.kept)})
    else:
        click.echo(f"The state in {database.name} is that of {file}: {_counted(restored.header.rows)}.")
        if restored.kept is not None:
            click.echo(f"The state that was there before is kept in {restored.kept}.")
    for finding in findings:
        if not finding.is_whole:
            show_warning(f"{finding.subject}: {finding.message}, as it was in the backup")


@command.command("check")
@json_option
@state_options
@click.pass_context
def check(context: click.Context, as_json: bool) -> int:
    """Say whether the state is whole: the database's own check, the step of its tables, the audit log's chain.

    The exit code is 1 when it is not. A server may run meanwhile; nothing is changed.
    """
    findings = _inspected(_database(context))
    if as_json:
        show_json(findings)
    else:
        for finding in findings:
            _show(finding)
    return int(not all(finding.is_whole for finding in findings))


def _database(context: click.Context) -> Database:
    from salver.store.databases import database_at

    return database_at(state_location(context))


def _inspected(database: Database) -> tuple[Finding, ...]:
    from salver.store.inspection import inspect

    return inspect(database)


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of {table}" for table, count in rows.items())


def _show(finding: Finding) -> None:
    out = console()
    word, colour = ("ok", "green") if finding.is_whole else ("wrong", "red")
    out.print(f"{word:<6}", style=colour, end="")
    out.print(f"{finding.subject:<16} {finding.message}")
    if finding.fix:
        out.print(f"{'':<23}fix: {finding.fix}", style="bold")
