"""A front end that only remembers what it was told, as slowly as a test wants, and holds who tells it to the rules."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Collection, Sequence

from salver.models.workflows.base import Workflow
from salver.processes.channel import ChannelClosed
from salver.store.base import KeyRecord
from salver.telemetry.counters import BatchCount, Report
from salver.types import ModelStatus, ModelVersion


class ToldFrontEnd:
    """processes.base.FrontEndHandle. `turns` of the loop pass before it has taken something in."""

    def __init__(self, turns: int = 1, *, slab_fd: int = -1, slab_bytes: int = 0) -> None:
        self.slab_fd = slab_fd
        self.slab_bytes = slab_bytes
        self.turns = turns
        self.is_gone = False
        """Its process has ended: who tells it something hears so at once."""
        self.is_stuck = False
        """Its process lives and takes nothing in."""
        self.fault: Exception | None = None
        """What it answers from now on."""
        self.models: tuple[ModelStatus, ...] = ()
        self.keys: tuple[KeyRecord, ...] = ()
        self.workflows: tuple[Workflow, ...] = ()
        self.counted = Report()
        self.done: list[str] = []
        self.abandoned_because = ""
        self.busy: set[str] = set()
        """Replicas that have requests of this front end, until the test takes them out."""
        self._links: dict[str, socket.socket] = {}

    @property
    def links(self) -> dict[str, socket.socket]:
        """Open data links by the replica's id."""
        for replica_id, sock in list(self._links.items()):
            with contextlib.suppress(BlockingIOError):
                if not sock.recv(1, socket.MSG_PEEK):
                    self._links.pop(replica_id).close()
        return self._links

    async def _take_in(self) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if self.is_stuck:
            await asyncio.get_running_loop().create_future()
        if self.is_gone:
            raise ChannelClosed
        if self.fault is not None:
            raise self.fault

    async def publish(self, models: Sequence[ModelStatus]) -> None:
        await self._take_in()
        self.models = tuple(models)
        self.done.append("publish")

    async def set_keys(self, keys: Sequence[KeyRecord]) -> None:
        await self._take_in()
        self.keys = tuple(keys)
        self.done.append("set_keys")

    async def set_workflows(self, workflows: Sequence[Workflow]) -> None:
        await self._take_in()
        self.workflows = tuple(workflows)
        self.done.append("set_workflows")

    async def set_log_level(self, level: str) -> None:
        await self._take_in()
        self.done.append(f"set_log_level {level}")

    async def attach(self, version: ModelVersion, replica_id: str, link_number: int, sock: socket.socket) -> None:
        try:
            await self._take_in()
        except BaseException:
            sock.close()
            raise
        sock.setblocking(False)
        infos = {entry.id: entry.info for model in self.models for entry in model.versions}
        assert infos.get(version) is not None, f"a link to {version}, of which nothing was said"
        assert replica_id not in self.links, f"a second link to {replica_id}"
        self._links[replica_id] = sock
        self.done.append(f"attach {replica_id}")

    async def let_go(self, replica_ids: Collection[str]) -> bool:
        await self._take_in()
        for replica_id in set(replica_ids) - self.busy:
            if replica_id in self.links:
                self._links.pop(replica_id).close()
        return not set(replica_ids) & set(self.links)

    async def listen(self) -> None:
        await self._take_in()

    async def report(self) -> Report:
        await self._take_in()
        return self.counted

    async def batches(self) -> tuple[BatchCount, ...]:
        await self._take_in()
        return self.counted.batches

    async def drain(self) -> None:
        await self._take_in()
        self.done.append("drain")

    async def finish(self, timeout_s: float) -> None:
        await self._take_in()
        self.done.append(f"finish {timeout_s:g}")
        self.close()

    def abandon(self, reason: str) -> None:
        self.abandoned_because = reason
        self.is_gone = True
        self.close()

    def close(self) -> None:
        for sock in self._links.values():
            sock.close()
        self._links.clear()
