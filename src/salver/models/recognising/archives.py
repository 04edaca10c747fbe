"""Model archives, packed and unpacked."""

from __future__ import annotations

from pathlib import Path

from salver.errors import Code, LoadError
from salver.models.archiverules import ArchiveLimits, ArchiveRefused
from salver.models.marfile import (
    LEGACY_NAME,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    MarManifest,
    parse_legacy_manifest,
    parse_mar_manifest,
)
from salver.models.pickles import compression
from salver.models.recognising.base import FileView, Recognition
from salver.models.tars import find_member
from salver.models.zips import ZipRefused, open_zip

TAR_ENDINGS = (".tar.gz", ".tgz")


def recognise_packed(view: FileView, _function: str | None) -> Recognition | None:
    if compression(view.head) == "gzip" and view.path.name.lower().endswith(TAR_ENDINGS):
        return _packed_mar(view)
    if MANIFEST_NAME in view.members:
        return recognise_archive(view.path, _member(view.path, MANIFEST_NAME))
    if LEGACY_NAME in view.members and (found := recognise_legacy(view.path, _member(view.path, LEGACY_NAME))):
        return found
    return archive_without_manifest(view.path) if view.ending == ".mar" and view.members else None


def _packed_mar(view: FileView) -> Recognition | None:
    """What `model-archiver --archive-format tgz` makes: the manifest below a folder of the model's name."""
    try:
        raw = find_member(view.path, f"/{MANIFEST_NAME}", MAX_MANIFEST_BYTES, ArchiveLimits())
    except ArchiveRefused:
        return None  # a tar of something else; unpacking says what is wrong with one that is meant
    return None if raw is None else recognise_archive(view.path, raw)


def _member(path: Path, name: str) -> bytes:
    try:
        with open_zip(path) as archive, archive.open(name) as entry:
            return entry.read(MAX_MANIFEST_BYTES)
    except ZipRefused as refused:
        raise LoadError(Code.FORMAT_UNKNOWN, f"{path} {refused}", fix="Copy the file again.") from refused


def recognise_archive(path: Path, manifest: bytes) -> Recognition:
    archive = parse_mar_manifest(manifest, str(path))
    return Recognition(runtime="mar", artifact=path, trust="code", label=archive.label, archive=archive)


def recognise_legacy(path: Path, manifest: bytes) -> Recognition | None:
    """An archive of MMS 0.4, or None when the manifest is another program's."""
    archive = parse_legacy_manifest(manifest, str(path))
    if archive is None:
        return None
    return Recognition(runtime="mar", artifact=path, trust="code", label=archive.label, archive=archive)


def archive_without_manifest(path: Path) -> Recognition:
    """Files and a handler that somebody must name."""
    archive = MarManifest(name=None, version=None, handler=None)
    return Recognition(runtime="mar", artifact=path, trust="code", label=archive.label, archive=archive)


def recognise_unpacked(folder: Path) -> Recognition | None:
    """An archive that is a folder."""
    manifest = folder / MANIFEST_NAME
    if manifest.is_file():
        return recognise_archive(folder, _start(manifest))
    manifest = folder / LEGACY_NAME
    return recognise_legacy(folder, _start(manifest)) if manifest.is_file() else None


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_MANIFEST_BYTES)
