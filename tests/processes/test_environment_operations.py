"""Operations on environments in the control half, with a real builder on wheels of a few bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from environment_bench import NEW, OLD, Bench, play, version_of
from salver.access.audit import AuditLog
from salver.access.permit import Principal
from salver.errors import Code, RequestError
from salver.operations import environments
from salver.operations.base import Home
from salver.operations.environments import BuildEnvironment, WantedEnvironment
from salver.processes.base import ControlRequest
from salver.processes.environments import EnvironmentOperations, request_of
from salver.processes.queries import RESULTS
from salver.replicas.environments.base import EnvironmentRequest
from salver.types import ModelVersion


class Desk:
    """The operations; `wants` are versions that there are, `running` what workers run in."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.wants: dict[ModelVersion, EnvironmentRequest] = {}
        self.running: list[EnvironmentRequest] = []
        self.audit = AuditLog(bench.store)
        self.bodies = EnvironmentOperations(
            bench.builder, lambda: self.wants, lambda: self.running, self.audit
        ).bodies()

    async def ask(self, operation: str, parameters: Any) -> Any:
        request = ControlRequest(
            operation=operation,
            parameters=msgspec.Raw(msgspec.msgpack.encode(parameters)),
            principal=Principal(id="key:1", role="operator"),
            request_id="r1",
            peer="192.0.2.1",
            wire="native",
        )
        result = msgspec.msgpack.encode(await self.bodies[operation](request))
        return msgspec.msgpack.decode(result, type=RESULTS[operation])

    async def build(self, *requirements: str, is_plan: bool = False) -> environments.BuiltEnvironment:
        wanted = WantedEnvironment(requirements=requirements)
        built: environments.BuiltEnvironment = await self.ask(
            "environments.build", BuildEnvironment(wanted=wanted, is_plan=is_plan)
        )
        return built

    @property
    def audited(self) -> list[tuple[str, str, str]]:
        return [(line.operation, line.outcome, line.detail) for line in reversed(self.bench.store.audit(100))]


@pytest.fixture
def act(tmp_path: Path) -> Callable[..., None]:
    def perform(story: Callable[[Desk], Awaitable[None]], **settings: Any) -> None:
        async def whole(bench: Bench) -> None:
            desk = Desk(bench)
            try:
                await story(desk)
            finally:
                desk.audit.close()

        play(Bench(tmp_path, **settings), whole)

    return perform


def test_every_operation_has_a_body_and_a_result(act: Any) -> None:
    async def story(desk: Desk) -> None:
        rows = {row.name for row in environments.OPERATIONS if row.home is Home.CONTROL}
        assert rows == set(desk.bodies)
        assert rows <= set(RESULTS)

    act(story)


def test_a_plan_says_what_a_build_would_do_and_changes_nothing(act: Any) -> None:
    async def story(desk: Desk) -> None:
        planned = await desk.build("tinylib<2", is_plan=True)
        assert planned.steps == ("resolve numpy, tinylib<2", "install the packages of the lock")
        assert planned.environment is None
        assert desk.audited == []
        assert not await desk.bench.builder.is_approved(OLD)
        built = await desk.build("tinylib<2")
        assert built.environment is not None
        assert built.environment.packages == 2
        assert (await desk.build("tinylib<2", is_plan=True)).steps == ("it is built already",)

    act(story)


def test_what_was_built_is_what_a_model_gets_that_asks_for_the_same(act: Any) -> None:
    async def story(desk: Desk) -> None:
        await desk.build("tinylib<2")
        assert await desk.bench.builder.is_approved(OLD)
        assert not await desk.bench.builder.is_approved(NEW)
        said = len(desk.bench.said)
        assert version_of(await desk.bench.python(OLD)) == "1.0"
        assert len(desk.bench.said) == said
        desk.wants[ModelVersion("m", 1)] = OLD
        (row,) = await desk.ask("environments.list", environments.ListEnvironments())
        assert row.used_by == (ModelVersion("m", 1),)
        assert desk.audited == [("environments.build", "OK", "numpy, tinylib<2")]

    act(story)


