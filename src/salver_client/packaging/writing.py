"""Writes a package as the server reads it: in a zip, a listing whose SHA-256 is the address, and the files it lists."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from pathlib import Path
from typing import NamedTuple

ENDING = ".salver"
SHOWN_DIGITS = 16
_HEADER = "salver listing 1"
_LISTING = ".salver-listing"
_BEGINNING = (1980, 1, 1, 0, 0, 0)
_CHUNK_BYTES = 1024 * 1024


class _File(NamedTuple):
    name: str
    path: Path
    size: int
    digest: str
    is_executable: bool


def write_package(folder: Path, name: str, target: Path | None) -> tuple[Path, str]:
    """Write all files below a folder as a package; returns where it is, and its digest.

    `target` is a file, or a folder in which it is named by its content; None: the current one.
    """
    files = sorted((_looked_at(path, folder) for path in _files_in(folder)), key=lambda file: file.name)
    lines = [f"{each.digest} {each.size} {'x' if each.is_executable else '-'} {each.name}" for each in files]
    listing = "\n".join((_HEADER, *lines, "")).encode()
    digest = hashlib.sha256(listing).hexdigest()
    place = Path() if target is None else target
    final = place / f"{name}@{digest[:SHOWN_DIGITS]}{ENDING}" if place.is_dir() else place
    unfinished = final.with_name(f".{final.name}.unfinished")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(_entry(_LISTING, is_executable=False), listing)
            for each in files:
                _add(archive, each)
        unfinished.replace(final)
    finally:
        unfinished.unlink(missing_ok=True)
    return final, digest


def _files_in(folder: Path) -> list[Path]:
    """All but what no server looks at."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return found


def _looked_at(path: Path, folder: Path) -> _File:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    found = path.stat()
    return _File(path.relative_to(folder).as_posix(), path, found.st_size, digest, bool(found.st_mode & stat.S_IXUSR))


def _add(archive: zipfile.ZipFile, file: _File) -> None:
    entry = _entry(file.name, is_executable=file.is_executable)
    entry.file_size = file.size
    with file.path.open("rb") as content, archive.open(entry, "w") as packed:
        while chunk := content.read(_CHUNK_BYTES):
            packed.write(chunk)


def _entry(name: str, *, is_executable: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _BEGINNING)
    entry.create_system = 3  # Unix, wherever it is written
    entry.external_attr = (stat.S_IFREG | (0o755 if is_executable else 0o644)) << 16
    return entry
