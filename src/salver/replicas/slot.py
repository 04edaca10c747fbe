"""One wanted replica: what its supervisor knows of it, and what others are told."""

from __future__ import annotations

import asyncio
import time

from salver.replicas.backoff import is_crash_loop
from salver.replicas.base import Worker
from salver.types import ReplicaStatus

NOTABLE = 0.1
"""A change of memory by this part is news."""


class Slot:
    """The place of one replica, kept through the lives of its workers."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        """The living one."""
        self.stopping = asyncio.Event()
        """Set when no further worker is wanted here."""
        self.task: asyncio.Task[None] | None = None
        """Keeps a worker alive here; None before the start."""
        self.replica_id = ""
        """The present worker's; after its end still."""
        self.state = "STARTING"
        self.restarts = 0
        self.crashes = 0
        """In a row."""
        self.reason = ""
        self.killed_because = ""
        """Set by who kills the worker: the process itself only knows that it was killed."""
        self._started_at = time.time()
        self._ready_at: float | None = None
        self._rss_bytes = 0
        self._told_rss_bytes = 0
        self._last_words: tuple[str, ...] = ()
        """The end of the log of the worker before the present one."""

    @property
    def is_ready(self) -> bool:
        return self.state == "READY"

    @property
    def log_tail(self) -> tuple[str, ...]:
        """What its worker printed last; what the one before printed as long as the present one says nothing."""
        return (self.worker.log_tail if self.worker is not None else ()) or self._last_words

    def begin(self, replica_id: str) -> None:
        """A worker is being started; a crash loop lasts until one is ready."""
        self.replica_id = replica_id
        self._started_at = time.time()
        self._ready_at = None
        if not is_crash_loop(self.crashes):
            self.state = "STARTING"

    def become_ready(self, rss_bytes: int, now: float) -> None:
        self.state = "READY"
        self.reason = ""
        self._ready_at = now
        self._rss_bytes = self._told_rss_bytes = rss_bytes

    def note_memory(self, rss_bytes: int) -> bool:
        """Keep the figure; whether it is worth telling."""
        self._rss_bytes = rss_bytes
        is_notable = abs(rss_bytes - self._told_rss_bytes) > NOTABLE * self._told_rss_bytes
        if is_notable:
            self._told_rss_bytes = rss_bytes
        return is_notable

    def ready_for(self, now: float) -> float:
        """How long the worker has been ready, in seconds; 0.0 if it never was."""
        return 0.0 if self._ready_at is None else now - self._ready_at

    def end(self, reason: str) -> None:
        """The worker has ended."""
        if self.worker is not None:
            self._last_words = self.worker.log_tail or self._last_words
        self.worker = None
        self.state = "LOST"
        self.reason = reason
        self.killed_because = ""
        self._rss_bytes = 0

    def status(self) -> ReplicaStatus:
        return ReplicaStatus(
            id=self.replica_id,
            pid=self.worker.pid if self.worker is not None else None,
            state=self.state,
            started_at=self._started_at,
            restarts=self.restarts,
            rss_bytes=self._rss_bytes,
            reason=self.reason,
        )