def test_one_environment_is_told_whole_by_the_beginning_of_its_id(act: Any) -> None:
    async def story(desk: Desk) -> None:
        built = (await desk.build("tinylib<2")).environment
        assert built is not None
        found = await desk.ask("environments.get", environments.GetEnvironment(id=built.id[:6]))
        assert found.row == built
        assert [(each.name, each.version) for each in found.packages] == [("numpy", "1.0"), ("tinylib", "1.0")]
        assert found.lock.startswith("numpy==1.0")
        for wrong in ("", "nothing"):
            with pytest.raises(RequestError, match="no environment"):
                await desk.ask("environments.get", environments.GetEnvironment(id=wrong))

    act(story)


def test_a_lock_is_exact_and_can_be_built_elsewhere(act: Any) -> None:
    async def story(desk: Desk) -> None:
        wanted = WantedEnvironment(requirements=("tinylib",), constraints=("tinylib<2",))
        locked = await desk.ask("environments.lock", environments.LockEnvironment(wanted=wanted))
        assert [(each.name, each.version) for each in locked.packages] == [("numpy", "1.0"), ("tinylib", "1.0")]
        built = await desk.ask("environments.build", BuildEnvironment(wanted=WantedEnvironment(lock=locked.lock)))
        assert built.environment.lock_digest == locked.digest

    act(story)


def test_prune_keeps_what_versions_want_and_what_workers_run_in(act: Any) -> None:
    async def story(desk: Desk) -> None:
        kept, running = await desk.build("tinylib<2"), await desk.build("tinylib>=2")
        gone = await desk.build("tinylib==1.0")  # another request, and the same lock as the first: one environment
        assert gone.environment == kept.environment
        other = await desk.build()
        assert other.environment is not None
        desk.wants[ModelVersion("m", 1)] = OLD
        desk.running.append(NEW)
        planned = await desk.ask("environments.prune", environments.PruneEnvironments(is_plan=True))
        assert [row.id for row in planned.removed] == [other.environment.id]
        pruned = await desk.ask("environments.prune", environments.PruneEnvironments())
        assert [row.id for row in pruned.removed] == [other.environment.id]
        assert {row.id for row in pruned.kept} == {each.environment.id for each in (kept, running) if each.environment}
        assert [line[0] for line in desk.audited].count("environments.prune") == 1

    act(story)


def test_a_build_that_fails_is_told_with_the_last_lines_and_audited(act: Any) -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(RequestError, match=r"only tinylib<=2\.0 is available") as caught:
            await desk.build("tinylib>=9")
        assert caught.value.code is Code.ENVIRONMENT_BROKEN
        assert desk.audited == [("environments.build", "ENVIRONMENT_BROKEN", "numpy, tinylib>=9")]

    act(story)


def test_whoever_stops_waiting_stops_nothing(act: Any) -> None:
    async def story(desk: Desk) -> None:
        asking = asyncio.ensure_future(desk.build("tinylib<2"))
        while not desk.bench.builder.is_busy:  # noqa: ASYNC110  nothing tells it
            await asyncio.sleep(0.01)
        asking.cancel()
        while not await desk.bench.builder.all():  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    act(story)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"requirements": ("-r /etc/passwd",)}, "refers to the file"),
        ({"requirements": ("six\n-e .",)}, "editable"),
        ({"requirements": ("./x.whl",)}, "an address or a path"),
        ({"constraints": ("x @ https://host/x.whl",)}, "from an address"),
        ({"python": "/usr/bin/python3"}, "python is a version"),
        ({"python": "python3.8"}, "python is a version"),
        ({"requirements": tuple(f"a{number}" for number in range(5001))}, "More than 5000 lines"),
    ],
)
def test_lines_from_outside_that_are_no_requirements_are_refused(wanted: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        request_of(WantedEnvironment(**wanted))
