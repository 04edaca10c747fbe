"""The front ends, which must all hear of every change: of each once, in the same order, and whoever comes late too."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from salver.errors import SalverError
from salver.models.workflows.base import Workflow
from salver.processes.base import FrontEndHandle
from salver.processes.channel import ChannelClosed
from salver.processes.ledger import Ledger
from salver.replicas.base import Worker, WorkerLost
from salver.store.base import KeyRecord
from salver.telemetry.counters import BatchCount, Report
from salver.types import ModelStatus, ModelVersion

T = TypeVar("T")

log = logging.getLogger("salver.control")
TELL_TIMEOUT_S = 10.0
"""A front end that has not taken in a change by then is ended and replaced: what it answers would be out of date."""
ATTACH_TIMEOUT_S = 5.0
"""A worker that has not taken in a data link by then counts as lost."""
REPORT_TIMEOUT_S = 2.0
LET_GO_PAUSE_S = 0.02
"""Between two questions whether a front end has finished what it had at some replicas."""
FINISH_MARGIN_S = 5.0
"""What a front end may need beyond the time for requests in flight, before the server ends without it."""


class Audience:
    """Tells front ends what there is to know (models.reconciler.Publisher). Owned by one loop.

    What is told is read when it is told, one change after the other, and nothing is told while a front end is brought
    up to date: so nobody keeps an older state than the others, misses a worker, or has two links to one.
    """

    def __init__(
        self,
        models: Callable[[], Sequence[ModelStatus]],
        workers: Callable[[], Sequence[tuple[ModelVersion, Worker]]],
        keys: Callable[[], Sequence[KeyRecord]],
    ) -> None:
        """`workers` are those that are ready; `keys` blocks for the disk."""
        self._models = models
        self._workers = workers
        self._keys = keys
        self._front_ends: list[FrontEndHandle] = []
        self._reached: set[str] = set()
        """Workers that every front end of the list was given a link to."""
        self._log_level = ""
        """Empty as long as it is the one that front ends begin with."""
        self.workflows: Sequence[Workflow] = ()
        """What new front ends are told; set before the first one comes."""
        self._ledger = Ledger()
        self._link_numbers = itertools.count(1)
        self._telling = asyncio.Lock()

    # Coming and going

    async def add(self, front_end: FrontEndHandle) -> None:
        """Bring a new front end up to date; from then on it hears of every change.

        Raises ChannelClosed, TimeoutError or SalverError when it cannot be told; it is no front end then.
        """
        async with self._telling, asyncio.timeout(TELL_TIMEOUT_S):
            await front_end.set_keys(await asyncio.to_thread(self._keys))
            if self._log_level:
                await front_end.set_log_level(self._log_level)
            await front_end.publish(self._models())
            if self.workflows:
                await front_end.set_workflows(self.workflows)
            for version, worker in self._workers():
                if worker.id in self._reached:  # the others are on their way to everybody
                    with contextlib.suppress(WorkerLost):
                        await self._link(front_end, version, worker)
            self._front_ends.append(front_end)

    async def remove(self, front_end: FrontEndHandle) -> None:
        """When this returns, nobody uses the front end or its slab any more."""
        async with self._telling:
            self._forget(front_end)

    # Changes

    async def publish(self) -> None:
        """Every front end answers from the present state when this returns."""
        async with self._telling:
            current = self._models()
            await self._tell(lambda front_end: front_end.publish(current))

    async def spread_keys(self) -> None:
        async with self._telling:
            keys = await asyncio.to_thread(self._keys)
            await self._tell(lambda front_end: front_end.set_keys(keys))

    async def set_workflows(self, workflows: Sequence[Workflow]) -> None:
        """Every front end answers these workflows, and no others, when this returns."""
        async with self._telling:
            self.workflows = workflows
            await self._tell(lambda front_end: front_end.set_workflows(workflows))

    async def set_log_level(self, level: str) -> None:
        async with self._telling:
            self._log_level = level
            await self._tell(lambda front_end: front_end.set_log_level(level))

    async def attach(self, version: ModelVersion, worker: Worker) -> None:
        """Every front end has a link to the worker when this returns. Raises WorkerLost."""
        async with self._telling:
            await self._tell(lambda front_end: self._link(front_end, version, worker))
            alive = {each.id for _, each in self._workers()}
            self._reached = (self._reached | {worker.id}) & alive

    async def let_go(self, replica_ids: Collection[str], timeout_s: float) -> bool:
        """Have every front end finish what it has at these replicas, and give them nothing new; whether all did.

        Links that were on their way to front ends when this was called are among those that they let go of.
        """
        async with self._telling:
            waiting = await self._not_let_go(self._front_ends, replica_ids)
        try:
            async with asyncio.timeout(timeout_s):
                while waiting:
                    await asyncio.sleep(LET_GO_PAUSE_S)
                    waiting = await self._not_let_go(waiting, replica_ids)
        except TimeoutError:
            log.warning("replicas_not_let_go", extra={"replicas": list(replica_ids), "timeout_s": timeout_s})
        return not waiting

    async def _not_let_go(
        self, front_ends: Sequence[FrontEndHandle], replica_ids: Collection[str]
    ) -> list[FrontEndHandle]:
        """Those that have something left there; who is gone has nothing."""
        asked = list(front_ends)
        answers = await asyncio.gather(*(_has_let_go(each, replica_ids) for each in asked))
        present = zip(asked, answers, strict=True)
        return [each for each, has_let_go in present if not has_let_go and each in self._front_ends]

    async def drain(self) -> None:
        async with self._telling:
            await self._tell(lambda front_end: front_end.drain())

    async def _link(self, front_end: FrontEndHandle, version: ModelVersion, worker: Worker) -> None:
        number = next(self._link_numbers)
        try:
            async with asyncio.timeout(ATTACH_TIMEOUT_S):
                sock = await worker.attach(number, front_end.slab_fd, front_end.slab_bytes)
        except TimeoutError as error:
            raise WorkerLost("it took no data link") from error
        await front_end.attach(version, worker.id, number, sock)

    async def _tell(self, tell: Callable[[FrontEndHandle], Awaitable[None]]) -> None:
        """All at once; one that cannot be told costs nobody else anything. Raises WorkerLost."""
        results = await asyncio.gather(
            *(self._tell_one(each, tell) for each in self._front_ends), return_exceptions=True
        )
        for result in results:
            if result is not None:
                raise result

    async def _tell_one(self, front_end: FrontEndHandle, tell: Callable[[FrontEndHandle], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(TELL_TIMEOUT_S):
                await tell(front_end)
        except WorkerLost:
            raise
        except Exception as error:  # noqa: BLE001  the boundary: whatever is wrong with one is not the others' concern
            log.warning("front_end_missed_a_change", extra={"error": repr(error)})
            self._forget(front_end)
            front_end.abandon("it missed a change")

    def _forget(self, front_end: FrontEndHandle) -> None:
        if front_end in self._front_ends:
            self._front_ends.remove(front_end)
            self._ledger.close(front_end)

    # Questions

    async def reports(self) -> list[Report]:
        """What each front end has counted, and those that are gone; of one that does not answer in time, its last."""
        await asyncio.gather(*(self._ask(each) for each in self._front_ends))
        return self._ledger.reports()

    async def batches(self) -> tuple[BatchCount, ...]:
        """What the queues of all front ends have done; of one that does not answer in time, what it told last."""
        await asyncio.gather(*(self._ask_for_batches(each) for each in self._front_ends))
        return self._ledger.batches()

    async def _ask_for_batches(self, front_end: FrontEndHandle) -> None:
        batches = await _in_time(front_end.batches())
        if batches is not None and front_end in self._front_ends:
            self._ledger.note_batches(front_end, batches)

    async def _ask(self, front_end: FrontEndHandle) -> None:
        report = await _in_time(front_end.report())
        if report is not None and front_end in self._front_ends:
            self._ledger.note(front_end, report)

    # The end

    async def finish(self, timeout_s: float) -> None:
        """Have every front end finish; none is left. They hear of changes meanwhile: requests may wait for one."""
        await asyncio.gather(*(self._finish(each, timeout_s) for each in self._front_ends))

    async def _finish(self, front_end: FrontEndHandle, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s + FINISH_MARGIN_S):
                await front_end.finish(timeout_s)
        except (ChannelClosed, SalverError, TimeoutError) as error:
            log.warning("front_end_did_not_finish", extra={"error": repr(error)})
            front_end.abandon("it did not finish")
        await self.remove(front_end)


async def _has_let_go(front_end: FrontEndHandle, replica_ids: Collection[str]) -> bool:
    try:
        async with asyncio.timeout(REPORT_TIMEOUT_S):
            return await front_end.let_go(replica_ids)
    except ChannelClosed:
        return True
    except Exception as error:  # noqa: BLE001  the boundary: it is asked again, and only so long
        log.warning("front_end_gave_no_answer", extra={"error": repr(error)})
        return False


async def _in_time(report: Awaitable[T]) -> T | None:
    """What a front end has counted; None where it does not say so in time."""
    try:
        async with asyncio.timeout(REPORT_TIMEOUT_S):
            return await report
    except (ChannelClosed, SalverError, TimeoutError) as error:
        log.warning("front_end_gave_no_report", extra={"error": repr(error)})
        return None
