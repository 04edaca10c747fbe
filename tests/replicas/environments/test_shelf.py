"""Where environments lie: whole, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from salver.errors import StartupError
from salver.replicas.environments.base import Environment
from salver.replicas.environments.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "environments")


def environment(id: str, built_at: float = 0.0) -> Environment:
    return Environment(
        id=id,
        python="3.11.7",
        interpreter="/usr/bin/python3.11",
        lock_digest=f"lock of {id}",
        packages=(),
        size_bytes=0,
        built_at=built_at,
        build_s=1.0,
    )


def put(shelf: Shelf, id: str, built_at: float = 0.0) -> Environment:
    with shelf.stage() as folder:
        place = folder / "environment"
        (place / "bin").mkdir(parents=True)
        (place / "bin" / "python").write_text("#!/bin/sh\n")
        (place / "module.py").write_text("x = 1\n")
        return shelf.place(place, environment(id, built_at), "numpy==1\n")


def test_what_was_placed_is_found_with_its_lock_and_size(shelf: Shelf) -> None:
    placed = put(shelf, "a")
    assert shelf.find("a") == placed
    assert placed.size_bytes > 0
    assert shelf.lock_of("a") == "numpy==1\n"
    assert shelf.python("a").is_file()


def test_no_file_of_it_may_be_written_and_sealed_none_be_added(shelf: Shelf) -> None:
    put(shelf, "a")
    shelf.seal("a")
    folder = shelf.python("a").parent.parent
    writable = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    paths = [folder, *folder.rglob("*")]
    assert not [path for path in paths if path.lstat().st_mode & writable]


@pytest.mark.parametrize("harm", ["record", "python", "name"])
def test_what_is_not_whole_is_not_there(shelf: Shelf, harm: str) -> None:
    put(shelf, "a")
    folder = shelf.python("a").parent.parent
    if harm == "record":
        (folder / "salver-environment.json").unlink()
    elif harm == "python":
        (folder / "bin" / "python").unlink()
    else:
        folder.rename(folder.with_name("b"))
    assert shelf.find("a") is None
    assert shelf.find("b") is None
    assert shelf.all() == ()


def test_what_was_damaged_is_placed_anew(shelf: Shelf) -> None:
    put(shelf, "a")
    shelf.seal("a")
    (shelf.python("a").parent.parent / "salver-environment.json").unlink()
    assert shelf.find("a") is None
    assert shelf.find(put(shelf, "a").id) is not None


def test_the_oldest_come_first(shelf: Shelf) -> None:
    put(shelf, "a", 2.0)
    put(shelf, "b", 1.0)
    assert [each.id for each in shelf.all()] == ["b", "a"]


def test_what_another_server_uses_is_not_removed(shelf: Shelf, tmp_path: Path) -> None:
    put(shelf, "a")
    other = Shelf(tmp_path / "environments")
    assert other.use("a")
    assert shelf.remove("a") is None
    assert shelf.find("a") is not None
    other.close()
    assert shelf.remove("a")
    assert shelf.find("a") is None
    assert shelf.remove("a") == 0


def test_what_is_gone_cannot_be_used(shelf: Shelf) -> None:
    put(shelf, "a")
    assert shelf.use("a")
    assert shelf.remove("a") is not None
    assert not shelf.use("a")


def test_one_builds_and_others_wait(shelf: Shelf, tmp_path: Path) -> None:
    mine = shelf.try_to_build("a")
    assert mine is not None
    assert Shelf(tmp_path / "environments").try_to_build("a") is None
    os.close(mine)
    again = shelf.try_to_build("a")
    assert again is not None
    os.close(again)


def test_a_sweep_removes_what_nobody_builds_any_more(shelf: Shelf, tmp_path: Path) -> None:
    left = tmp_path / "environments" / "staging" / "build-left"
    (left / "environment").mkdir(parents=True)
    (left / "environment").chmod(0o555)
    with shelf.stage() as folder:
        assert Shelf(tmp_path / "environments").sweep() == 1
        assert folder.is_dir()
        assert not left.exists()
    assert not folder.exists()


def test_links_to_one_file_count_once(shelf: Shelf) -> None:
    put(shelf, "a")
    before = shelf.used_bytes()
    folder = shelf.python("a").parent.parent
    os.link(folder / "module.py", shelf.cache / "module.py")
    assert shelf.used_bytes() == before


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match="environments"):
        Shelf(tmp_path / "file" / "environments")
