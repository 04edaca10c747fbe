"""The hash chain of the audit log: each line's digest covers its content and the digest before it. Pure.

A line that is changed, or taken out of the middle, breaks the chain at a place that can be named. Who may write to the
database could compute a new chain, and the loss of the newest lines leaves no mark: keep a recent digest elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from salver.store.base import AuditLine

BEGINNING = ""
"""The digest before the first line."""


def chained(line: AuditLine, last: AuditLine | None) -> AuditLine:
    """The line with the number and the digest that make it the one after `last` (None: the first)."""
    sequence, previous = (1, BEGINNING) if last is None else (last.sequence + 1, last.digest)
    numbered = msgspec.structs.replace(line, sequence=sequence)
    return msgspec.structs.replace(numbered, digest=digest_after(previous, numbered))


def digest_after(previous: str, line: AuditLine) -> str:
    """SHA-256, in hexadecimal, over the previous digest and the line's other fields as a JSON array."""
    content = (
        previous,
        line.sequence,
        line.at,
        line.principal,
        line.operation,
        line.scope,
        line.decision,
        line.outcome,
        line.request_id,
        line.peer,
        line.detail,
    )
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def first_broken(lines: Iterable[AuditLine]) -> int | None:
    """The number of the first line, in ascending order, that does not follow from the one before; None when all do."""
    expected, previous = 1, BEGINNING
    for line in lines:
        if line.sequence != expected or line.digest != digest_after(previous, line):
            return line.sequence
        expected, previous = expected + 1, line.digest
    return None
