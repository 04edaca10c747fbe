"""Tells a model that is still being copied from one that is complete."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Look(msgspec.Struct, frozen=True):
    """Every file of a model at one moment: its path inside, its size, when it was last written (nanoseconds)."""

    files: tuple[tuple[str, int, int], ...]


def is_stable(before: Look, after: Look) -> bool:
    """Whether nothing came, went, grew or was written between two looks, and something is there."""
    return before == after and any(size for _, size, _ in after.files)


def look_at(path: Path) -> Look:
    """Look at a file, or at all files of a folder. What vanishes meanwhile is left out."""
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    files = []
    for file in found:
        try:
            status = file.stat()
        except FileNotFoundError:
            continue
        if file.is_file():
            files.append((str(file.relative_to(path)), status.st_size, status.st_mtime_ns))
    return Look(tuple(files))
