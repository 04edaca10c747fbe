"""RELIABILITY T11: killed at any write, state and repository are as they were before a change, or as after it.

The control half is the real one, with its store and its repository on the disk; workers are twins in memory.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import event

from management_stage import Stage
from salver.models.disk import Disk
from salver.models.repository import Repository
from salver.operations import models
from salver.store.sql import SqlStore
from salver.store.sqlite import SqliteFile

KILLED = 99
NEVER = 1_000_000
Tell = Callable[[str], None]
Act = Callable[[Stage], Awaitable[Any]]


def asks(operation: str, parameters: models.Change) -> Act:
    return lambda stage: stage.ask(operation, parameters)


ACTS: dict[str, Act] = {
    "publish": lambda stage: stage.push(4),
    "publish a new model": lambda stage: stage.push(7, "other"),
    "publish and promote": lambda stage: stage.push(5, is_promoted=True),
    "publish again": lambda stage: stage.push(2, version=9),
    "promote": asks("models.promote", models.PromoteVersion(model="m", version=3)),
    "roll back": asks("models.rollback", models.RollBack(model="m")),
    "label": asks("models.label", models.SetLabel(model="m", label="canary", version=2)),
    "route": asks("models.route", models.SetRoute(model="m", weights={1: 9, 2: 1})),
    "scale": asks("models.scale", models.SetScale(model="m", replicas=2)),
    "unload": asks("models.unload", models.UnloadModel(model="m")),
    "delete a version": asks("models.delete", models.DeleteModel(model="m", version=3)),
    "delete the model": asks("models.delete", models.DeleteModel(model="m")),
}


async def prepare(stage: Stage) -> None:
    """Three versions, two promotions."""
    for number in (1, 2, 3, 8):
        await stage.push(number)
    for number in (1, 2):
        await stage.ask("models.promote", models.PromoteVersion(model="m", version=number))


def unforced(descriptor: int) -> None:
    """A process that is killed takes nothing from the system's memory; only a power cut would."""


def perform(folder: Path, act: Act, tell: Tell) -> None:
    """Start, do it, and stop; what is written is told only while it is done."""
    is_told = False

    def pass_on(word: str) -> None:
        if is_told:
            tell(word)

    async def whole() -> None:
        nonlocal is_told
        store = SqlStore(SqliteFile(folder / "state.db").open())
        for name in ("before_cursor_execute", "after_cursor_execute", "commit", "rollback"):
            event.listen(store._engine, name, lambda *_, name=name: pass_on(name))
        stage = Stage(folder, store, disk=Disk(pass_on, force=unforced))
        await stage.control.front_ends.add(stage.front_end)
        stage.catalogue.want()
        stage.control.reconciler.start()
        is_told = True
        await act(stage)
        await stage.catalogue.finished()
        is_told = False
        await stage.control.stop(drain_delay_s=0.0, drain_timeout_s=0.0)
        stage.audit.close()
        store.close()

    asyncio.run(whole())


def kept(folder: Path) -> tuple[Any, ...]:
    """What the state says, without times; every artefact that it names is there and whole."""
    store = SqlStore(SqliteFile(folder / "state.db").open())
    repository = Repository(folder / "repository", disk=Disk(force=unforced))
    try:
        records = [replace(record, updated_at=0.0) for record in store.models()]
        versions = [replace(version, created_at=0.0) for version in store.versions()]
        assert store.check_audit() is None
    finally:
        store.close()
    assert all(repository.verify(version.digest) for version in versions)
    return sorted(records, key=repr), sorted(versions, key=repr)


def is_killed_at(step: int, folder: Path, act: Act) -> bool:
    """Whether a process that does it is killed at its `step`-th word; False when it ends before."""
    heard = 0

    def count(_: str) -> None:
        nonlocal heard
        heard += 1
        if heard > step:
            os._exit(KILLED)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of other tests' threads; the child uses none
        child = os.fork()
    if child == 0:
        try:
            perform(folder, act, count)
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def do(folder: Path, act: Act) -> None:
    """All of it, in a process of its own: a server leaves nothing in this one."""
    assert not is_killed_at(NEVER, folder, act)


@pytest.mark.proof("T11")
@pytest.mark.slow
def test_killed_at_any_write_a_change_is_there_whole_or_not_at_all(tmp_path: Path, figure: Any, size: Any) -> None:
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    do(prepared, prepare)
    before = kept(prepared)
    counted = {name: points(tmp_path, prepared, before, act, size(2, 1)) for name, act in ACTS.items()}
    assert min(counted.values()) >= 3, counted
    assert sum(counted.values()) >= 200, counted
    told = ", ".join(f"{name} {count}" for name, count in counted.items())
    figure(f"{sum(counted.values())} points ({told}): state and repository as before or as after, each time")


def points(folder: Path, prepared: Path, before: Any, act: Act, stride: int) -> int:
    """Kill it at every `stride`-th write and look; at how many."""
    disk = Disk(force=unforced)
    whole = shutil.copytree(prepared, folder / "whole")
    do(whole, act)
    after = kept(whole)
    disk.remove_tree(whole)
    step = count = 0
    was_killed = True
    while was_killed:
        place = shutil.copytree(prepared, folder / "place")
        was_killed = is_killed_at(step, place, act)
        found = kept(place)
        assert found in (before, after), step
        do(place, nothing)
        assert list((place / "repository" / "staging").iterdir()) == []
        if found == before and before != after:
            do(place, act)
            found = kept(place)
        assert found == after
        disk.remove_tree(place)
        count += was_killed
        step += stride
    return count


async def nothing(stage: Stage) -> None:
    """A server that starts and stops puts things in order."""
