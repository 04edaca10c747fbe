"""The requests that wait for a replica, by who may share a batch: a data structure, no clock, no loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from salver.serving.batching.ticket import FOREVER, Ticket, without_done

MANY_DONE = 64
"""So many answered tickets may lie among waiting ones before they are taken out."""


class WaitingLine:
    """Tickets in groups that may be run together, and those that must be run alone.

    `rows` counts the rows of tickets that still want an answer. A ticket that was answered while it waited (its
    deadline passed, its caller hung up) stays where it is until it is reached or `forget_done` takes it out.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._groups: dict[Any, deque[Ticket]] = {}
        self._alone: deque[Ticket] = deque()
        self.pinned: dict[str, deque[Ticket]] = {}
        """Tickets that one replica must answer, each by itself, in the order in which they came."""
        self.pinned_rows = 0
        self._done = 0

    @property
    def has_alone(self) -> bool:
        return bool(self._alone)

    def add(self, ticket: Ticket) -> None:
        self.rows += ticket.size
        group = self._groups.get(ticket.group)
        if group is None:
            self._groups[ticket.group] = deque((ticket,))
        else:
            group.append(ticket)

    def add_alone(self, ticket: Ticket) -> None:
        """The ticket is run before all others, and by itself."""
        self.rows += ticket.size
        self._alone.append(ticket)

    def add_pinned(self, ticket: Ticket, replica_id: str) -> None:
        """The ticket is run by this replica and no other."""
        self.rows += ticket.size
        self.pinned_rows += ticket.size
        self.pinned.setdefault(replica_id, deque()).append(ticket)

    def oldest_at(self) -> float:
        """When the ticket that has waited longest in any group came; FOREVER when there is none."""
        return min((group[0].queued_at for group in self._groups.values()), default=FOREVER)

    def take(self, max_rows: int) -> list[Ticket]:
        """The tickets to run next: one alone, or the group that has waited longest, up to `max_rows` (at least one).

        May be empty when only answered tickets were in reach.
        """
        if self._alone:
            return self._take_alone()
        groups = self._groups
        key: Any = None
        oldest_at = FOREVER
        for each, tickets in groups.items():
            if tickets[0].queued_at < oldest_at:
                key, oldest_at = each, tickets[0].queued_at
        group = groups.get(key)
        if group is None:
            return []
        taken: list[Ticket] = []
        rows = 0
        while group:
            ticket = group[0]
            if taken and rows + ticket.size > max_rows:
                break
            group.popleft()
            if ticket.is_done:
                self._done -= 1
                ticket.settle()
                continue
            taken.append(ticket)
            rows += ticket.size
        if not group:
            del groups[key]
        self.rows -= rows
        return taken

    def _take_alone(self) -> list[Ticket]:
        ticket = self._alone.popleft()
        if ticket.is_done:
            self._done -= 1
            ticket.settle()
            return []
        self.rows -= ticket.size
        return [ticket]

    def take_pinned(self, replica_id: str) -> list[Ticket]:
        """The ticket that this replica is to run next; none when only answered ones were left."""
        line = self.pinned[replica_id]
        taken: list[Ticket] = []
        while line and not taken:
            ticket = line.popleft()
            if ticket.is_done:
                self._done -= 1
                ticket.settle()
                continue
            taken.append(ticket)
            self.rows -= ticket.size
            self.pinned_rows -= ticket.size
        if not line:
            del self.pinned[replica_id]
        return taken

    def answered(self, ticket: Ticket) -> None:
        """The ticket, which waits here, has just been answered or given up."""
        self.rows -= ticket.size
        if ticket.is_step:
            self.pinned_rows -= ticket.size
        self._done += 1

    def forget_done(self) -> None:
        """Take answered tickets out once nothing else waits, or once there are many."""
        if not self._done or (self.rows and self._done < MANY_DONE):
            return
        self._done = 0
        self._alone = without_done(self._alone)
        self._groups = _without_done(self._groups)
        self.pinned = _without_done(self.pinned)

    def __iter__(self) -> Iterator[Ticket]:
        """Every ticket, answered ones too."""
        yield from self._alone
        for group in (*self._groups.values(), *self.pinned.values()):
            yield from group

    def clear(self) -> list[Ticket]:
        """Take everything out."""
        tickets = list(self)
        self._alone.clear()
        self._groups.clear()
        self.pinned.clear()
        self.rows = 0
        self.pinned_rows = 0
        self._done = 0
        return tickets


def _without_done(lines: dict[Any, deque[Ticket]]) -> dict[Any, deque[Ticket]]:
    """The lines without answered tickets, and without those that are empty then."""
    kept = {key: without_done(line) for key, line in lines.items()}
    return {key: line for key, line in kept.items() if line}
