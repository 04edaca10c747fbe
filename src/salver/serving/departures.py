"""What takes no new requests any more and still answers those it has: queues of versions that go, links of replicas."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from salver.replicas.link import Link
from salver.serving.batching.queue import VersionQueue
from salver.types import ModelVersion


class Departures:
    """Queues and links on their way out, in one front end."""

    def __init__(self) -> None:
        self._queues: list[VersionQueue] = []
        self._links: list[Link] = []
        """Without a queue: each may have one batch that is still out."""

    @property
    def queues(self) -> Sequence[VersionQueue]:
        return self._queues

    @property
    def links(self) -> list[Link]:
        """All that are still open."""
        return [*self._links, *(link for queue in self._queues for link in queue.links)]

    @property
    def is_idle(self) -> bool:
        return all(queue.is_idle for queue in self._queues) and all(link.is_idle for link in self._links)

    def add(self, queue: VersionQueue) -> None:
        """No more requests come to this queue; those it has are answered."""
        self._queues.append(queue)
        self._drop_empty()

    def withdraw(self, queue: VersionQueue, replica_ids: Collection[str]) -> None:
        """Take links away from a queue that stays. One of them stays while it is the only one that the queue has."""
        for link in [link for link in queue.links if link.replica_id in replica_ids]:
            if len(queue.links) > 1:
                queue.link_lost(link)
                self._links.append(link)

    def link_lost(self, link: Link) -> None:
        if link in self._links:
            self._links.remove(link)
        for queue in self._queues:
            queue.link_lost(link)
        self._drop_empty()

    def close_others(self, versions: Collection[ModelVersion]) -> None:
        """Close the queues of all versions but these, whatever they have."""
        for queue in self._queues:
            if queue.version.id not in versions:
                queue.close()
        self._drop_empty()

    def close_idle(self) -> None:
        """Close what has nothing left to answer."""
        for queue in self._queues:
            if queue.is_idle:
                queue.close()
        for link in self._links:
            if link.is_idle:
                link.close()
        self._drop_empty()

    def _drop_empty(self) -> None:
        """Nothing can be answered any more without a link; the queue has told so who waited."""
        for queue in [queue for queue in self._queues if queue.is_idle and not queue.links]:
            queue.close()
            self._queues.remove(queue)
