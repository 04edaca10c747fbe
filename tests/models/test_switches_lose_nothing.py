"""Whatever is wanted, as long as something is: every request that comes meanwhile is answered, by whoever serves."""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
from collections.abc import Collection, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from salver.errors import SalverError
from salver.models.reconciler import Reconciler
from salver.models.wanted import WantedModel
from salver.processes.audience import Audience
from salver.replicas.base import Failure, ReplicaSettings, ReplicaSpec
from salver.replicas.environments.memory import MemoryEnvironments
from salver.replicas.link import Link
from salver.replicas.memory import MemoryEngine, MemoryWorker
from salver.serving.batching.ticket import FOREVER, Ticket
from salver.serving.pipeline import Pipeline
from salver.store.base import KeyRecord
from salver.types import (
    STABLE,
    BatchSettings,
    InferRequest,
    InferResponse,
    ModelRoute,
    ModelStatus,
    ModelVersion,
    Tensor,
    VersionFailure,
    VersionInfo,
)
from virtual_time import run, until

LOADS_S = 0.3
ANSWERS_S = 0.07
EVERY_S = 0.011
BROKEN = "/broken"


class Request(Ticket):
    """One request that keeps what becomes of it."""

    response: InferResponse | None = None
    error: SalverError | None = None

    def reply(self, response: InferResponse | None, error: SalverError | None) -> None:
        self.response, self.error = response, error


class PipelineFrontEnd:
    """A front end that is a pipeline and nothing else, and takes its time to hear of something."""

    slab_fd = -1
    slab_bytes = 0

    def __init__(self, turns: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._turns = turns
        self.pipeline = Pipeline(self._loop, self, deadline_grace_s=1.0)
        self.requests: list[Request] = []

    async def _take_in(self) -> None:
        for _ in range(self._turns):
            await asyncio.sleep(0)

    async def publish(self, models: Sequence[ModelStatus]) -> None:
        await self._take_in()
        self.pipeline.apply(models)

    async def set_keys(self, keys: Sequence[KeyRecord]) -> None: ...

    async def attach(self, version: ModelVersion, replica_id: str, link_number: int, sock: socket.socket) -> None:
        await self._take_in()
        sock.setblocking(False)
        link = Link(replica_id, link_number, self.pipeline)
        await self._loop.create_connection(lambda: link, sock=sock)
        self.pipeline.attach(version, link)

    async def let_go(self, replica_ids: Collection[str]) -> bool:
        await self._take_in()
        return self.pipeline.let_go(replica_ids)

    async def finish(self, timeout_s: float) -> None:
        self.pipeline.close()

    def log_model_error(self, version: VersionInfo, request_id: str, header: dict[str, Any]) -> None: ...

    def ask(self) -> None:
        """One more request that names no version."""
        queue = self.pipeline.find("m", None, None)
        inputs = {"x": Tensor("FP32", (1, 1), [[1.0]])}
        request = Request(InferRequest(queue.version, "serving_default", inputs, None, 1, "g"), FOREVER, "r")
        queue.submit(request)
        self.requests.append(request)


def spec(version: int, path: str, replicas: int) -> ReplicaSpec:
    """Front ends see no difference between the forms, but that `/b` has another description."""
    return ReplicaSpec(
        id=ModelVersion("m", version),
        runtime="echo",
        path=path,
        folder="/",
        python=sys.executable,
        replicas=replicas,
        batching=BatchSettings(max_batch_rows=2),
        is_idempotent=False,
        description="another" if path == "/b" else "",
    )


def loads(worker: MemoryWorker) -> None:
    """It is ready after a while, or says that it cannot be loaded."""
    worker.answer_after_s = ANSWERS_S
    loop = asyncio.get_running_loop()
    if worker.spec.path == BROKEN:
        loop.call_later(LOADS_S, worker.fail, Failure(code="LOAD_FAILED", message="There are no weights."))
    else:
        loop.call_later(LOADS_S, worker.become_ready)


VERSIONS = st.integers(1, 3)
FORMS = st.builds(spec, VERSIONS, st.sampled_from(["/a", "/b", "/c", BROKEN]), st.integers(1, 2))


@st.composite
def wishes(draw: st.DrawFn) -> WantedModel:
    """Some versions, of which any may be stable or in the route."""
    by_version = {form.id.version: form for form in draw(st.lists(FORMS, min_size=1, max_size=3))}
    some = st.sampled_from(sorted(by_version))
    weights = draw(st.none() | st.dictionaries(some, st.integers(1, 9), min_size=1))
    return WantedModel(
        name="m",
        specs=tuple(by_version.values()),
        known=(1, 2, 3),
        labels={STABLE: draw(some)} if draw(st.booleans()) else {},
        route=None if weights is None else ModelRoute(weights=weights),
    )


PAUSES = st.sampled_from([0.0, 0.01, 0.1, LOADS_S, 0.35, 0.5, 1.0])


@given(st.lists(st.tuples(wishes(), PAUSES), min_size=1, max_size=6), st.tuples(st.integers(0, 9), st.integers(0, 9)))
@settings(max_examples=80, deadline=None)
def test_no_request_is_lost_whatever_is_wanted(wanted: list[tuple[WantedModel, float]], turns: tuple[int, int]) -> None:
    run(play(wanted, turns))


async def play(wanted: list[tuple[WantedModel, float]], turns: tuple[int, int]) -> None:
    engine = MemoryEngine(loads)
    audience = Audience(lambda: reconciler.models(), lambda: reconciler.ready_workers(), tuple)
    failures: dict[int, VersionFailure] = {}
    reconciler = Reconciler(
        engine, ReplicaSettings(), audience, lambda _: None, lambda _, failure: failure, MemoryEnvironments()
    )
    reconciler.on_failure = lambda id, failure: (  # noqa: A006
        failures.pop(id.version, None) if failure is None else failures.update({id.version: failure})
    )
    front_ends = [PipelineFrontEnd(count) for count in turns]
    for front_end in front_ends:
        await audience.add(front_end)  # type: ignore[arg-type]
    first = spec(1, "/a", 2)
    reconciler.want([WantedModel(name="m", specs=(first,), known=(1, 2, 3))])
    reconciler.start()
    await reconciler.settled([first.id])
    asking = asyncio.ensure_future(ask_on(front_ends))
    for want, pause_s in wanted:
        reconciler.want([want])
        await asyncio.sleep(pause_s)
    await asyncio.sleep(5)
    asking.cancel()
    await asyncio.wait([asking])
    requests = list(itertools.chain.from_iterable(front_end.requests for front_end in front_ends))
    await until(lambda: all(request.is_done for request in requests))
    assert [str(request.error) for request in requests if request.error is not None] == []
    assert asking.cancelled(), asking.exception()
    await audience.finish(0.0)
    await reconciler.stop()
    assert engine.living == []


async def ask_on(front_ends: list[PipelineFrontEnd]) -> None:
    """Request after request, each at another front end; raises what one of them hears at once."""
    for front_end in itertools.cycle(front_ends):
        front_end.ask()
        await asyncio.sleep(EVERY_S)
