"""What a database's errors become."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from salver.errors import Code
from salver.store import failures

DATABASE = Path("/data/state.db")


class PostgresError(Exception):
    """As the driver's own errors are: with Postgres' number, or none when there was no answer."""

    def __init__(self, number: str | None) -> None:
        super().__init__("connection failed:\n  table api_keys has no column x")
        self.sqlstate = number


def postgres_failure(number: str | None) -> sa.exc.DBAPIError:
    return sa.exc.OperationalError("INSERT", {}, PostgresError(number))


def failure(name: str) -> sa.exc.DBAPIError:
    original = sqlite3.OperationalError("table api_keys has no column x")
    if name:
        original.sqlite_errorname = name
    return sa.exc.DBAPIError("INSERT", {}, original)


@pytest.mark.parametrize("name", ["SQLITE_CORRUPT", "SQLITE_CORRUPT_INDEX", "SQLITE_NOTADB"])
def test_damage_is_called_damage(name: str) -> None:
    assert failures.at_startup(failure(name), DATABASE).code is Code.STATE_DAMAGED
    assert failures.at_work(failure(name)).code is Code.STATE_DAMAGED


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("SQLITE_FULL", "the disk is full"),
        ("SQLITE_READONLY_DIRECTORY", "it may not be written to"),
        ("SQLITE_BUSY", "another program holds it"),
        ("SQLITE_IOERR_WRITE", "the disk reported an error"),
        ("SQLITE_CANTOPEN", "it could not be opened"),
        ("SQLITE_SOMETHING_NEW", "the database refused"),
        ("", "the database refused"),
    ],
)
def test_what_may_pass_is_told_with_a_reason_and_a_fix(name: str, reason: str) -> None:
    at_startup, at_work = failures.at_startup(failure(name), DATABASE), failures.at_work(failure(name))

    assert (at_startup.code, at_startup.message) == (
        Code.SETTINGS_INVALID,
        f"The state in /data/state.db cannot be used: {reason}.",
    )
    assert (at_work.code, at_work.message) == (
        Code.OVERLOADED,
        f"The server's state cannot be changed now: {reason}.",
    )
    assert at_startup.fix == at_work.fix != ""


@pytest.mark.parametrize("number", ["XX001", "XX002", "42P01"])
def test_damage_in_postgres_is_called_damage(number: str) -> None:
    assert failures.at_startup(postgres_failure(number), "the database x at y").code is Code.STATE_DAMAGED
    assert failures.at_work(postgres_failure(number)).code is Code.STATE_DAMAGED


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (None, "the database cannot be reached"),
        ("08006", "the database cannot be reached"),
        ("57P01", "the database cannot be reached"),
        ("57P03", "the database cannot be reached"),
        ("53100", "the disk is full"),
        ("53300", "the database has no connection or memory to spare"),
        ("25006", "it may not be written to"),
        ("42501", "it may not be written to"),
        ("55P03", "another program holds it"),
        ("28P01", "the database does not accept the user or the password"),
        ("3D000", "there is no such database"),
        ("99999", "the database refused"),
    ],
)
def test_what_may_pass_in_postgres_is_told_with_a_reason_and_when_to_come_back(number: str | None, reason: str) -> None:
    error = failures.at_work(postgres_failure(number))

    assert error.code is Code.OVERLOADED
    assert error.message == f"The server's state cannot be changed now: {reason}."
    assert error.retry_after_s == failures.RETRY_AFTER_S
    assert error.fix


def test_a_connection_that_breaks_while_a_change_is_kept_leaves_it_open_whether_it_was() -> None:
    for number in (None, "57P01"):
        error = failures.at_work(postgres_failure(number), is_committing=True)
        assert "it may be there or not" in error.message
        assert "Look whether the change is there" in error.fix

    assert "may be there" not in failures.at_work(failure("SQLITE_FULL"), is_committing=True).message


def test_who_starts_a_server_reads_why_the_connection_failed_on_one_line() -> None:
    error = failures.at_startup(postgres_failure(None), "the database x at y")

    assert error.message == (
        "The state in the database x at y cannot be used: the database cannot be reached "
        "(connection failed: table api_keys has no column x)."
    )


def test_the_drivers_own_words_are_for_the_log_alone() -> None:
    for error in (failures.at_startup(failure("SQLITE_CORRUPT"), DATABASE), failures.at_work(failure(""))):
        assert "api_keys" in error.log_detail
        assert "api_keys" not in str(error)
