"""Parts of a slab, put together in memory that is used again."""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

from salver_worker.links import KEPT_BYTES, aligned_buffer

Part = Tuple[int, int]
"""Offset and size."""


class Gathering:
    """One buffer for each name; what it holds is good until the next call for that name."""

    def __init__(self) -> None:
        self._buffers: Dict[str, memoryview] = {}

    def gather(self, name: str, parts: Sequence[Part], slab: memoryview) -> memoryview:
        """The parts, one after the other, to read."""
        size = sum(size for _, size in parts)
        buffer = self._buffer(name, size)
        end = 0
        for offset, part_size in parts:
            buffer[end : end + part_size] = slab[offset : offset + part_size]
            end += part_size
        return buffer[:size].toreadonly()

    def _buffer(self, name: str, size: int) -> memoryview:
        kept = self._buffers.get(name)
        if kept is not None and len(kept) >= size:
            return kept
        buffer = aligned_buffer(size)
        if size <= KEPT_BYTES:
            self._buffers[name] = buffer
        return buffer
