"""What a front end answers from its own memory, and what it passes on to the control half."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from salver import __version__
from salver.access.permit import ANYONE, Principal
from salver.errors import Code, RequestError
from salver.operations import access, models, server
from salver.operations.base import Call, Home, Operation
from salver.operations.catalogue import OPERATIONS
from salver.operations.gate import ON_THE_LANE
from salver.processes.base import ControlRequest
from salver.processes.queries import RESULTS, Queries
from salver.replicas.link import Link
from salver.serving.pipeline import Pipeline
from salver.types import (
    BatchSettings,
    ModelStatus,
    ModelVersion,
    PayloadKind,
    ReplicaStatus,
    VersionInfo,
    VersionState,
    VersionStatus,
)

ADMIN = Principal(id="local:0", role="admin")
FENCED = Principal(id="key:k", role="user", models=("a",))


def entry(model: str, number: int = 1, *, replicas: int = 1, state: VersionState = VersionState.READY) -> VersionStatus:
    """A version as it is published: with all its replicas ready, when it is."""
    id = ModelVersion(model, number)
    is_ready = state is VersionState.READY
    return VersionStatus(
        id=id,
        state=state,
        runtime="echo",
        source="/models/a",
        environment="/usr/bin/python3",
        replicas_wanted=replicas,
        replicas=tuple(
            ReplicaStatus(id=f"{model}-{number}-{n}", pid=n, state="READY" if is_ready else "STARTING", started_at=0.0)
            for n in range(1, replicas + 1)
        ),
        reason="" if is_ready else "It is not ready yet.",
        log_tail=("a line",),
        info=VersionInfo(
            id=id,
            runtime="echo",
            payload=PayloadKind.TENSORS,
            signatures={},
            batching=BatchSettings(),
            has_batch_dimension=True,
            is_idempotent=True,
        ),
    )


def model(*entries: VersionStatus, **fields: Any) -> ModelStatus:
    first = entries[0].id
    return ModelStatus(**({"name": first.model, "versions": entries, "default_version": first.version} | fields))


class EchoControl:
    """A control half that answers with a fixed value and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ControlRequest] = []
        self.answer: Any = ()

    async def operate(self, request: ControlRequest) -> msgspec.Raw:
        self.asked.append(request)
        return msgspec.Raw(msgspec.msgpack.encode(self.answer))


class Stage:
    """Queries on a pipeline that serves what the test says."""

    def __init__(self, *served: ModelStatus) -> None:
        self.loop = asyncio.new_event_loop()
        self.pipeline = Pipeline(self.loop, None, deadline_grace_s=1.0)  # type: ignore[arg-type]
        self.pipeline.apply(served)
        self.control = EchoControl()
        self.is_draining = False
        self.queries = Queries(self.pipeline, self.control, lambda: self.is_draining)  # type: ignore[arg-type]
        self.queries.wire_names = ("mms", "native")

    def reach(self, *replica_ids: str) -> None:
        """From now on there is a live link to these replicas."""
        for replica_id in replica_ids:
            name, number, _ = replica_id.rsplit("-", 2)
            self.pipeline.attach(ModelVersion(name, int(number)), Link(replica_id, 1, self.pipeline))

    def ask(self, row: Operation, parameters: Any, principal: Principal = ADMIN) -> Any:
        call = Call(row, principal, "r1", "192.0.2.1", getattr(parameters, "model", ""), "native", 0.0)
        return self.loop.run_until_complete(self.queries.bodies()[row.name](call, parameters))

    def refusal(self, **parameters: Any) -> Code:
        with pytest.raises(RequestError) as caught:
            self.ask(models.GET, models.GetModel(**parameters))
        return caught.value.code


@pytest.fixture
def stage() -> Any:
    made: list[Stage] = []

    def make(*served: ModelStatus) -> Stage:
        made.append(Stage(*served))
        return made[-1]

    yield make
    for each in made:
        each.loop.run_until_complete(asyncio.sleep(0))
        each.loop.close()


def test_every_operation_has_a_body(stage: Any) -> None:
    rows = [row for row in OPERATIONS if row.name not in ON_THE_LANE]
    assert set(stage().queries.bodies()) == {row.name for row in rows}


# Models


def test_models_are_listed_by_name_as_far_as_the_caller_may_see_them(stage: Any) -> None:
    served = stage(model(entry("b")), model(entry("a")))
    assert [each.name for each in served.ask(models.LIST, models.ListModels())] == ["a", "b"]
    assert [each.name for each in served.ask(models.LIST, models.ListModels(), FENCED)] == ["a"]


def test_replicas_of_a_version_that_is_drained_do_not_start(stage: Any) -> None:
    drained = msgspec.structs.replace(entry("a"), state=VersionState.DRAINING)
    served = stage(model(drained))
    assert served.ask(models.GET, models.GetModel(model="a")).versions == (drained,)


