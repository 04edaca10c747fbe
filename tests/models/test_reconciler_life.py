"""Whatever happens to workers and front ends, in any order: states follow the table, and nobody is told too much or
too little."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from salver.models.reconciler import Reconciler
from salver.models.states import ENDING, SERVING
from salver.models.wanted import WantedModel, all_wanted
from salver.processes.audience import TELL_TIMEOUT_S, Audience
from salver.processes.channel import ChannelClosed
from salver.replicas.base import Failure, ReplicaSettings, ReplicaSpec
from salver.replicas.environments.memory import MemoryEnvironments
from salver.replicas.memory import MemoryEngine, MemoryWorker
from salver.types import (
    BatchSettings,
    ModelVersion,
    Preserve,
    VersionFailure,
    VersionPolicy,
    VersionState,
    VersionStatus,
)
from told_front_end import ToldFrontEnd
from virtual_time import VirtualTimeLoop, settle

FAILURE = Failure(code="LOAD_FAILED", message="There are no weights.")
QUIET_S = 200.0
"""Longer than every pause and time limit together."""
NEVER = 1e9


class Faults(logging.Handler):
    """Keeps what only a fault of the server logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() != "load_failed":
            self.records.append(record)


class LifeOfAServer(RuleBasedStateMachine):
    """A reconciler on the engine's twin, and front ends that come and go while it works."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = Faults()
        logging.getLogger("salver").addHandler(self.faults)
        self.loop = VirtualTimeLoop()
        self.engine = MemoryEngine()
        self.told: list[VersionStatus] = []
        self.front_ends: list[ToldFrontEnd] = []
        self.joining: list[asyncio.Task[None]] = []
        self.is_stopped = False
        self.is_settled = False
        self.is_draining = False
        """Whether something may be on its way out, which takes time."""
        self.failures: dict[int, VersionFailure] = {}

    @initialize(replicas=st.lists(st.integers(1, 3), min_size=1, max_size=2), joins=st.booleans())
    def want(self, replicas: list[int], joins: bool) -> None:
        async def begin() -> None:
            self.audience = Audience(lambda: self.reconciler.models(), lambda: self.reconciler.ready_workers(), tuple)
            limits = ReplicaSettings(heartbeat_timeout_s=5.0, load_timeout_s=NEVER, backoff_max_s=8.0)
            self.reconciler = Reconciler(
                self.engine,
                limits,
                self.audience,
                self.told.append,
                lambda spec, failure: failure,
                MemoryEnvironments(),
            )
            self.reconciler.on_failure = self.note_failure
            specs = [spec_of(number, count) for number, count in enumerate(replicas, 1)]
            self.reconciler.want(all_wanted(specs))
            if joins:
                await self.audience.add(self.new_front_end(0))
            self.reconciler.start()

        self.play(begin())

    def note_failure(self, id: ModelVersion, failure: VersionFailure | None) -> None:
        if failure is None:
            self.failures.pop(id.version, None)
        else:
            self.failures[id.version] = failure

    def play(self, work: Any) -> None:
        self.is_settled = False
        self.loop.run_until_complete(work)

    def new_front_end(self, turns: int) -> ToldFrontEnd:
        front_end = ToldFrontEnd(turns)
        self.front_ends.append(front_end)
        return front_end

    def worker(self, index: int) -> MemoryWorker | None:
        living = self.engine.living
        return living[index % len(living)] if living else None

    # What happens

    @rule(turns=st.integers(0, 12))
    def some_turns_pass(self, turns: int) -> None:
        async def pass_turns() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.play(pass_turns())

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.play(asyncio.sleep(seconds))

    @rule(is_long=st.booleans())
    def all_comes_to_rest(self, is_long: bool) -> None:
        """At once, or after all the pauses; what is stuck needs time in any case."""
        needs_time = is_long or self.is_draining or any(front_end.is_stuck for front_end in self.front_ends)
        self.is_draining = False

        async def rest() -> None:
            await asyncio.sleep(QUIET_S if needs_time else 0)
            await settle()

        self.play(rest())
        self.is_settled = all(task.done() for task in self.joining)
        assert self.is_settled or not needs_time

    @rule(
        specs=st.dictionaries(st.integers(1, 3), st.tuples(st.integers(1, 3), st.sampled_from(["/m", "/n"]))),
        asleep=st.lists(st.integers(1, 3), max_size=1),
        preserve=st.sampled_from(Preserve),
        retries=st.booleans(),
    )
    def somebody_wants(
        self, specs: dict[int, tuple[int, str]], asleep: list[int], preserve: Preserve, retries: bool
    ) -> None:
        if retries:
            self.failures.clear()
        wanted = WantedModel(
            name="m",
            specs=tuple(spec_of(number, count, path) for number, (count, path) in specs.items()),
            known=(1, 2, 3),
            asleep=tuple(asleep),
            policy=VersionPolicy(preserve=preserve),
            failures=dict(self.failures),
        )

        async def want() -> None:
            self.reconciler.want([wanted])

        self.is_draining = True
        self.play(want())

    @rule(index=st.integers(0, 9))
    def a_worker_becomes_ready(self, index: int) -> None:
        if worker := self.worker(index):
            worker.become_ready()
            self.is_settled = False

    @rule(index=st.integers(0, 9))
    def a_worker_cannot_load(self, index: int) -> None:
        if worker := self.worker(index):
            worker.fail(FAILURE)
            self.is_settled = False

    @rule(index=st.integers(0, 9))
    def a_worker_dies(self, index: int) -> None:
        if worker := self.worker(index):
            worker.die()
            self.is_settled = False

    @rule(index=st.integers(0, 9))
    def a_worker_hangs(self, index: int) -> None:
        if worker := self.worker(index):
            worker.hang()
            self.is_settled = False

    @rule(index=st.integers(0, 9))
    def a_worker_is_to_be_replaced(self, index: int) -> None:
        if (worker := self.worker(index)) and (group := self.reconciler.group_of(worker.id)):
            group.replace(worker.id, "it was told to")
            self.is_settled = False

    @precondition(lambda self: not self.is_stopped)
    @rule(turns=st.integers(0, 5))
    def a_front_end_joins(self, turns: int) -> None:
        async def join() -> None:
            front_end = self.new_front_end(turns)
            try:
                await self.audience.add(front_end)
            except (ChannelClosed, TimeoutError):
                front_end.is_gone = True
                front_end.close()

        self.joining.append(self.loop.create_task(join()))
        self.is_settled = False

    @precondition(lambda self: self.front_ends)
    @rule(index=st.integers(0, 9), how=st.sampled_from(["gone", "stuck"]))
    def a_front_end_dies(self, index: int, how: str) -> None:
        front_end = self.front_ends[index % len(self.front_ends)]
        front_end.is_gone = front_end.is_gone or how == "gone"
        front_end.is_stuck = front_end.is_stuck or how == "stuck"
        self.is_settled = False

    @precondition(lambda self: self.front_ends)
    @rule(index=st.integers(0, 9))
    def a_front_end_leaves(self, index: int) -> None:
        front_end = self.front_ends.pop(index % len(self.front_ends))

        async def leave() -> None:
            await asyncio.gather(*self.joining)
            await self.audience.remove(front_end)
            front_end.close()

        self.play(leave())

    @precondition(lambda self: not self.is_stopped)
    @rule()
    def the_server_stops(self) -> None:
        async def stop() -> None:
            await asyncio.gather(*self.joining)
            await self.audience.finish(0.0)
            await self.reconciler.stop()

        self.is_stopped = True
        self.front_ends.clear()
        self.play(stop())
        assert self.engine.living == []

    # What must hold

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert self.faults.records == []

    @invariant()
    def a_state_says_what_its_workers_do(self) -> None:
        if not hasattr(self, "reconciler"):
            return
        for model in self.reconciler.models():
            for entry in model.versions:
                if self.is_stopped:
                    assert entry.state is VersionState.STOPPED
                else:
                    check(entry)

    @invariant()
    def every_front_end_answers_from_the_present_state(self) -> None:
        if not self.is_settled or self.is_stopped:
            return
        present = self.reconciler.models()
        ready = {worker.id for _, worker in self.reconciler.ready_workers()}
        for front_end in self.front_ends:
            if not front_end.is_gone and not front_end.is_stuck:
                assert front_end.models == present
                assert set(front_end.links) == ready

    def teardown(self) -> None:
        if hasattr(self, "reconciler") and not self.is_stopped:
            self.the_server_stops()
        for front_end in self.front_ends:
            front_end.close()
        logging.getLogger("salver").removeHandler(self.faults)
        left = asyncio.all_tasks(self.loop)
        self.loop.run_until_complete(settle())
        assert not [task for task in left if not task.done()]
        self.loop.close()


def spec_of(number: int, replicas: int, path: str = "/m") -> ReplicaSpec:
    return ReplicaSpec(
        id=ModelVersion("m", number),
        runtime="echo",
        path=path,
        folder="/",
        python=sys.executable,
        replicas=replicas,
        batching=BatchSettings(),
    )


def check(entry: VersionStatus) -> None:
    if entry.state in ENDING:
        return
    ready, wanted = entry.replicas_ready, entry.replicas_wanted
    states = [replica.state for replica in entry.replicas]
    assert (entry.state in SERVING) == (ready > 0)
    if entry.state in SERVING:
        assert entry.info is not None
    if entry.state is VersionState.READY:
        assert ready == wanted
        assert entry.reason == "" or entry.reason.startswith("Its new form cannot be loaded")
    if entry.state is VersionState.QUEUED:
        assert set(states) == {"STARTING"}
    if entry.state is VersionState.FAILED:
        assert entry.reason
    if entry.replicas:
        assert (entry.state is VersionState.FAILED) == ("FAILED" in states and not ready)
    else:
        assert entry.state in (VersionState.FAILED, VersionState.UNLOADED), "it is not started"
    if entry.state is VersionState.CRASHLOOP:
        assert entry.reason


LifeOfAServer.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_whatever_happens_everybody_knows_what_is = LifeOfAServer.TestCase
assert TELL_TIMEOUT_S < QUIET_S
