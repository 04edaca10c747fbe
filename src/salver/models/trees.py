"""Looks at a file or folder that shall become an artefact: which files belong to it, and whether they may.

What the server never looks at (`formats.HIDDEN`: hidden files, `__pycache__`) does not belong to an artefact.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from salver.models.archiverules import ArchiveRefused, PackedEntry, check_names
from salver.models.formats import HIDDEN


class TreeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one artefact may be."""

    max_files: int = 10_000
    max_bytes: int = 1024**4


class TreeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the artefact, as it was when it was looked at."""

    name: str
    path: Path
    """Where its content is; a link within the tree is followed."""
    size: int
    changed_ns: int
    is_executable: bool

    def is_unchanged(self, found: os.stat_result) -> bool:
        return (found.st_size, found.st_mtime_ns) == (self.size, self.changed_ns)


def tree_files(source: Path, name: str | None, limits: TreeLimits) -> tuple[TreeFile, ...]:
    """The files of the artefact at `source`; `name` is what a single file is called.

    Raises ArchiveRefused, whose text goes behind the source's name, and OSError.
    """
    root = source.resolve(strict=True)
    if root.is_dir():
        entries = list(_entries(root, root, "", limits))
    else:
        found = root.stat()
        entries = [(_packed(name or source.name, found), root, found)]
    check_names([packed for packed, _, _ in entries])
    files = [(packed, path, found) for packed, path, found in entries if not packed.is_folder]
    if not files:
        raise ArchiveRefused("is empty")
    total = sum(packed.size for packed, _, _ in files)
    if total > limits.max_bytes:
        raise ArchiveRefused(f"has {total} bytes, more than {limits.max_bytes}")
    return tuple(_tree_file(*entry) for entry in files)


def names_and_sizes(folder: Path) -> dict[str, int]:
    """The names of all files below a folder, with their sizes. What is no ordinary file has the size -1."""
    found: dict[str, int] = {}
    for path, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(HIDDEN)]
        for name in [name for name in files if not name.startswith(HIDDEN)]:
            full = os.path.join(path, name)
            status = os.lstat(full)
            found[os.path.relpath(full, folder)] = status.st_size if stat.S_ISREG(status.st_mode) else -1
    return found


_Entry = tuple[PackedEntry, Path, os.stat_result]


def _entries(root: Path, folder: Path, prefix: str, limits: TreeLimits) -> Iterator[_Entry]:
    """Everything below `folder`, counted as it comes."""
    count = 0
    for path in sorted(folder.iterdir()):
        if path.name.startswith(HIDDEN):
            continue
        name, found = prefix + path.name, path.lstat()
        if stat.S_ISLNK(found.st_mode):
            path, found = _followed(root, path, name)
        yield _packed(name, found), path, found
        count += 1
        if stat.S_ISDIR(found.st_mode):
            for entry in _entries(root, path, f"{name}/", limits):
                yield entry
                count += 1
        if count > limits.max_files:
            raise ArchiveRefused(f"has more than {limits.max_files} files and folders")


def _followed(root: Path, link: Path, name: str) -> tuple[Path, os.stat_result]:
    """The file in the same tree that a link means."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # a loop is the one or the other, by the version of Python
        target = root
    if not target.is_relative_to(root):
        raise ArchiveRefused(f"has the link {name!r}, which leaves it; copy it with `cp -rL`")
    if not target.is_file():
        raise ArchiveRefused(f"has the link {name!r} to no file; copy it with `cp -rL`")
    return target, target.stat()


def _packed(name: str, found: os.stat_result) -> PackedEntry:
    is_folder = stat.S_ISDIR(found.st_mode)
    return PackedEntry(
        name=name, size=0 if is_folder else found.st_size, is_folder=is_folder, kind=stat.S_IFMT(found.st_mode)
    )


def _tree_file(packed: PackedEntry, path: Path, found: os.stat_result) -> TreeFile:
    return TreeFile(
        name=packed.name,
        path=path,
        size=packed.size,
        changed_ns=found.st_mtime_ns,
        is_executable=bool(found.st_mode & stat.S_IXUSR),
    )


def _raise(error: OSError) -> None:
    raise error
