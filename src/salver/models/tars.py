"""Opens a tar, packed with gzip or not, that nobody has vouched for."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from salver.models.archiverules import ArchiveLimits, ArchiveRefused, PackedEntry, check_packed

_CHUNK_BYTES = 64 * 1024
_MOST_AT_ONCE = 1024 * 1024 * 1024
"""What the kernel is asked to copy at once."""
_MAX_HEADER_BYTES = 64 * 1024 * 1024
"""What all headers together may be; `tarfile` holds them in memory."""
_BLOCK_BYTES = 512
GZIP_START = b"\x1f\x8b"
_DAMAGE = (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError, RecursionError, gzip.BadGzipFile)
"""What `tarfile` and `gzip` raise when the bytes are not what they should be."""


def extract_tar(archive: Path, folder: Path, limits: ArchiveLimits) -> None:
    """Write the files of a tar into an empty folder, with their right to be run and no other.

    Raises ArchiveRefused and OSError; what was written by then stays.
    """
    archive_bytes = archive.stat().st_size
    most = limits.most_bytes(archive_bytes)
    with _opened(archive, most) as reader, tarfile.open(fileobj=reader, mode="r:", errorlevel=2) as tar:
        members = _listed(tar, limits)
        check_packed([_packed(member) for member in members], archive_bytes, limits)
        reader.is_listing = False
        _check_end(reader, tar.offset)
        for member in [member for member in members if not member.isdir()]:
            _write(tar, member, folder / member.name, reader.plain if sys.platform == "linux" else None)


def find_member(archive: Path, ending: str, most_bytes: int, limits: ArchiveLimits) -> bytes | None:
    """The first bytes of the first file below one folder whose name ends so; None when there is none.

    Raises ArchiveRefused and OSError. Nothing is written.
    """
    most = limits.most_bytes(archive.stat().st_size)
    with _opened(archive, most) as reader, tarfile.open(fileobj=reader, mode="r:", errorlevel=2) as tar:
        for member in _listed(tar, limits):
            if member.isreg() and member.name.count("/") == ending.count("/") and member.name.endswith(ending):
                content = tar.extractfile(member)
                assert content is not None
                reader.is_listing = False
                return content.read(min(most_bytes, member.size))
    return None


class _BoundedReader(io.BufferedIOBase):
    """The unpacked bytes: no more at once than a header needs, and no more in all than the archive may have."""

    def __init__(self, inner: gzip.GzipFile | io.FileIO, most: int) -> None:
        self._inner = inner
        self._most = most + _MAX_HEADER_BYTES
        self._header_bytes = 0
        self.is_listing = True

    @property
    def plain(self) -> io.FileIO | None:
        """The archive, where it is not packed."""
        return self._inner if isinstance(self._inner, io.FileIO) else None

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _CHUNK_BYTES:
            raise ArchiveRefused(f"is a tar with a header longer than {_CHUNK_BYTES} bytes")
        chunk = self._inner.read(size)
        if self.is_listing:
            self._header_bytes += len(chunk)
            if self._header_bytes > _MAX_HEADER_BYTES:
                raise ArchiveRefused(f"is a tar with more than {_MAX_HEADER_BYTES} bytes of headers")
        return chunk

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        assert whence == os.SEEK_SET
        if offset > self._most:
            raise ArchiveRefused(f"unpacks to more than {self._most} bytes")
        return self._inner.seek(offset)

    def tell(self) -> int:
        return self._inner.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@contextmanager
def _opened(archive: Path, most: int) -> Iterator[_BoundedReader]:
    with archive.open("rb", buffering=0) as file:
        is_packed = file.read(2) == GZIP_START
        file.seek(0)
        try:
            yield _BoundedReader(gzip.GzipFile(fileobj=file) if is_packed else file, most)
        except _DAMAGE as error:
            raise ArchiveRefused(f"is a damaged tar: {error}") from error


def _listed(tar: tarfile.TarFile, limits: ArchiveLimits) -> list[tarfile.TarInfo]:
    members: list[tarfile.TarInfo] = []
    for member in tar:
        name = member.name.removeprefix("./")
        if member.isdir() and name in ("", "."):  # `tar -C folder .` names the folder itself
            continue
        member.name = name
        members.append(member)
        if len(members) > limits.max_entries:
            raise ArchiveRefused(f"has more than {limits.max_entries} entries")
    return members


def _check_end(reader: _BoundedReader, offset: int) -> None:
    """A tar ends with empty blocks; one that was cut between two files lacks them. Gzip's own check is at its end."""
    reader.seek(offset)
    block = reader.read(_BLOCK_BYTES)
    if len(block) < _BLOCK_BYTES or any(block):
        raise ArchiveRefused("is a tar that was cut off")
    while reader.read(_CHUNK_BYTES):
        pass


def _packed(member: tarfile.TarInfo) -> PackedEntry:
    if member.size < 0:
        raise ArchiveRefused(f"has the entry {member.name!r} of less than no bytes")
    is_plain = member.isreg() and not member.issparse()
    kind = stat.S_IFDIR if member.isdir() else stat.S_IFREG if is_plain else stat.S_IFLNK
    return PackedEntry(name=member.name, size=member.size, is_folder=member.isdir(), kind=kind)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, plain: io.FileIO | None) -> None:
    """`plain` is the archive itself, where the content lies in it as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        if plain is not None:
            written = _copied(plain.fileno(), member.offset_data, member.size, descriptor)
        else:
            content = tar.extractfile(member)
            assert content is not None
            written = 0
            while chunk := content.read(_CHUNK_BYTES):
                written += file.write(chunk)
        if written != member.size:
            raise ArchiveRefused(f"is cut off in the entry {member.name!r}")
        os.fchmod(file.fileno(), 0o755 if member.mode & stat.S_IXUSR else 0o644)


def _copied(source: int, offset: int, size: int, target: int) -> int:
    """Bytes that the kernel has copied; fewer than `size` where the source ends before.

    It does so without a lock on the interpreter, in which others answer meanwhile.
    """
    left = size
    while left and (sent := os.sendfile(target, source, offset, min(left, _MOST_AT_ONCE))):
        offset += sent
        left -= sent
    return size - left
