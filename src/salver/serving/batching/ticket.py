"""One request on its way through a queue, and the batch that carries it to a worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from salver.errors import SalverError
from salver.replicas.link import Link
from salver.types import InferRequest, InferResponse, VersionInfo

if TYPE_CHECKING:
    from salver.serving.batching.oversize import Gathering

FOREVER = float("inf")


class Expected:
    """Tickets to come: `submit` queues them at the end of this turn of the loop."""

    def submit(self) -> None:
        raise AssertionError("who is expected says what comes")


class Ticket:
    """One request in the queue. Its owner subclasses it with what must happen at the end.

    It is no abstract class: compiled by mypyc, one of those crashed the collector of garbage.

    `reply` is called exactly once, on the loop, with a response or an error; before it, `part` with each part of an
    answer that comes in parts. `settle` is called exactly once when no
    worker can be reading the request's memory any more; it may come before or after `reply`.
    """

    request: InferRequest
    """Set by `ask` alone."""
    size: int
    """The request's rows."""
    group: Any
    """The request's group."""
    is_step: bool
    """Whether the request is a step of a sequence."""
    deadline: float
    request_id: str
    is_done = False
    attempts = 0
    has_parts = False
    """Whether its caller has had a part of the answer: it is not run again then."""
    queued_at = 0.0
    sent_at = 0.0
    requests = 1
    """How many requests of callers it stands for."""
    whole: Gathering | None = None
    """What puts this request's pieces together, when it has too many rows for one batch."""

    def __init__(self, request: InferRequest, deadline: float, request_id: str) -> None:
        self.ask(request)
        self.deadline = deadline
        self.request_id = request_id

    def ask(self, request: InferRequest) -> None:
        """What it is for; its size and group are read often, and lie nearer here."""
        self.request = request
        self.size = request.rows
        self.group = request.group
        self.is_step = request.sequence is not None

    def reply(self, response: InferResponse | None, error: SalverError | None) -> None:
        """Called once, on the loop."""
        raise AssertionError("who queues a ticket says what its answer does")

    def part(self, response: InferResponse) -> None:
        """A part of the answer, for requests that want parts; called on the loop."""
        raise AssertionError("who asks for parts says what becomes of them")

    def cancel(self) -> None:
        """The caller is gone."""

    def apart(self) -> Sequence[Ticket]:
        """The tickets that this one is made of, to be run one by one; itself when it is a single request's.

        It is not answered any more then: they are.
        """
        return (self,)

    def settle(self) -> None:
        """Most requests hold no shared memory and need nothing here."""


class Watcher(Protocol):
    """Who reaches the workers beside the link: interrupts a batch, replaces a worker that will not stop."""

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None: ...

    def replace_worker(self, replica_id: str, reason: str) -> None: ...

    def log_model_error(self, version: VersionInfo, request_id: str, header: dict[str, Any]) -> None: ...


class Flight:
    """A batch that a worker has."""

    __slots__ = ("is_cancelled", "kill_at", "link", "requests", "rows", "sent_at", "tickets")

    def __init__(self, link: Link, tickets: list[Ticket], rows: int, requests: int, sent_at: float) -> None:
        self.link = link
        self.tickets = tickets
        self.rows = rows
        self.requests = requests
        self.sent_at = sent_at
        self.kill_at = FOREVER
        self.is_cancelled = False


def parts_of(ticket: Ticket) -> Sequence[Ticket]:
    """The tickets to be run one by one in place of this one, as old and as often tried; itself when it is answered."""
    parts = (ticket,) if ticket.is_done else ticket.apart()
    for part in parts:
        part.queued_at = ticket.queued_at
        part.sent_at = ticket.sent_at
        part.attempts = ticket.attempts
    return parts


def without_done(tickets: deque[Ticket]) -> deque[Ticket]:
    """The tickets that still wait for an answer; the others are settled."""
    kept: deque[Ticket] = deque()
    for ticket in tickets:
        if ticket.is_done:
            ticket.settle()
        else:
            kept.append(ticket)
    return kept
