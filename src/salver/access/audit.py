"""The audit log's writing side: state changes before they are acknowledged, refusals without holding up a caller."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from math import inf

import msgspec

from salver.access.denials import Denials
from salver.errors import SalverError
from salver.store.base import AuditLine, Store

MAX_TEXT = 200
MAX_DETAIL = 500
MAX_WAITING = 1000


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One use of an operation that the audit log must show."""

    principal: str
    """A principal's id; empty when nobody was recognised."""
    operation: str
    outcome: str
    """`OK`, or the value of the Code that it ended with."""
    is_allowed: bool = True
    scope: str = "server"
    """What it was about: `server`, or `model/<name>`."""
    request_id: str = ""
    peer: str = ""
    """The caller's address without the port, so that refusals of one caller are recognised as the same."""
    detail: str = ""


def audit_line(event: AuditEvent, at: float) -> AuditLine:
    """The event as a line that no store has numbered yet, its text cut short and freed of control characters."""
    return AuditLine(
        sequence=0,
        at=at,
        principal=_plain(event.principal, MAX_TEXT),
        operation=_plain(event.operation, MAX_TEXT),
        scope=_plain(event.scope, MAX_TEXT),
        decision="allowed" if event.is_allowed else "denied",
        outcome=_plain(event.outcome, MAX_TEXT),
        request_id=_plain(event.request_id, MAX_TEXT),
        peer=_plain(event.peer, MAX_TEXT),
        detail=_plain(event.detail, MAX_DETAIL),
        digest="",
    )


class AuditLog:
    """Writes events to the store. One thread of its own writes the refusals; `close` writes what is left and ends it.

    `lost` counts refusals that could not be written, because the store failed or was too slow.
    """

    def __init__(
        self,
        store: Store,
        *,
        denials: Denials | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lost = 0
        self._store = store
        self._denials = Denials() if denials is None else denials
        self._clock = clock
        self._monotonic = monotonic
        self._waiting: deque[AuditLine] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._writer = threading.Thread(target=self._write_denials, name="audit", daemon=True)
        self._writer.start()

    def record(self, event: AuditEvent) -> AuditLine:
        """Write a state change; when this returns, the line survives a power cut. Blocks. Raises SalverError."""
        return self._store.append_audit(audit_line(event, self._clock()))

    def note_denial(self, event: AuditEvent) -> None:
        """Have a refusal written soon, alone or as part of a count. Never waits for the store and never fails."""
        line = audit_line(event, self._clock())
        with self._changed:
            first = self._denials.note(line, self._monotonic())
            if first is not None:
                self._enqueue(first)
                self._changed.notify()

    def close(self) -> None:
        """Write all that is waiting, counts of unfinished windows included. Nothing may be noted afterwards."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._writer.join()

    def _enqueue(self, line: AuditLine) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(line)
        else:
            self.lost += 1

    def _write_denials(self) -> None:
        is_last_round = False
        while not is_last_round:
            with self._changed:
                self._changed.wait_for(self._has_work, self._time_to_next_count())
                is_last_round = self._is_closing
                lines = self._take_lines(inf if is_last_round else self._monotonic())
            for line in lines:
                self._write(line)

    def _has_work(self) -> bool:
        return self._is_closing or bool(self._waiting)

    def _time_to_next_count(self) -> float | None:
        due = self._denials.next_due()
        return None if due == inf else max(0.0, due - self._monotonic())

    def _take_lines(self, now: float) -> list[AuditLine]:
        lines = [*self._waiting, *self._denials.take_due(now)]
        self._waiting.clear()
        return lines

    def _write(self, line: AuditLine) -> None:
        try:
            self._store.append_audit(line)
        except SalverError:
            self.lost += 1


def _plain(text: str, limit: int) -> str:
    """Printable text of at most `limit` characters that every database and JSON take."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:limit])