def test_a_replica_that_no_live_link_reaches_is_not_called_ready(stage: Any) -> None:
    served = stage(model(entry("a", replicas=2)))
    served.reach("a-1-2")
    told = served.ask(models.GET, models.GetModel(model="a")).versions[0]
    assert [replica.state for replica in told.replicas] == ["STARTING", "READY"]
    assert told.state is VersionState.READY
    served.pipeline.link_lost(next(iter(served.pipeline.queues[ModelVersion("a", 1)].links)))
    told = served.ask(models.GET, models.GetModel(model="a")).versions[0]
    assert told.state is VersionState.STARTING


def test_a_state_that_is_no_ready_one_is_told_as_it_is(stage: Any) -> None:
    served = stage(model(entry("a", state=VersionState.CRASHLOOP)))
    assert served.ask(models.GET, models.GetModel(model="a")).versions[0].state is VersionState.CRASHLOOP


def test_one_version_can_be_asked_for_by_number_or_label(stage: Any) -> None:
    served = stage(model(entry("a", 2), entry("a", 1), labels={"stable": 1}))
    for parameters in (models.GetModel(model="a", version=1), models.GetModel(model="a", label="stable")):
        (only,) = served.ask(models.GET, parameters).versions
        assert only.id.version == 1
    assert len(served.ask(models.GET, models.GetModel(model="a")).versions) == 2


def test_what_there_is_not_is_refused(stage: Any) -> None:
    served = stage(model(entry("a")))
    assert served.refusal(model="b") is Code.MODEL_NOT_FOUND
    assert served.refusal(model="a", version=7) is Code.VERSION_NOT_FOUND
    assert served.refusal(model="a", label="stable") is Code.LABEL_NOT_FOUND


def test_a_stranger_is_told_nothing_of_the_machine(stage: Any) -> None:
    told = stage(model(entry("a"))).ask(models.GET, models.GetModel(model="a"), ANYONE).versions[0]
    assert (told.source, told.environment, told.log_tail) == ("", "", ())


# Health


def test_a_server_is_ready_when_every_version_has_a_live_replica(stage: Any) -> None:
    served = stage(model(entry("a", replicas=2)), model(entry("b")))
    served.reach("a-1-1", "b-1-1")
    report = served.ask(server.READY, server.GetHealth())
    assert (report.is_ready, report.reasons) == (True, ())
    assert (report.replicas_ready, report.replicas_wanted) == (2, 3)


def test_what_keeps_a_server_from_being_ready_is_told_to_those_who_may_know(stage: Any) -> None:
    served = stage(model(entry("a", state=VersionState.STARTING)), model(entry("b", state=VersionState.STARTING)))
    report = served.ask(server.READY, server.GetHealth())
    assert report.is_live
    assert not report.is_ready
    assert report.reasons[0] == "a/1 has no live replica; it is STARTING. It is not ready yet."
    nobody = Principal(id="nobody", role="")
    (reason,) = served.ask(server.READY, server.GetHealth(), nobody).reasons
    assert "a/1" not in reason


def test_a_server_that_stops_is_not_ready(stage: Any) -> None:
    served = stage()
    assert served.ask(server.READY, server.GetHealth()).is_ready
    served.is_draining = True
    assert served.ask(server.READY, server.GetHealth()).reasons == ("The server is stopping.",)


def test_a_server_says_what_it_is(stage: Any) -> None:
    told = stage().ask(server.DESCRIBE, server.Describe())
    assert (told.version, told.wires) == (__version__, ("mms", "native"))


# The control half


def test_what_only_the_control_half_can_do_is_passed_on_with_who_asked(stage: Any) -> None:
    served = stage()
    assert served.ask(access.KEYS_LIST, access.ListKeys()) == ()
    (asked,) = served.control.asked
    assert (asked.operation, asked.principal, asked.request_id, asked.peer, asked.wire) == (
        "keys.list",
        ADMIN,
        "r1",
        "192.0.2.1",
        "native",
    )


def test_every_answer_of_the_control_half_has_a_type() -> None:
    rows = OPERATIONS
    assert set(RESULTS) == {row.name for row in rows if row.home is Home.CONTROL}


@pytest.mark.parametrize("state", [VersionState.STARTING, VersionState.FAILED, VersionState.DRAINING])
def test_a_version_beside_the_one_that_answers_does_not_make_the_server_unready(
    stage: Any, state: VersionState
) -> None:
    served = stage(model(entry("a", 2, state=state), entry("a", 1), default_version=1))
    served.reach("a-1-1")
    assert served.ask(server.READY, server.GetHealth()).is_ready
    other = stage(model(entry("a", 2), entry("a", 1, state=state), default_version=1))
    other.reach("a-2-1")
    assert not other.ask(server.READY, server.GetHealth()).is_ready


def test_a_model_that_sleeps_does_not_make_the_server_unready(stage: Any) -> None:
    served = stage(model(entry("a", replicas=0, state=VersionState.UNLOADED)))
    assert served.ask(server.READY, server.GetHealth()).is_ready
