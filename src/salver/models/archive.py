"""Unpacks a model archive into a folder that is named by the archive's content.

The folder is made beside its final place and renamed when it is complete, so what stands there is whole. The same
archive is unpacked once.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from salver.errors import Code, LoadError
from salver.models.archiverules import ArchiveLimits, ArchiveRefused, check_entries
from salver.models.tars import GZIP_START, extract_tar
from salver.models.zips import ZipRefused, open_zip

_UNFINISHED = ".unpacking-"
_CHUNK_BYTES = 1024 * 1024
_FIX = "Pack the archive again from ordinary files, with `model-archiver` or `torch-model-archiver`."


def unpack(
    archive: Path,
    cache: Path,
    limits: ArchiveLimits | None = None,
    *,
    check: Callable[[Path], None] | None = None,
    fix: str = _FIX,
) -> Path:
    """The folder below `cache` that holds the archive's files, of a zip or of a tar packed with gzip.

    A tar that holds one folder stands for what is in it. `check` looks at the folder before it comes to its place, and
    may raise ArchiveRefused; `fix` is told then.

    Raises LoadError(LOAD_FAILED) for an archive that is damaged, unsafe, too large, or that changes while it is read.
    """
    try:
        target = cache / _digest(archive)
        if not target.is_dir():
            cache.mkdir(parents=True, exist_ok=True)
            _unpack_beside(archive, target, limits or ArchiveLimits(), check)
    except (ArchiveRefused, ZipRefused) as refused:
        raise LoadError(Code.LOAD_FAILED, f"{archive} {refused}", fix=fix) from refused
    except OSError as error:
        room = "Make room, or let the server read the archive and write into its data directory."
        raise LoadError(Code.LOAD_FAILED, f"{archive} cannot be unpacked: {error.strerror}", fix=room) from error
    return _without_top_folder(target) if _is_gzip(archive) else target


def _is_gzip(archive: Path) -> bool:
    with archive.open("rb") as file:
        return file.read(len(GZIP_START)) == GZIP_START


def _without_top_folder(folder: Path) -> Path:
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder


def extract(archive: Path, folder: Path, limits: ArchiveLimits) -> tuple[zipfile.ZipInfo, ...]:
    """Write the files of a zip into an empty folder; returns their entries.

    Raises ArchiveRefused, ZipRefused and OSError; what was written by then stays.
    """
    size = archive.stat().st_size
    with open_zip(archive) as zipped:
        entries = check_entries(zipped.infolist(), size, limits)
        left = limits.most_bytes(size)
        for entry in entries:
            left -= _write(zipped, entry, folder / entry.filename, left)
    for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        _sync(inner)
    return entries


def remove_unfinished(cache: Path) -> None:
    """Clear away what a server that was killed left behind. Only for who holds the data directory."""
    for folder in cache.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _unpack_beside(archive: Path, target: Path, limits: ArchiveLimits, check: Callable[[Path], None] | None) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=target.parent))
    try:
        unfinished.chmod(0o755)
        if _is_gzip(archive):
            extract_tar(archive, unfinished, limits)
        else:
            extract(archive, unfinished, limits)
        if _digest(archive) != target.name:
            raise ArchiveRefused("changed while it was read")
        if check is not None:
            check(unfinished)
        _put_in_place(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _digest(archive: Path) -> str:
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, most: int) -> int:
    """One file, new, without rights to run it; returns its bytes, counted and not as they were announced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    written = 0
    with os.fdopen(descriptor, "wb") as file, zipped.open(entry) as content:
        while chunk := content.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > most:
                raise ArchiveRefused("unpacks to more bytes than it announces")
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return written


def _put_in_place(unfinished: Path, target: Path) -> None:
    try:
        unfinished.rename(target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return  # somebody unpacked the same archive meanwhile
    _sync(target.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
