"""What the control half tells of models beside their states: statistics, from what all front ends have counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from salver.access.permit import model_not_found, visible
from salver.errors import Code, RequestError
from salver.operations import statistics
from salver.operations.statistics import Statistics, statistics_of
from salver.processes.base import ControlRequest
from salver.telemetry.counters import Report, merged
from salver.types import ModelStatus

Body = Callable[[ControlRequest], Awaitable[Any]]


class Telling:
    """Runs permitted questions about what was counted."""

    def __init__(
        self, reports: Callable[[], Awaitable[Sequence[Report]]], models: Callable[[], Sequence[ModelStatus]]
    ) -> None:
        self._reports = reports
        self._models = models

    def bodies(self) -> dict[str, Body]:
        return {statistics.OF_ONE.name: self._one, statistics.OF_ALL.name: self._all}

    async def _one(self, request: ControlRequest) -> Statistics:
        """Of the versions that are loaded; one that is named must be there."""
        asked = msgspec.msgpack.decode(request.parameters, type=statistics.GetStatistics)
        if not asked.model:
            return await self._all(request)
        model = next((model for model in self._models() if model.name == asked.model), None)
        if model is None:
            raise model_not_found(asked.model)
        if asked.version is not None and all(entry.id.version != asked.version for entry in model.versions):
            raise RequestError(Code.VERSION_NOT_FOUND, f"The model {asked.model!r} has no version {asked.version}.")
        found = await self._of([model])
        return tuple(entry for entry in found if asked.version in (None, entry.id.version))

    async def _all(self, request: ControlRequest) -> Statistics:
        models = {model.name: model for model in self._models()}
        return await self._of([models[name] for name in visible(request.principal, sorted(models))])

    async def _of(self, models: Sequence[ModelStatus]) -> Statistics:
        return statistics_of(merged(await self._reports()), models)
