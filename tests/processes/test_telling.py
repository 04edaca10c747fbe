"""Statistics are told of the models that a caller may see, from what all front ends have counted."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from salver.access.permit import Principal
from salver.errors import Code, RequestError
from salver.operations import statistics
from salver.processes.base import ControlRequest
from salver.processes.telling import Telling
from salver.telemetry.counters import Report, RequestCount, RequestKey
from salver.types import ModelStatus, ModelVersion, VersionState, VersionStatus


def model(name: str) -> ModelStatus:
    versions = tuple(
        VersionStatus(
            id=ModelVersion(name, number),
            state=VersionState.READY,
            runtime="echo",
            source="",
            environment="",
            replicas_wanted=1,
        )
        for number in (2, 1)
    )
    return ModelStatus(name=name, versions=versions, default_version=2)


def told(parameters: Any, *, models: tuple[str, ...] = ()) -> list[tuple[ModelVersion, int]]:
    async def reports() -> list[Report]:
        key = RequestKey("models.predict", "a", 2, "native")
        return [Report(requests=((key, RequestCount(codes={"OK": count})),)) for count in (1, 2)]

    operation = statistics.OF_ALL if isinstance(parameters, statistics.GetAllStatistics) else statistics.OF_ONE
    body = Telling(reports, lambda: [model("b"), model("a")]).bodies()[operation.name]
    request = ControlRequest(
        operation=operation.name,
        parameters=msgspec.Raw(msgspec.msgpack.encode(parameters)),
        principal=Principal(id="key:1", role="viewer", models=models),
        request_id="r1",
        peer="",
        wire="native",
    )
    return [(each.id, each.success.count) for each in asyncio.run(body(request))]


def test_a_models_versions_are_told_or_one_of_them() -> None:
    assert told(statistics.GetStatistics("a")) == [(ModelVersion("a", 1), 0), (ModelVersion("a", 2), 3)]
    assert told(statistics.GetStatistics("a", 2)) == [(ModelVersion("a", 2), 3)]


@pytest.mark.parametrize("parameters", [statistics.GetAllStatistics(), statistics.GetStatistics("")])
def test_all_that_a_caller_may_see_is_told(parameters: Any) -> None:
    assert [str(id) for id, _ in told(parameters)] == ["a/1", "a/2", "b/1", "b/2"]
    assert [str(id) for id, _ in told(parameters, models=("b",))] == ["b/1", "b/2"]


def test_what_is_not_there() -> None:
    for parameters, code in (
        (statistics.GetStatistics("c"), Code.MODEL_NOT_FOUND),
        (statistics.GetStatistics("a", 9), Code.VERSION_NOT_FOUND),
    ):
        with pytest.raises(RequestError) as caught:
            told(parameters)
        assert caught.value.code is code
