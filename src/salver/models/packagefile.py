"""A package: a zip of one version's files and their listing, whose digest is its address.

    .salver-listing    the listing, as the repository has it; its SHA-256 is the package's address
    model.toml         and every other file that the listing names, and no more

Nothing is compressed, names are in order and times fixed: the same files are the same bytes wherever they are packed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path

from salver.models.archive import unpack
from salver.models.archiverules import ArchiveRefused
from salver.models.listing import LISTING_NAME, ListedFile, Listing, ListingInvalid, listing_of, parse_listing
from salver.models.trees import TreeFile, TreeLimits, tree_files
from salver.models.zips import ZipRefused, open_zip

ENDING = ".salver"
RECORD_NAME = "salver.json"
"""What a package says of itself: signature, requirements, what it was made and proved with."""
LONGEST_TEXT_BYTES = 16 * 1024 * 1024
_NAMED = re.compile(r"@([0-9a-f]{16,64})\.salver")
_SHOWN_DIGITS = 16
_BEGINNING = (1980, 1, 1, 0, 0, 0)
_FIX = "Copy it again from where it was made, or make it anew with `salver package`."
_CHUNK_BYTES = 1024 * 1024


def package_name(model: str, digest: str) -> str:
    """The name of a package's file, of which its digest is a part: such a file is held to it."""
    return f"{model}@{digest[:_SHOWN_DIGITS]}{ENDING}"


# Reading


def is_package(path: Path) -> bool:
    """Whether a file is one, by its content; a zip that cannot be read is none."""
    try:
        with open_zip(path) as archive:
            return LISTING_NAME in archive.namelist()
    except (ZipRefused, OSError):
        return False


def read_text(path: Path, name: str) -> str | None:
    """A short text file of a package that is not unpacked, unchecked; None where there is none. Raises ZipRefused."""
    with open_zip(path) as archive:
        if name not in archive.namelist():
            return None
        with archive.open(name) as file:
            return file.read(LONGEST_TEXT_BYTES).decode("utf-8", "replace")


def unpack_package(path: Path, cache: Path) -> tuple[Path, str]:
    """The folder below `cache` with the package's files, every byte checked, and its digest. Raises LoadError."""

    def check(folder: Path) -> None:
        check_package(folder, path.name)

    folder = unpack(path, cache, check=check, fix=_FIX)
    return folder, hashlib.sha256((folder / LISTING_NAME).read_bytes()).hexdigest()


def check_package(folder: Path, file_name: str) -> str:
    """The digest of a package that was unpacked; rights to be run are set as its listing says.

    Raises OSError, and ArchiveRefused when a file was changed, added or removed, or `file_name` names another digest.
    """
    raw = (folder / LISTING_NAME).read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    try:
        listing = parse_listing(raw)
    except ListingInvalid:
        raise ArchiveRefused("is a package whose listing cannot be read") from None
    named = _NAMED.search(file_name)
    if named is not None and not digest.startswith(named[1]):
        raise ArchiveRefused(f"is named for the content sha256:{named[1]} and has sha256:{digest}")
    _check_files(folder, listing)
    return digest


def _check_files(folder: Path, listing: Listing) -> None:
    wanted = {file.name: file for file in listing.files}
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()} - {LISTING_NAME}
    for name in sorted(wanted.keys() ^ found):
        what = "is missing" if name in wanted else "is not in its listing"
        raise ArchiveRefused(f"is a package whose file {name} {what}")
    for name, file in wanted.items():
        path = folder / name
        with path.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file.digest:
                raise ArchiveRefused(f"is a package whose file {name} was changed")
        path.chmod(0o755 if file.is_executable else 0o644)


# Writing


def write_package(folder: Path, target: Path, limits: TreeLimits | None = None) -> Listing:
    """Write all files below a folder as the package `target`, which is replaced. Raises ArchiveRefused and OSError."""
    listing, files = _looked_at(folder, limits)
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(_entry(LISTING_NAME, is_executable=False), listing.encode())
            for file in sorted(files, key=lambda file: file.name):
                _add(archive, file)
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return listing


def listing_in(folder: Path, limits: TreeLimits | None = None) -> Listing:
    """What the package of a folder would list. Raises ArchiveRefused and OSError."""
    return _looked_at(folder, limits)[0]


def _looked_at(folder: Path, limits: TreeLimits | None) -> tuple[Listing, Sequence[TreeFile]]:
    files = tree_files(folder, None, limits or TreeLimits())
    return listing_of(_listed(file) for file in files), files


def _listed(file: TreeFile) -> ListedFile:
    with file.path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return ListedFile(name=file.name, size=file.size, is_executable=file.is_executable, digest=digest)


def _add(archive: zipfile.ZipFile, file: TreeFile) -> None:
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
