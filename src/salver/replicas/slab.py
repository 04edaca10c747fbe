"""One piece of shared memory per front end, for bodies that are too big to copy through a socket."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os

from salver.types import SlabSlice

PAGE = 4096
"""Slices are whole numbers of these bytes: tensors of such a size lie side by side, and a batch of them is one."""
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""A worker that has the descriptor could otherwise shrink the memory, and the next write here would end the server."""


class Slab:
    """A memfd, mapped here and in every worker that has a link to this front end.

    Memory of this size costs as many page faults as the copy it saves, so it is made once and its pages are used again:
    the lowest free run that fits is taken. Not thread-safe: the loop that owns the front end owns it.
    """

    def __init__(self, size_bytes: int, inherited_fd: int | None = None) -> None:
        self._pages = max(1, size_bytes // PAGE)
        self.size_bytes = self._pages * PAGE
        self.fd = self._create() if inherited_fd is None else inherited_fd
        self._map = mmap.mmap(self.fd, self.size_bytes)
        self._view = memoryview(self._map)
        self._free: list[tuple[int, int]] = [(0, self._pages)]
        """Free runs as (first page, pages), by first page, never touching each other."""

    def _create(self) -> int:
        fd = os.memfd_create("salver-slab", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, self.size_bytes)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        return fd

    def take(self, size_bytes: int) -> SlabSlice | None:
        """A slice of exactly `size_bytes` (at least 1), or None when no free run is long enough."""
        pages = max(1, -(-size_bytes // PAGE))
        for index, (first, length) in enumerate(self._free):
            if length >= pages:
                if length == pages:
                    del self._free[index]
                else:
                    self._free[index] = (first + pages, length - pages)
                offset = first * PAGE
                return SlabSlice(self, offset, self._view[offset : offset + size_bytes])
        return None

    def free(self, piece: SlabSlice) -> None:
        first, pages = piece.offset // PAGE, max(1, -(-piece.view.nbytes // PAGE))
        with contextlib.suppress(BufferError):  # a finished write or an array may still have it open for a moment
            piece.view.release()
        runs = self._free
        index = next((i for i, run in enumerate(runs) if run[0] > first), len(runs))
        if index < len(runs) and first + pages == runs[index][0]:
            pages += runs[index][1]
            del runs[index]
        if index and runs[index - 1][0] + runs[index - 1][1] == first:
            first, pages = runs[index - 1][0], runs[index - 1][1] + pages
            runs[index - 1] = (first, pages)
        else:
            runs.insert(index, (first, pages))

    @property
    def free_bytes(self) -> int:
        return sum(length for _, length in self._free) * PAGE

    def close(self) -> None:
        """Give the memory back. Slices still held keep the mapping alive until they are released."""
        os.close(self.fd)
        try:
            self._view.release()
            self._map.close()
        except BufferError:
            return
