"""Killed at any step on the disk, the repository is as it was before or as it would have been after."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tarfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salver.errors import LoadError
from salver.models.disk import Disk
from salver.models.repository import Repository

KILLED = 99

Act = Callable[[Repository], object]
State = frozenset[str]


class Scene:
    """A folder with sources, and what each shape of work does to a repository that holds one artefact already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.old = self._file("old/model.onnx", b"old weights").parent
        self.single = self._file("single.onnx", b"weights")
        self.nested = self._file("nested/a/b/model.onnx", b"weights").parents[2]
        self._file("nested/a/run.sh", b"#!/bin/sh\n").chmod(0o755)
        self._file("nested/words.txt", b"")
        self.large = self._file("large.bin", bytes(1024 * 1024 + 1))

    def before(self, act: str, repository: Repository) -> None:
        published = repository.publish(self.old)
        if act in ("mend", "remove", "sweep"):
            other = repository.publish(self.nested)
        if act == "mend":
            damaged = other.path / "words.txt"
            damaged.chmod(0o644)
            damaged.write_bytes(b"damage")
        assert repository.verify(published.digest)

    def act(self, act: str, repository: Repository) -> None:
        match act:
            case "single" | "nested" | "large":
                repository.publish(getattr(self, act))
            case "again":
                repository.publish(self.old)
            case "mend":
                repository.publish(self.nested)
            case "upload":
                repository.unpack_upload(self._packed(), "packed.tar.gz")
            case "remove":
                repository.remove(repository.publish(self.nested).digest)
            case "sweep":
                repository.sweep([repository.publish(self.old).digest])

    def _file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def _packed(self) -> Path:
        path = self.folder / "upload"
        with tarfile.open(path, "w:gz") as tar:
            for name in ("model.onnx", "extra/words.txt"):
                entry = tarfile.TarInfo(f"spam/{name}")
                entry.size = 5
                tar.addfile(entry, io.BytesIO(b"hello"))
        return path


ACTS = ("single", "nested", "large", "again", "mend", "upload", "remove", "sweep")


def state(repository: Repository) -> State:
    """The artefacts that are there; one that is damaged is as good as missing."""
    return frozenset(digest for digest in repository.digests() if repository.verify(digest))


def unforced(descriptor: int) -> None:
    """A process that is killed takes nothing from the system's memory; only a power cut would."""


def calm(folder: Path) -> Repository:
    return Repository(folder, disk=Disk(force=unforced))


def killed_at(step: int, work: Callable[[Disk], None]) -> bool:
    """Whether a process that does the work is killed at its `step`-th word; False when it ends before."""

    def words() -> Iterator[None]:
        yield from (None for _ in range(step))
        os._exit(KILLED)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of other tests' threads; the child uses none
        child = os.fork()
    if child == 0:
        heard = words()
        try:
            work(Disk(lambda _: next(heard), force=unforced))
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED)
    return code == KILLED


def points(scene: Scene, act: str) -> int:
    """Kill the work at every step and look; returns at how many."""
    prepared, whole = scene.folder / f"{act}-before", calm(scene.folder / f"{act}-after")
    scene.before(act, calm(prepared))
    before = state(calm(prepared))
    scene.before(act, whole)
    scene.act(act, whole)
    after = state(whole)
    step = 0
    while True:
        folder = scene.folder / f"{act}-{step}"
        shutil.copytree(prepared, folder)
        repository = calm(folder)
        was_killed = killed_at(step, lambda disk: scene.act(act, Repository(folder, disk=disk)))  # noqa: B023
        found = state(repository)
        assert found in (before, after)
        repository.sweep(found)
        assert list((folder / "staging").iterdir()) == []
        assert state(repository) == found
        scene.act(act, repository)
        assert state(repository) == after
        Disk(force=unforced).remove_tree(folder)
        if not was_killed:
            assert found == after
            return step
        step += 1


def test_every_step_may_be_the_last(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    counted = {act: points(scene, act) for act in ACTS}
    assert min(counted.values()) >= 10, counted
    assert sum(counted.values()) >= 200, counted


@pytest.mark.parametrize("act", ["single", "mend"])
def test_a_refusal_at_any_step_leaves_no_trace(tmp_path: Path, act: str) -> None:
    """As a full disk does: the process goes on, and clears up behind itself."""
    scene, step, is_refused = Scene(tmp_path), 0, True
    while is_refused:
        heard = iter(range(step))
        is_refused = False

        def tell(word: str) -> None:
            nonlocal is_refused
            if next(heard, None) is None and not is_refused and word.startswith("before"):  # noqa: B023
                is_refused = True
                raise OSError(28, "No space left on device")

        repository = Repository(tmp_path / f"{act}-{step}", disk=Disk(tell, force=unforced))
        after_it = calm(tmp_path / f"{act}-{step}")
        scene.before(act, after_it)
        before = state(after_it)
        with contextlib.suppress(LoadError, OSError):
            scene.act(act, repository)
        found = state(after_it)
        after_it.sweep(found)
        scene.act(act, after_it)
        assert found in (before, state(after_it))
        step += 1
    assert step > 10
