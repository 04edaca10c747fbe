"""Opens a zip that nobody has vouched for."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_DIRECTORY_BYTES = 4 * 1024 * 1024
"""The list of a zip's entries is held in memory whole; one of 10,000 entries takes about 1 MB."""


_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, ValueError, OverflowError)
"""What `zipfile` raises when the bytes are not what they should be."""


class ZipRefused(Exception):
    """The file is no zip, or one that is not to be opened; the text says why and goes behind the file's name."""


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip at `path`, its list of entries read. Raises ZipRefused, also for what goes wrong while it is open."""
    with _BoundedReads(io.FileIO(path)) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except _DAMAGE as error:
            raise ZipRefused(f"is a damaged zip: {error}") from error


class _BoundedReads(io.BufferedReader):
    """A file that gives no more at once than a list of entries may be long; `zipfile` reads that list in one piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return super().read(MAX_DIRECTORY_BYTES)  # only the few bytes behind the list are read without a size
        if size > MAX_DIRECTORY_BYTES:
            raise ZipRefused(f"is a zip whose list of entries is longer than {MAX_DIRECTORY_BYTES} bytes")
        return super().read(size)
