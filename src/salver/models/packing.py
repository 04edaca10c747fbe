"""Writes archives as the archivers of MMS and TorchServe do: the same members, the same manifest, in their formats."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

Format = Literal["default", "tgz", "no-archive", "zip-store"]
ENDINGS: dict[str, str] = {"default": ".mar", "zip-store": ".mar", "tgz": ".tar.gz", "no-archive": ""}
_UNWANTED_FOLDERS = frozenset({"__MACOSX", "__pycache__"})
_UNWANTED_ENDINGS = (".pyc", ".DS_Store", ".mar")
_MANIFEST_NAME = "MANIFEST.json"


class Member(msgspec.Struct, frozen=True):
    """One file, and what it is called in the archive."""

    path: Path
    name: str


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """What is packed: the files, and the manifest's text under its name."""

    name: str
    members: Sequence[Member]
    manifest: str
    manifest_name: str = "MAR-INF/MANIFEST.json"


def members_of(folder: Path, *, is_filtered: bool) -> tuple[Member, ...]:
    """The files below a folder, without hidden folders and what a system or Python leaves behind.

    With `is_filtered`, files that `model-archiver` leaves out are left out too: compiled ones, archives, manifests.
    """
    return tuple(_walk(folder, is_filtered=is_filtered))


def _walk(folder: Path, *, is_filtered: bool) -> Iterator[Member]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _UNWANTED_FOLDERS)
        for name in sorted(files):
            if is_filtered and (name == _MANIFEST_NAME or name.endswith(_UNWANTED_ENDINGS)):
                continue
            path = Path(root, name)
            yield Member(path, str(path.relative_to(folder)))


def write_archive(package: Package, target: Path, form: str) -> None:
    """Write the archive at `target`, which is replaced; of a folder only what is in the package. Raises OSError."""
    if form == "no-archive":
        _write_folder(package, target)
        return
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        if form == "tgz":
            _write_tar(package, unfinished)
        else:
            _write_zip(package, unfinished, zipfile.ZIP_STORED if form == "zip-store" else zipfile.ZIP_DEFLATED)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_zip(package: Package, path: Path, method: int) -> None:
    with zipfile.ZipFile(path, "w", method, strict_timestamps=False) as archive:
        for member in package.members:
            archive.write(member.path, member.name)
        archive.writestr(package.manifest_name, package.manifest)


def _write_tar(package: Package, path: Path) -> None:
    """Below a folder of the model's name."""
    with tarfile.open(path, "w:gz", dereference=True) as archive:
        for member in package.members:
            archive.add(member.path, f"{package.name}/{member.name}", recursive=False)
        entry = tarfile.TarInfo(f"{package.name}/{package.manifest_name}")
        raw = package.manifest.encode()
        entry.size = len(raw)
        archive.addfile(entry, io.BytesIO(raw))


def _write_folder(package: Package, target: Path) -> None:
    for member in package.members:
        path = target / member.name
        if path.resolve() != member.path.resolve():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(member.path, path)
    manifest = target / package.manifest_name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(package.manifest, encoding="utf-8")
