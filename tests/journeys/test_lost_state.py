"""RELIABILITY T18 and T20: the disk of the data directory is full, the database is away; predictions go on."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from journey_versions import AT_ONCE, MODEL, Versions, answered, loads, nothing_was_lost, versions

from postgres_server import PostgresServer
from salver_client import SalverClientError

DISK_MIB = 16


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with little room."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("NO SMALL DISK: only root can mount one, where mounting is allowed")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Nothing more can be written while it lasts."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    yield
    filler.unlink()


def changes(served: Versions, number: int) -> dict[str, Callable[[], object]]:
    """One of each kind."""
    return {
        "a key": lambda: served.client.create_key(f"key {number}", "user"),
        "a label": lambda: served.client.label(MODEL, f"label-{number}", 1, how=AT_ONCE),
        "a version": lambda: served.push(number),
    }


def refused(change: Callable[[], object]) -> SalverClientError:
    with pytest.raises(SalverClientError) as raised:
        change()
    return raised.value


def key_labels(served: Versions) -> set[str]:
    keys = served.client.keys()
    return {key.label for key in keys}


@pytest.mark.proof("T18")
@pytest.mark.slow
def test_on_a_full_disk_predictions_go_on_and_changes_are_refused(
    tmp_path: Path, small_disk: Path, figure: Any, size: Any
) -> None:
    with versions(tmp_path, data_dir=small_disk / "data") as served:
        served.push(1)
        before = served.client.model(MODEL)
        with loads(served.server) as (quick, slow):
            with filled(small_disk):
                told = {name: refused(change) for name, change in changes(served, 2).items()}
                answered(quick, size(100, 5000))
            for change in changes(served, 3).values():
                change()
            answered(quick, 50)
        requests = nothing_was_lost(quick, slow)
        for name, error in told.items():
            assert any(words in str(error) for words in ("the disk is full", "No space left")), (name, error)
        assert before.labels == {}
        assert served.client.model(MODEL).labels == {"label-3": 1}
        assert key_labels(served) == {"first run", "key 3"}
        assert {each.version for each in served.client.versions(MODEL).versions} == {1, 3}
        figure(f"{requests} requests, 0 lost; {len(told)} kinds of changes refused, made afterwards")


@pytest.mark.proof("T20")
@pytest.mark.slow
def test_while_sqlite_is_locked_predictions_go_on_and_changes_are_refused(
    tmp_path: Path, figure: Any, size: Any
) -> None:
    with versions(tmp_path) as served:
        served.push(1)
        with loads(served.server) as (quick, slow):
            with contextlib.closing(sqlite3.connect(served.server.data / "state.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                began_at = time.monotonic()
                error = refused(lambda: served.client.label(MODEL, "meanwhile", 1, how=AT_ONCE))
                while time.monotonic() < began_at + size(0, 30):
                    answered(quick, 50)
                locked_s = time.monotonic() - began_at
                other.execute("ROLLBACK")
            for change in changes(served, 3).values():
                change()
        requests = nothing_was_lost(quick, slow)
        assert "another program holds it" in str(error)
        assert key_labels(served) == {"first run", "key 3"}
        figure(f"locked for {locked_s:.0f} s: {requests} requests, 0 lost; changes refused, made afterwards")


@pytest.mark.proof("T20")
@pytest.mark.slow
def test_while_postgres_is_down_predictions_go_on_and_changes_are_refused(
    tmp_path: Path, figure: Any, size: Any, postgres: PostgresServer, postgres_url: str
) -> None:
    with versions(tmp_path, state_url=postgres_url) as served:
        served.push(1)
        with loads(served.server) as (quick, slow):
            postgres.stop()
            try:
                began_at = time.monotonic()
                told = {name: refused(change) for name, change in changes(served, 2).items()}
                while time.monotonic() < began_at + size(2, 60):
                    answered(quick, 50)
                down_s = time.monotonic() - began_at
            finally:
                postgres.start()
            for change in changes(served, 3).values():
                change()
        requests = nothing_was_lost(quick, slow)
        assert all("the database cannot be reached" in str(error) for error in told.values()), told
        assert key_labels(served) == {"first run", "key 3"}
        assert {each.version for each in served.client.versions(MODEL).versions} == {1, 3}
        figure(f"down for {down_s:.0f} s: {requests} requests, 0 lost; changes refused, made afterwards")
