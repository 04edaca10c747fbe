"""TorchServe's key file: who gets which rights by it, and what becomes of the keys before."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from salver.access.administration import Administration
from salver.access.keyfile import KeyFile
from salver.access.keys import KeyRing
from salver.access.permit import local_admin
from salver.errors import StartupError
from salver.store.memory import MemoryStore

NOW = 1_700_000_000.0


class Clerk:
    def __init__(self, folder: Path) -> None:
        self.administration = Administration(MemoryStore(), clock=lambda: NOW)
        self.path = folder / "key_file.json"
        self.file = KeyFile(self.administration, local_admin(0), self.path, valid_min=60)

    @property
    def keys(self) -> dict[str, str]:
        return {kind: entry["key"] for kind, entry in json.loads(self.path.read_text()).items()}

    def role(self, key: str, after_s: float = 0.0) -> str | None:
        found = KeyRing(self.administration.keys()).find(key, NOW + after_s)
        return None if found is None else found.role


@pytest.fixture
def clerk(tmp_path: Path) -> Clerk:
    made = Clerk(tmp_path)
    made.file.begin()
    return made


def test_each_key_has_its_role_and_the_first_two_have_an_end(clerk: Clerk) -> None:
    keys = clerk.keys
    assert {kind: clerk.role(key) for kind, key in keys.items()} == {
        "management": "operator",
        "inference": "user",
        "API": "renewer",
    }
    assert [clerk.role(keys[kind], 3601.0) for kind in ("management", "inference", "API")] == [None, None, "renewer"]
    assert json.loads(clerk.path.read_text())["inference"]["expiration time"] == "2023-11-14T23:13:20Z"


def test_nobody_else_may_read_the_file(clerk: Clerk) -> None:
    assert stat.S_IMODE(clerk.path.stat().st_mode) == 0o600


def test_a_new_key_ends_the_one_before_and_leaves_the_others(clerk: Clerk) -> None:
    before = clerk.keys
    record = clerk.file.renew("inference")
    assert record.role == "user"
    assert clerk.role(before["inference"]) is None
    assert clerk.role(clerk.keys["inference"]) == "user"
    assert (clerk.keys["management"], clerk.keys["API"]) == (before["management"], before["API"])


def test_a_new_start_ends_all_keys_of_the_file(clerk: Clerk) -> None:
    before = clerk.keys
    clerk.file.begin()
    assert [clerk.role(key) for key in before.values()] == [None, None, None]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    clerk = Clerk(tmp_path)
    file = KeyFile(clerk.administration, local_admin(0), tmp_path / "nowhere" / "key_file.json", valid_min=60)
    with pytest.raises(StartupError, match="cannot be written"):
        file.begin()
