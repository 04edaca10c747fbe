"""Reads a package for people: all of it is checked first."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from salver.errors import Code
from salver.models.listing import LISTING_NAME, parse_listing
from salver.models.manifest import FILE_NAME
from salver.models.manifestfile import read_manifest
from salver.models.packagefile import RECORD_NAME, is_package, unpack_package
from salver.packaging.base import PackagingFailed, Record
from salver.replicas.environments.locks import read_lock


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A package that is whole."""

    path: str
    digest: str
    size_bytes: int
    files: tuple[str, ...]
    packages: int
    record: Record


def show_package(path: Path) -> Shown:
    """Raises LoadError, and PackagingFailed for what is no package."""
    if not is_package(path):
        raise PackagingFailed(
            f"{path} is no package.", fix="`salver package PATH` makes one.", code=Code.FORMAT_UNKNOWN
        )
    with tempfile.TemporaryDirectory(prefix="salver-package-") as cache:
        folder, digest = unpack_package(path, Path(cache))
        manifest = read_manifest(folder / FILE_NAME).manifest
        lock = manifest.environment.lock
        return Shown(
            path=str(path),
            digest=digest,
            size_bytes=path.stat().st_size,
            files=tuple(file.name for file in parse_listing((folder / LISTING_NAME).read_bytes()).files),
            packages=0 if lock is None else len(read_lock((folder / lock).read_text(), lock).pins),
            record=_record(folder, path),
        )


def _record(folder: Path, path: Path) -> Record:
    try:
        return msgspec.json.decode((folder / RECORD_NAME).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        fix = "Make it anew with `salver package`."
        raise PackagingFailed(f"{path} has no {RECORD_NAME} that can be read.", fix=fix) from error
