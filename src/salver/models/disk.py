"""Changes of the disk that survive a power cut, each told before it is made and after.

Whoever listens may be a test that ends the process there: what is found afterwards must always be whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

CHUNK_BYTES = 1024 * 1024


class Copied(msgspec.Struct, frozen=True):
    """What a copy turned out to hold."""

    size: int
    digest: str
    """SHA-256, in hex."""


def _untold(step: str) -> None:
    """Nobody listens."""


class Disk:
    """Makes the changes. `tell` hears `before ...` and `after ...` of each; what it raises goes through.

    `force` brings an open file or folder to the disk.
    """

    def __init__(self, tell: Callable[[str], None] = _untold, force: Callable[[int], None] = os.fsync) -> None:
        self._tell = tell
        self._force = force

    def make_folder(self, path: Path) -> None:
        """A new folder of this user alone, remembered by its parent. Raises FileExistsError."""
        with self._step(f"make {path.name}"):
            path.mkdir(mode=0o700)
        self.sync(path.parent)

    def make_folders(self, path: Path) -> None:
        """The folder and those above it, as far as they are missing."""
        if not path.is_dir():
            self.make_folders(path.parent)
            try:
                self.make_folder(path)
            except FileExistsError:
                if not path.is_dir():
                    raise

    def copy(self, source: BinaryIO, path: Path, mode: int) -> Copied:
        """A new file with all that `source` gives, on the disk when this returns."""
        with self._step(f"create {path.name}"):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        digest, size = hashlib.sha256(), 0
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for chunk in _chunks(source):
                with self._step(f"write {path.name}"):
                    _write_all(file.fileno(), chunk)
                digest.update(chunk)
                size += len(chunk)
            with self._step(f"mode {path.name}"):
                os.fchmod(file.fileno(), mode)
            with self._step(f"sync {path.name}"):
                self._force(file.fileno())
        return Copied(size, digest.hexdigest())

    def adopt(self, source: Path, path: Path, mode: int) -> Copied:
        """`copy` of a file that nobody else has: it is moved, and read once."""
        with self._step(f"move {path.name}"):
            source.rename(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            digest, size = hashlib.sha256(), 0
            for chunk in _chunks(file):
                digest.update(chunk)
                size += len(chunk)
            with self._step(f"mode {path.name}"):
                os.fchmod(file.fileno(), mode)
            with self._step(f"sync {path.name}"):
                self._force(file.fileno())
        return Copied(size, digest.hexdigest())

    def seal(self, folder: Path, mode: int) -> None:
        """Give a folder its last mode, and have it remember what is in it."""
        with self._step(f"mode {folder.name}"):
            folder.chmod(mode)
        self.sync(folder)

    def move(self, source: Path, target: Path) -> None:
        """Rename a folder; both parents remember it. Raises OSError when something is at the target."""
        with self._step(f"move {target.name}"):
            source.rename(target)
        self.sync(target.parent)
        if source.parent != target.parent:
            self.sync(source.parent)

    def remove_tree(self, folder: Path) -> None:
        """Remove a folder with all that is in it, also what may not be written."""
        for path, _, _ in os.walk(folder):
            os.chmod(path, 0o700)
        for path, folders, files in os.walk(folder, topdown=False):
            links = [name for name in folders if os.path.islink(os.path.join(path, name))]
            for name in (*files, *links):
                with self._step(f"remove {name}"):
                    os.unlink(os.path.join(path, name))
            with self._step(f"remove {os.path.basename(path)}"):
                os.rmdir(path)

    def sync(self, folder: Path) -> None:
        with self._step(f"sync {folder.name}"):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._force(descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._tell(f"before {name}")
        yield
        self._tell(f"after {name}")


def _chunks(source: BinaryIO) -> Iterator[memoryview]:
    """All that it gives, in one buffer that is filled again and again: new memory costs more than reading does."""
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    while size := source.readinto(buffer):  # type: ignore[attr-defined]
        yield view[:size]


def _write_all(descriptor: int, chunk: memoryview) -> None:
    while chunk:
        chunk = chunk[os.write(descriptor, chunk) :]
