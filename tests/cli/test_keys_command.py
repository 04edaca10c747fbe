import json

import pytest

from salver.store.directory import DataDirectory
from salver.store.sql import open_store

CREATE = ("keys", "create", "--label", "web shop", "--role", "user")


@pytest.fixture
def directory(tmp_path) -> DataDirectory:
    """The data directory that the commands of this test use; no server runs on it."""
    return DataDirectory(tmp_path / "data")


def test_a_key_is_made_without_a_server_and_shown_alone_on_standard_output(run):
    ran = run(*CREATE)
    assert ran.code == 0
    assert ran.out.startswith("msk_")
    assert len(ran.out.splitlines()) == 1
    assert "shown this once" in ran.err


def test_made_keys_are_listed_without_their_secret(run):
    key = run(*CREATE, "--model", "digits", "--model", "iris").out.strip()
    (row,) = [line for line in run("keys", "list").out.splitlines() if "web shop" in line]
    assert "digits,iris" in row
    assert key not in row


def test_a_revoked_key_says_since_when(run):
    made = json.loads(run(*CREATE, "--json").out)
    ran = run("keys", "revoke", made["record"]["id"])
    assert ran.out == f"The key {made['record']['id']} (web shop) is revoked.\n"
    (listed,) = json.loads(run("keys", "list", "--json").out)
    assert listed["revoked_at"] is not None


def test_a_key_can_be_made_without_an_end(run):
    run(*CREATE, "--expires-in-days", "0")
    (listed,) = json.loads(run("keys", "list", "--json").out)
    assert listed["expires_at"] is None


def test_changes_are_in_the_audit_log(run, directory):
    id = json.loads(run(*CREATE, "--json").out)["record"]["id"]
    run("keys", "revoke", id, "--json")
    store = open_store(directory.state)
    assert [line.operation for line in store.audit(10)] == ["keys.revoke", "keys.create"]
    assert store.check_audit() is None
    store.close()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("keys", "create", "--label", "x", "--role", "king"), "role is not right: it must be one of viewer, user"),
        (("keys", "revoke", "nobody"), "There is no key with the id 'nobody'."),
    ],
)
def test_what_cannot_be_done_is_told(run, arguments, error):
    ran = run(*arguments)
    assert ran.code == 1
    assert error in ran.err


def test_a_data_directory_that_another_process_holds_is_left_alone(run, directory):
    directory.prepare()
    with directory.lock():
        ran = run(*CREATE)
    assert ran.code == 2
    assert "is in use by a server" in ran.err
