"""What a model archive may hold, judged by the list of its entries before any of them is unpacked."""

from __future__ import annotations

import re
import stat
import unicodedata
import zipfile
from collections.abc import Sequence

import msgspec

MIB = 1024 * 1024

_DRIVE = re.compile(r"[A-Za-z]:")
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_IS_ENCRYPTED = 0x1
_MAX_NAME_BYTES = 255
_MAX_DEPTH = 32


class ArchiveLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much an archive may grow to."""

    max_entries: int = 10_000
    max_bytes: int = 32 * 1024 * MIB
    max_ratio: int = 200
    """Expanded bytes for each byte of the archive, above `free_bytes`."""
    free_bytes: int = 64 * MIB

    def most_bytes(self, archive_bytes: int) -> int:
        """How large an archive of this size may be when unpacked."""
        return min(self.max_bytes, max(self.free_bytes, self.max_ratio * archive_bytes))


class ArchiveRefused(Exception):
    """The archive is not unpacked; the text says why and goes behind the file's name."""


class PackedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an archive, or of a folder that shall become an artefact, as its list announces it."""

    name: str
    size: int
    is_folder: bool
    kind: int
    """The file type bits of its mode; 0 where they are not told."""


def check_entries(
    entries: Sequence[zipfile.ZipInfo], archive_bytes: int, limits: ArchiveLimits
) -> tuple[zipfile.ZipInfo, ...]:
    """The files to unpack; folders follow from their names. Raises ArchiveRefused for the first unfit entry."""
    check_packed([_packed(entry) for entry in entries], archive_bytes, limits)
    for entry in entries:
        _check_packing(entry)
    return tuple(entry for entry in entries if not entry.is_dir())


def check_packed(entries: Sequence[PackedEntry], archive_bytes: int, limits: ArchiveLimits) -> None:
    """Whether all of this may be unpacked beside each other. Raises ArchiveRefused for the first unfit entry."""
    if len(entries) > limits.max_entries:
        raise ArchiveRefused(f"has {len(entries)} entries, more than {limits.max_entries}")
    total = sum(entry.size for entry in entries)
    most = limits.most_bytes(archive_bytes)
    if total > most:
        raise ArchiveRefused(f"would unpack to {total} bytes; an archive of {archive_bytes} bytes may have {most}")
    check_names(entries)


def check_names(entries: Sequence[PackedEntry]) -> None:
    """Whether every entry is an ordinary file or folder whose name means the same on any system, and no other's."""
    seen: dict[str, bool] = {}
    for entry in entries:
        parts = plain_parts(entry.name)
        if parts is None:
            raise ArchiveRefused(f"has an entry with the unsafe name {entry.name!r}")
        if entry.kind not in (0, stat.S_IFDIR if entry.is_folder else stat.S_IFREG):
            raise ArchiveRefused(f"has the entry {entry.name!r}, which is no ordinary file")
        _note_path(_folded(parts), entry, seen)


def plain_parts(name: str) -> list[str] | None:
    """The folders and the name in an entry's name; None where it could mean a place outside, on any system."""
    parts = name.removesuffix("/").split("/")
    is_odd = "\\" in name or _DRIVE.match(name) or any(unicodedata.category(sign).startswith("C") for sign in name)
    is_plain = not is_odd and len(parts) <= _MAX_DEPTH and all(_is_plain(part) for part in parts)
    return parts if is_plain else None


def _packed(entry: zipfile.ZipInfo) -> PackedEntry:
    return PackedEntry(
        name=entry.orig_filename,
        size=entry.file_size,
        is_folder=entry.filename.endswith("/"),
        kind=stat.S_IFMT(entry.external_attr >> 16),
    )


def _check_packing(entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & _IS_ENCRYPTED:
        raise ArchiveRefused(f"has the encrypted entry {entry.filename!r}")
    if entry.compress_type not in _METHODS:
        raise ArchiveRefused(f"has the entry {entry.filename!r} in a compression other than deflate")


def _is_plain(part: str) -> bool:
    return part not in ("", ".", "..") and len(part.encode()) <= _MAX_NAME_BYTES


def _folded(parts: list[str]) -> list[str]:
    return [unicodedata.normalize("NFC", part.casefold()) for part in parts]


def _note_path(parts: list[str], entry: PackedEntry, seen: dict[str, bool]) -> None:
    """Two entries may share a folder and nothing else, in whatever case they are written.

    `seen` has the paths so far, and whether each is a folder.
    """
    for length in range(1, len(parts)):
        if not seen.setdefault("/".join(parts[:length]), True):
            raise ArchiveRefused(f"has the entry {entry.name!r} below another that is a file")
    path = "/".join(parts)
    if path in seen and not (entry.is_folder and seen[path]):
        raise ArchiveRefused(f"has the entry {entry.name!r} twice")
    seen[path] = entry.is_folder
