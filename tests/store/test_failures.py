"""What a database's errors become."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from salver.errors import Code
from salver.store import failures

DATABASE = Path("/data/state.db")


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


def test_the_drivers_own_words_are_for_the_log_alone() -> None:
    for error in (failures.at_startup(failure("SQLITE_CORRUPT"), DATABASE), failures.at_work(failure(""))):
        assert "api_keys" in error.log_detail
        assert "api_keys" not in str(error)
