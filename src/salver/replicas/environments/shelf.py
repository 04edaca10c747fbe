"""Where environments lie on the disk: each is there whole or not at all.

::

    cache/            what uv downloaded and unpacked; files of environments are links to files here
    sources/          packages of R as they were downloaded
    staging/<name>/   one that is being built, with a lock file that its builder holds
    ready/<id>/       one that is built: it came here by one rename, after everything in it
    locks/<id>.build  held by who builds it, in this server or another on the same folder
    locks/<id>.use    held, with others, by every server that uses it
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from salver.errors import Code, StartupError
from salver.replicas.environments.base import PYTHON, Environment

RECORD = "salver-environment.json"
LOCK = "requirements.lock"
_HELD = ".held"


class Shelf:
    """Owns the folder together with other servers that use it. Blocks for the disk."""

    def __init__(self, folder: Path) -> None:
        """Raises StartupError when the folder cannot be used."""
        self.cache = folder / "cache"
        self.sources = folder / "sources"
        self._ready = folder / "ready"
        self._staging = folder / "staging"
        self._locks = folder / "locks"
        self._uses: dict[str, int] = {}
        """Descriptors that say what this server uses."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in (self.cache, self.sources, self._ready, self._staging, self._locks):
                path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"The folder of environments {folder} cannot be used: {error.strerror}.",
                fix="Choose a folder that the server may write to with --environments-dir.",
            ) from error

    def find(self, id: str) -> Environment | None:
        """The environment, if it is here and whole."""
        folder = self._ready / id
        try:
            found = msgspec.json.decode((folder / RECORD).read_bytes(), type=Environment)
        except (OSError, msgspec.DecodeError):
            return None
        interpreter = self.python(id) if found.kind == PYTHON else Path(found.interpreter)
        return found if interpreter.exists() and found.id == id else None

    def folder(self, id: str) -> Path:
        """Where it lies when it is built."""
        return self._ready / id

    def python(self, id: str) -> Path:
        """The interpreter to start workers with."""
        return self.folder(id) / "bin" / "python"

    def lock_of(self, id: str) -> str:
        """The text of the lock that the environment was built of."""
        return (self._ready / id / LOCK).read_text()

    def all(self) -> tuple[Environment, ...]:
        """All that are built, the oldest first."""
        found = [self.find(path.name) for path in self._ready.iterdir()]
        return tuple(sorted((each for each in found if each is not None), key=lambda each: (each.built_at, each.id)))

    def use(self, id: str) -> bool:
        """Say that this server uses it, until it ends or `leave`; False when it is gone."""
        if id not in self._uses:
            descriptor = self._open(f"{id}.use")
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            self._uses[id] = descriptor
        if self.find(id) is None:
            self.leave(id)
            return False
        return True

    def leave(self, id: str) -> None:
        descriptor = self._uses.pop(id, -1)
        if descriptor >= 0:
            os.close(descriptor)

    def try_to_build(self, id: str) -> int | None:
        """A descriptor that holds the right to build it, to be closed; None while somebody else has it."""
        return self._try(f"{id}.build")

    @contextlib.contextmanager
    def stage(self) -> Iterator[Path]:
        """A folder on the same file system, gone at the end."""
        folder = Path(tempfile.mkdtemp(prefix="build-", dir=self._staging))
        descriptor = os.open(folder / _HELD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(descriptor)
            remove_tree(folder)

    def place(self, folder: Path, environment: Environment, lock: str) -> Environment:
        """Make what was built in a staging folder exist, read-only, and whole also after a power cut."""
        (folder / LOCK).write_text(lock)
        size = seal_files(folder)
        environment = msgspec.structs.replace(environment, size_bytes=size)
        (folder / RECORD).write_bytes(msgspec.json.encode(environment))
        (folder / RECORD).chmod(0o444)
        os.sync()
        target = self._ready / environment.id
        if target.exists():  # damaged: else it would have been found
            self._set_aside(target)
        folder.rename(target)
        _sync(self._ready)
        return environment

    def seal(self, id: str) -> None:
        """No file can be added to it any more."""
        for path, _, _ in os.walk(self._ready / id):
            os.chmod(path, 0o555)  # noqa: S103  nobody may write

    def remove(self, id: str) -> int | None:
        """Remove it; the bytes of its files, or None when some server uses it."""
        self.leave(id)
        held = [self._try(f"{id}.use"), self._try(f"{id}.build")]
        try:
            if None in held:
                return None
            found = self.find(id)
            if (self._ready / id).is_dir():
                self._set_aside(self._ready / id)
            return 0 if found is None else found.size_bytes
        finally:
            for descriptor in held:
                if descriptor is not None:
                    os.close(descriptor)

    def sweep(self) -> int:
        """Remove what builders left that are no more; how many."""
        count = 0
        for folder in list(self._staging.iterdir()):
            with contextlib.suppress(OSError):
                descriptor = os.open(folder / _HELD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove_tree(folder)
                    count += 1
                finally:
                    os.close(descriptor)
        return count

    def used_bytes(self) -> int:
        """What environments and the cache take on the disk; a file with several names counts once."""
        seen: set[int] = set()
        total = 0
        for root in (self._ready, self.cache, self.sources):
            for path, _, names in os.walk(root):
                for name in names:
                    with contextlib.suppress(OSError):
                        found = os.lstat(os.path.join(path, name))
                        if found.st_ino not in seen:
                            seen.add(found.st_ino)
                            total += found.st_blocks * 512
        return total

    def close(self) -> None:
        for id in list(self._uses):
            self.leave(id)

    def _set_aside(self, folder: Path) -> None:
        """From here on it does not exist; then its files go."""
        aside = Path(tempfile.mkdtemp(prefix="removed-", dir=self._staging))
        folder.chmod(0o700)  # a folder that changes its parent must be open for writing
        folder.rename(aside / "environment")
        remove_tree(aside)

    def _try(self, name: str) -> int | None:
        descriptor = self._open(name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _open(self, name: str) -> int:
        return os.open(self._locks / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def seal_files(folder: Path) -> int:
    """Take the right to write from every file; the bytes of all."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)
            found = os.lstat(file)
            if stat.S_ISREG(found.st_mode):
                os.chmod(file, stat.S_IMODE(found.st_mode) & 0o555)
                total += found.st_size
    return total


def remove_tree(folder: Path) -> None:
    """Remove a folder, also what may not be written."""
    for path, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
