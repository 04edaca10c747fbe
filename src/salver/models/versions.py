"""Which of a model's numbered folders are served."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MAX_VERSION = 2**63 - 1


def version_of(folder_name: str) -> int | None:
    """The version that a folder's name stands for: `3` and `00000003` are 3; None for any other name."""
    if not (folder_name.isascii() and folder_name.isdigit()):
        return None
    digits = folder_name.lstrip("0") or "0"
    is_in_range = len(digits) < 20 and int(digits) <= MAX_VERSION
    return int(digits) if is_in_range else None


def numbered(folder_names: Iterable[str]) -> dict[int, str]:
    """The folders that are versions. Of two names for one number the shorter stands for it."""
    found: dict[int, str] = {}
    for name in sorted(folder_names, key=len, reverse=True):
        version = version_of(name)
        if version is not None:
            found[version] = name
    return found


def newest(versions: Mapping[int, str], count: int | None = 1) -> dict[int, str]:
    """The `count` highest versions, highest first; all of them when `count` is None."""
    return {version: versions[version] for version in sorted(versions, reverse=True)[:count]}
