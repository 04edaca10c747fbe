"""When files that somebody else writes have come to rest. Pure: it is told what was seen, and when."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

COMPLETE = ".complete"
"""A file of this name, newer than all others of a version, says that nothing more will come."""


class Mark(msgspec.Struct, frozen=True, order=True):
    """What a look from outside tells of one file."""

    name: str
    size: int
    changed_ns: int
    tag: str = ""
    """What else tells contents apart: the ETag of an object, the reason why a folder cannot be read."""


class Snapshot(msgspec.Struct, frozen=True):
    """All files of one version, and since when they have been so."""

    marks: tuple[Mark, ...]
    since: float

    @property
    def stamp(self) -> str:
        """Another text for other marks."""
        return hashlib.sha256(msgspec.json.encode(self.marks)).hexdigest()

    @property
    def is_declared_complete(self) -> bool:
        """Whether the newest file is the one that says so."""
        declared = [mark.changed_ns for mark in self.marks if mark.name == COMPLETE]
        return bool(declared) and len(self.marks) > 1 and declared[0] >= max(mark.changed_ns for mark in self.marks)


def snapshot(previous: Snapshot | None, marks: Iterable[Mark], now: float) -> Snapshot:
    """The files as they are now; what has not changed has been so since the look that first saw it."""
    ordered = tuple(sorted(marks))
    is_same = previous is not None and previous.marks == ordered
    return previous if previous is not None and is_same else Snapshot(ordered, now)


def is_stable(previous: Snapshot | None, current: Snapshot, quiet_s: float, now: float) -> bool:
    """Whether a version may be taken: it stayed as it is for `quiet_s` between two looks, or says it is complete."""
    if current.is_declared_complete:
        return True
    return previous is not None and previous.marks == current.marks and now - previous.since >= quiet_s
