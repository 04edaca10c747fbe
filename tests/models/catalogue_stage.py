"""A server up to its reconciler, which is a twin: on a store in memory and a real repository."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from salver.errors import Code, SalverError
from salver.models import edits
from salver.models.catalogue import Catalogue
from salver.models.discovery import discover
from salver.models.intake import Publication
from salver.models.opening import Opening, open_models
from salver.models.outcome import Asked
from salver.models.repository import Repository
from salver.models.sources import ModelSource
from salver.models.specs import replica_spec
from salver.models.stock import Stock
from salver.models.wanted import WantedModel
from salver.replicas.base import ReplicaSpec
from salver.store.memory import MemoryStore
from salver.types import BatchSettings, ModelStatus, ModelVersion, VersionFailure, VersionState, VersionStatus
from virtual_time import run, until

FAILURE = VersionFailure(code="LOAD_FAILED", message="no weights", fix="train it", at=5.0)


def spec_of(source: ModelSource) -> ReplicaSpec:
    return replica_spec(source, threads=1, batching=BatchSettings())


class Lives:
    """The reconciler's twin: what is wanted serves at once, but for what is asleep, failed or told to wait."""

    def __init__(self) -> None:
        self.wanted: dict[str, WantedModel] = {}
        self.told = 0
        self.is_waiting = False

    def want(self, models: Sequence[WantedModel]) -> None:
        self.told += 1
        self.wanted = {model.name: model for model in models}

    def models(self) -> tuple[ModelStatus, ...]:
        return tuple(self._status(model) for model in self.wanted.values())

    def model(self, name: str) -> ModelStatus | None:
        return self._status(self.wanted[name]) if name in self.wanted else None

    def _status(self, model: WantedModel) -> ModelStatus:
        versions = tuple(
            VersionStatus(
                id=spec.id,
                state=self._state(model, spec.id.version),
                runtime=spec.runtime,
                source=spec.source,
                environment=spec.python,
                replicas_wanted=spec.replicas,
            )
            for spec in model.specs
        )
        default = next((version.id.version for version in versions), None)
        return ModelStatus(name=model.name, versions=versions, default_version=default, labels=dict(model.labels))

    def _state(self, model: WantedModel, version: int) -> VersionState:
        if version in model.asleep:
            return VersionState.UNLOADED
        return VersionState.FAILED if version in model.failures else VersionState.READY

    async def settled(self, ids: Collection[ModelVersion]) -> None:
        await until(lambda: not self.is_waiting)


class Server:
    """One life of a server, up to the reconciler; its store and its files outlive it."""

    def __init__(self, store: MemoryStore, folder: Path, given: Sequence[str | Path] = ()) -> None:
        artifacts = folder / "artifacts"
        artifacts.mkdir(exist_ok=True)
        self.store = store
        self.repository = Repository(folder / "repository")
        self.lives = Lives()
        stock = Stock(self.repository, artifacts)
        sources = discover([str(path) for path in given], artifacts).models
        self.opening: Opening = open_models(store, stock, sources, spec_of, {source.id: "given" for source in sources})
        self.catalogue = Catalogue(store, stock, self.lives, spec_of, self.opening.models, clock=lambda: 100.0)
        self.catalogue.want()

    def wanted(self, name: str = "m") -> tuple[int, ...]:
        model = self.lives.wanted.get(name)
        return () if model is None else tuple(spec.id.version for spec in model.specs)

    async def push(self, path: Path, **fields: Any) -> Any:
        asked = Asked(model=fields.pop("model", "m"), by="key:1", is_plan=fields.pop("is_plan", False))
        publication = Publication(artefact=path, file_name=fields.pop("file_name", path.name), **fields)
        return await self.catalogue.publish(asked, publication)

    async def change(self, edit: edits.MakeEdit, model: str = "m", **fields: Any) -> Any:
        return await self.catalogue.change(Asked(model=model, by="key:1", **fields), edit)


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await story()

    run(whole())


def content_of(spec: ReplicaSpec) -> str:
    return Path(spec.path).read_text()


def refusal(raised: pytest.ExceptionInfo[SalverError]) -> Code:
    assert raised.value.fix
    return raised.value.code
