"""Refusals, put together so that a flood of them cannot fill the audit log. Pure: the time is an argument.

The first refusal of a kind (who, what, about which model, how it ended, from where) is a line of its own. More of the
kind within the window are counted, and the count is one line when the window ends. Kinds beyond the limit share one
count. So no flood makes more than `2 * max_kinds + 1` lines per window, and nothing is left out of the sums.
"""

from __future__ import annotations

from math import inf

import msgspec

from salver.store.base import AuditLine

Kind = tuple[str, str, str, str, str]


class _Tally:
    """How often one kind came again since its last line."""

    __slots__ = ("again", "ends_at", "line")

    def __init__(self, line: AuditLine, ends_at: float) -> None:
        self.line = line
        self.again = 0
        self.ends_at = ends_at


class Denials:
    """The kinds of refusal of the current window. Times are seconds of a monotonic clock."""

    def __init__(self, *, window_s: float = 60.0, max_kinds: int = 64) -> None:
        self._window_s = window_s
        self._max_kinds = max_kinds
        self._tallies: dict[Kind, _Tally] = {}
        self._others: _Tally | None = None

    def note(self, line: AuditLine, now: float) -> AuditLine | None:
        """The line to write now, or None when it was counted instead."""
        kind = _kind(line)
        tally = self._tallies.get(kind)
        if tally is not None:
            _count(tally, line)
            return None
        if len(self._tallies) < self._max_kinds:
            self._tallies[kind] = _Tally(line, now + self._window_s)
            return line
        if self._others is None:
            self._others = _Tally(_of_many(line), now + self._window_s)
        _count(self._others, _of_many(line))
        return None

    def take_due(self, now: float) -> tuple[AuditLine, ...]:
        """The counts whose window has ended, as lines; with `now` infinite, all of them."""
        lines = []
        for kind, tally in [pair for pair in self._tallies.items() if pair[1].ends_at <= now]:
            if tally.again:
                lines.append(_sum(tally, f"{tally.again} more like this"))
                self._tallies[kind] = _Tally(tally.line, tally.ends_at + self._window_s)
            else:
                del self._tallies[kind]
        if self._others is not None and self._others.ends_at <= now:
            lines.append(_sum(self._others, f"{self._others.again} more, of many kinds"))
            self._others = None
        return tuple(lines)

    def next_due(self) -> float:
        """When `take_due` has something to do; infinity when nothing is counted."""
        ends = (tally.ends_at for tally in (*self._tallies.values(), self._others) if tally is not None)
        return min(ends, default=inf)


def _kind(line: AuditLine) -> Kind:
    return line.principal, line.operation, line.scope, line.outcome, line.peer


def _count(tally: _Tally, line: AuditLine) -> None:
    tally.again += 1
    tally.line = line


def _of_many(line: AuditLine) -> AuditLine:
    return msgspec.structs.replace(line, principal="*", operation="*", scope="*", outcome="*", peer="*", request_id="")


def _sum(tally: _Tally, detail: str) -> AuditLine:
    return msgspec.structs.replace(tally.line, detail=detail)
