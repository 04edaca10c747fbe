"""Whether a state is whole: the database's own check, the step of its tables, the chain of the audit log."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import sqlalchemy as sa

from salver.errors import Code, SalverError, StartupError
from salver.store import migrations
from salver.store.base import AuditLine
from salver.store.chain import first_broken
from salver.store.databases import Database
from salver.store.queries import audit_lines


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found, in plain words, and what mends it."""

    subject: str
    is_whole: bool
    message: str
    fix: str = ""


def inspect(database: Database) -> tuple[Finding, ...]:
    """Look at everything as it is at one moment, while a server may go on. Nothing is changed.

    Raises StartupError(SETTINGS_INVALID) when there is no state, or it is out of reach.
    """
    findings: list[Finding] = []
    try:
        for finding in _looked(database):
            findings.append(finding)
            if not finding.is_whole:
                break  # the next look would stumble over the same
    except StartupError as error:  # what the database said instead of an answer
        if error.code is not Code.STATE_DAMAGED:
            raise
        findings.append(Finding(subject="database", is_whole=False, message=error.message, fix=error.fix))
    return tuple(findings)


def _looked(database: Database) -> Iterator[Finding]:
    engine = database.open_reader()
    try:
        with database.in_words(), engine.begin() as connection:
            yield from _findings(database, connection)
    finally:
        engine.dispose()


def _findings(database: Database, connection: sa.Connection) -> Iterator[Finding]:
    yield _database(database, connection)
    yield _tables(database, connection)
    yield _audit_log(connection)


def _database(database: Database, connection: sa.Connection) -> Finding:
    error = database.error_in(connection)
    if error is None:
        return Finding(subject="database", is_whole=True, message=f"{database.name} can be read")
    return Finding(
        subject="database",
        is_whole=False,
        message=f"{database.name} is damaged: {error}",
        fix="Restore a backup with `salver state restore FILE`.",
    )


def _tables(database: Database, connection: sa.Connection) -> Finding:
    step, newest = migrations.current_revision(connection), migrations.REVISIONS[-1]
    if step is None:
        return Finding(
            subject="tables",
            is_whole=False,
            message=f"the tables in {database.name} are not those of Salver",
            fix="Name another state with --data-dir or --state-url, or restore a backup.",
        )
    try:
        migrations.check_known(step, f"The state in {database.name}")
    except SalverError as error:
        return Finding(subject="tables", is_whole=False, message=error.message, fix=error.fix)
    later = "" if step == newest else f"; the next start takes them to step {newest}"
    return Finding(subject="tables", is_whole=True, message=f"at step {step}{later}")


def _audit_log(connection: sa.Connection) -> Finding:
    broken = first_broken(audit_lines.all_oldest_first(connection))
    if broken is None:
        last = next(iter(audit_lines.newest(connection, 1)), None)
        told = (
            "is empty"
            if last is None
            else f"has {last.sequence} lines, each chained to the one before; last digest {last.digest}"
        )
        return Finding(subject="audit log", is_whole=True, message=told)
    return Finding(
        subject="audit log",
        is_whole=False,
        message=f"line {broken} does not follow from the one before: a line was changed or taken out behind the server",
        fix="Find out who could write to the database; a backup from before has the lines as they were.",
    )


def _length(last: AuditLine) -> str:
    return f"has {last.sequence} lines, each chained to the one before; last digest {last.digest}"
