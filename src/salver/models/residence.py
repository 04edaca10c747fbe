"""Which versions of models on demand are in memory: loaded when somebody asks, gone when nobody does or room is needed.

``residency.py`` decides. What was used when is read off the batches that front ends have counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from math import inf

from salver.errors import Code, RequestError
from salver.models.catalogue import Catalogue, Lives
from salver.models.residency import Resident, idle, make_room
from salver.models.states import SERVING
from salver.telemetry.counters import BatchCount
from salver.types import ModelStatus, ModelVersion, Scale, VersionState, VersionStatus

LOOK_S = 1.0
"""Time between two looks at what nobody asks for."""
STAY_S = 1.0
"""How long a version that was loaded for somebody stays at least: its requests are on their way to it."""
RETRY_S = 0.05
"""Time between two looks for room, while versions that may go later are being loaded."""
MIB = 1024 * 1024
WORKER_BYTES = 40 * MIB
LOADING = (VersionState.QUEUED, VersionState.BUILDING, VersionState.STARTING)

CountBatches = Callable[[], Awaitable[Sequence[BatchCount]]]
"""What every version's queues did so far, of all front ends."""


class Residence:
    """Wakes versions and puts them to sleep. Owned by one loop."""

    def __init__(
        self,
        catalogue: Catalogue,
        lives: Lives,
        count_batches: CountBatches,
        *,
        budget_bytes: int,
        worker_bytes: int = WORKER_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`budget_bytes`: what the workers of all versions may hold together; 0: no bound. `worker_bytes`: what one is
        taken to hold, until any was seen.
        """
        self._catalogue = catalogue
        self._lives = lives
        self._count_batches = count_batches
        self._budget_bytes = budget_bytes
        self._worker_bytes = worker_bytes
        self._clock = clock
        self._making_room = asyncio.Lock()
        self._batches: dict[ModelVersion, int] = {}
        self._used: dict[ModelVersion, float] = {}
        self._sizes: dict[ModelVersion, int] = {}
        """What versions held when they were last seen in memory."""
        self._stays_until: dict[ModelVersion, float] = {}
        """When those that were loaded for somebody may go again; for ever while they are loaded."""

    async def wake(self, model: str, version: int | None) -> None:
        """Returns when the version, or for None the default one, serves or cannot. It is loaded once for all who ask.

        Raises RequestError: MODEL_NOT_FOUND, VERSION_NOT_FOUND, MODEL_NOT_READY when somebody has unloaded the model,
        OVERLOADED when there is no room for it.
        """
        id = self._catalogue.sleeper(model, version)
        async with self._making_room:
            if not self._catalogue.is_awake(id):
                await self._make_room_for(id)
                self._used[id] = self._clock()
                self._stays_until[id] = inf
                self._catalogue.wake([id])
        try:
            await self._lives.settled([id])
        finally:
            self._stays_until[id] = self._clock() + STAY_S

    async def watch(self) -> None:
        """Put to sleep what nobody asks for, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._catalogue.has_idle_limits:
                await self.look()

    async def look(self) -> None:
        """One look at what nobody asks for."""
        async with self._making_room:
            self._catalogue.put_to_sleep(idle(await self._residents(), self._clock()))

    async def _make_room_for(self, id: ModelVersion) -> None:
        if not self._budget_bytes:
            return
        needed = self._size(id)
        while True:
            going = make_room(await self._residents(), needed, self._budget_bytes, self._clock())
            if going is not None or not self._can_wait():
                break
            await asyncio.sleep(RETRY_S)
        if going is None:
            raise RequestError(
                Code.OVERLOADED,
                f"There is no room for {id}: it needs {needed // MIB} MiB, and of the {self._budget_bytes // MIB} MiB "
                f"for models (--memory-budget-mb) the rest is held by models that are busy or stay loaded.",
                fix="Raise the budget, let other models be loaded on demand, or ask again when less is going on.",
                retry_after_s=5.0,
            )
        if going:
            self._catalogue.put_to_sleep(going)
            with contextlib.suppress(TimeoutError):
                await self._lives.settled(going)

    def _can_wait(self) -> bool:
        """Whether something that is loaded for others may go soon."""
        now = self._clock()
        self._stays_until = {id: until for id, until in self._stays_until.items() if until > now}
        return bool(self._stays_until)

    def _size(self, id: ModelVersion) -> int:
        """What the version holds in memory; a guess, where it was never seen there."""
        worker = min(self._sizes.values(), default=self._worker_bytes)
        return self._sizes.get(id, max(self._catalogue.size_bytes(id), worker))

    async def _residents(self) -> list[Resident]:
        counts = await self._count_batches()
        busy = {ModelVersion(count.model, count.version) for count in counts if count.waiting_rows or count.flying_rows}
        self._note_use(counts)
        return [
            self._resident(version, self._catalogue.scale(model.name), is_busy=version.id in busy)
            for model in self._lives.models()
            for version in model.versions
            if version.replicas and not self._is_asleep(model, version)
        ]

    def _is_asleep(self, model: ModelStatus, version: VersionStatus) -> bool:
        return version.state not in SERVING and not self._catalogue.is_awake(version.id)

    def _note_use(self, counts: Sequence[BatchCount]) -> None:
        """A version was used between two looks when its queues have sent more batches than before."""
        now = self._clock()
        totals: dict[ModelVersion, int] = {}
        for count in counts:
            id = ModelVersion(count.model, count.version)
            totals[id] = totals.get(id, 0) + count.batches
        for id, batches in totals.items():
            if batches != self._batches.get(id, 0):
                self._used[id] = now
        self._batches = totals

    def _resident(self, version: VersionStatus, scale: Scale, *, is_busy: bool) -> Resident:
        held = sum(replica.rss_bytes for replica in version.replicas)
        if held:
            held = self._sizes[version.id] = max(held, self._catalogue.size_bytes(version.id))
        is_kept = self._stays_until.get(version.id, -inf) > self._clock()
        return Resident(
            id=version.id,
            bytes=self._size(version.id) if version.state in LOADING else held,
            last_used=self._used.setdefault(version.id, self._clock()),
            is_pinned=scale.is_pinned,
            is_busy=is_busy or is_kept or version.state in LOADING,
            is_on_demand=scale.is_on_demand,
            idle_unload_s=scale.idle_unload_s,
        )
