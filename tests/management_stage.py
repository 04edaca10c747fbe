"""A control half with its catalogue, on twins of store and engine, and one front end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from salver.access.administration import Administration
from salver.access.audit import AuditLog
from salver.access.permit import Principal
from salver.models.catalogue import Catalogue
from salver.models.configurator import Configurator
from salver.models.disk import Disk
from salver.models.opening import open_models
from salver.models.places import Places
from salver.models.remotes.base import Source
from salver.models.remotes.http import HttpFetcher
from salver.models.remotes.mirror import Mirrors
from salver.models.repository import Repository
from salver.models.residence import Residence
from salver.models.sources import ModelSource
from salver.models.specs import replica_spec
from salver.models.stock import Stock
from salver.models.watch import Watch
from salver.operations import models
from salver.processes.base import ControlRequest
from salver.processes.control import ControlHalf
from salver.processes.management import Management
from salver.processes.queries import RESULTS
from salver.replicas.base import ReplicaSettings, ReplicaSpec
from salver.replicas.environments.memory import MemoryEnvironments
from salver.replicas.memory import READY, MemoryEngine, MemoryWorker
from salver.store.memory import MemoryStore
from salver.store.sql import SqlStore
from salver.types import BatchSettings, VersionState
from told_front_end import ToldFrontEnd


def spec_of(source: ModelSource) -> ReplicaSpec:
    return replica_spec(source, threads=1, batching=BatchSettings())


class Stage:
    """A control half with its catalogue, on twins of store and engine, and one front end."""

    def __init__(
        self, folder: Path, store: MemoryStore | SqlStore, budget_bytes: int = 0, disk: Disk | None = None
    ) -> None:
        self.uploads = folder / "uploads"
        self.uploads.mkdir(exist_ok=True)
        self.store = store
        self.audit = AuditLog(store)
        self.engine = MemoryEngine(MemoryWorker.become_ready)
        self.control = ControlHalf(
            self.engine,
            ReplicaSettings(),
            Administration(store),
            self.audit,
            lambda status: None,
            lambda spec, failure: failure,
            MemoryEnvironments(),
        )
        stock = Stock(Repository(folder / "repository", disk=disk or Disk()), folder)
        opening = open_models(store, stock, (), spec_of, {})
        self.catalogue = Catalogue(store, stock, self.control.reconciler, spec_of, opening.models)
        self.control.reconciler.on_failure = self.catalogue.note_failure
        clock = asyncio.get_running_loop().time
        self.residence = self.control.residence = Residence(
            self.catalogue,
            self.control.reconciler,
            self.control.count_batches,
            budget_bytes=budget_bytes,
            worker_bytes=READY.rss,
            clock=clock,
        )
        self.control.watch(self.residence.watch())
        self.model_store = folder / "model-store"
        self.model_store.mkdir(exist_ok=True)
        places = Places(self.model_store, {}, HttpFetcher({}), allow_urls=False)
        self.notes: list[str] = []
        self.watch = Watch(
            self.catalogue, [], [], every_s=0.0, scratch=self.uploads, on_note=lambda text: self.notes.append(text)
        )
        self.roots = folder / "roots"
        self.buckets: dict[str, Source] = {}
        """What stands in for buckets, by address."""
        mirroring = [folder / name for name in ("mirrors", "mirroring")]
        for made in mirroring:
            made.mkdir(exist_ok=True)
        self.configurator = Configurator(
            self.catalogue,
            self.watch,
            store,
            folder,
            quiet_s=0.0,
            roots=[str(self.roots), "s3://lake/roots"],
            mirrors=Mirrors(*mirroring),
            open_bucket=lambda model, url: self.buckets[url],
        )
        self.bodies = Management(self.catalogue, self.audit, self.uploads, places, self.configurator).bodies()
        self.control.add_operations(self.bodies)
        self.front_end = ToldFrontEnd()

    async def ask(
        self,
        operation: str,
        parameters: models.Change | models.ListVersions | models.ConfigureModels,
        fence: tuple[str, ...] = (),
        role: str = "operator",
    ) -> Any:
        raw = await self.control.operate(
            ControlRequest(
                operation=operation,
                parameters=msgspec.Raw(msgspec.msgpack.encode(parameters)),
                principal=Principal(id="key:1", role=role, models=fence),
                request_id="r1",
                peer="192.0.2.1",
                wire="native",
            )
        )
        return msgspec.msgpack.decode(raw, type=RESULTS[operation])

    async def push(self, number: int, model: str = "m", **fields: Any) -> Any:
        upload = self._staged(number)
        wanted = models.PublishVersion(model=model, upload=str(upload), file_name="adder.py", **fields)
        return await self.ask("models.publish", wanted)

    def _staged(self, number: int) -> Path:
        upload = self.uploads / f"upload-{number}"
        upload.write_text(f"def predict(x: float) -> float:\n    return x + {number}\n")
        return upload

    def states(self, name: str = "m") -> dict[int, VersionState]:
        found = next((model for model in self.control.reconciler.models() if model.name == name), None)
        return {} if found is None else {version.id.version: version.state for version in found.versions}

    @property
    def audited(self) -> list[tuple[str, str, str, str]]:
        lines = reversed(self.store.audit(100))
        return [(line.operation, line.scope, line.outcome, line.detail) for line in lines]
