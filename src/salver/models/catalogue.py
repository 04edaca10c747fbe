"""What should be served: the one owner of it, in the control half.

A change is checked, kept in the store in one transaction, handed to the reconciler, and only then answered: what was
acknowledged survives whatever happens to the process. Changes of one model come one after the other.
"""

from __future__ import annotations

import asyncio
import operator
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol, TypeAlias, TypeVar

from msgspec.structs import replace

from salver.errors import Code, RequestError
from salver.models import desired, edits
from salver.models.admission import check_first, check_name, check_number, check_revision
from salver.models.edits import Edit, MakeEdit
from salver.models.intake import Intake, IsApproved, Publication, approve_all
from salver.models.known import KnownModel, KnownVersion, MakeSpec, broken_version, given_version
from salver.models.manifestfile import ManifestFile
from salver.models.outcome import Asked, Outcome, VersionList
from salver.models.sources import FailedSource, ModelSource
from salver.models.stock import Stock, stored_version
from salver.models.wanted import WantedModel
from salver.models.wanting import outcome_of, state_of, version_list, wanted_model
from salver.replicas.environments.base import EnvironmentRequest
from salver.store.base import CatalogueChange, ModelRecord, Store
from salver.types import ModelStatus, ModelVersion, Scale, VersionFailure

T = TypeVar("T")
MakeRecord: TypeAlias = Callable[[ModelRecord], ModelRecord]


class Lives(Protocol):
    """What the catalogue needs of the reconciler."""

    def want(self, models: Sequence[WantedModel]) -> None: ...
    def models(self) -> tuple[ModelStatus, ...]: ...
    def model(self, name: str) -> ModelStatus | None: ...
    async def settled(self, ids: Collection[ModelVersion]) -> None: ...


class Catalogue:
    """Owned by one event loop; what blocks for the disk is done in a thread."""

    def __init__(
        self,
        store: Store,
        stock: Stock,
        lives: Lives,
        make_spec: MakeSpec,
        models: Mapping[str, KnownModel],
        *,
        is_approved: IsApproved = approve_all,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._stock = stock
        self._lives = lives
        self._make_spec = make_spec
        self._intake = Intake(stock, make_spec, clock, is_approved)
        self._models = dict(models)
        self._clock = clock
        self._told: dict[str, tuple[tuple[object, ...], WantedModel]] = {}
        """What the reconciler was told last of each model, and of what it was made."""
        self._shelving = asyncio.Lock()
        """Held while artefacts come or go, so that none goes that a version is about to need."""
        self._writing: asyncio.Task[None] | None = None
        """The last of the failures that are being kept."""
        self._tasks: set[asyncio.Task[Any]] = set()
        """Changes, and deletions of artefacts that wait for their workers' end."""

    # What is known

    def want(self) -> None:
        """Tell the reconciler what should be served."""
        self._told = {model.name: self._wanted(model) for model in self._models.values() if not model.is_nothing}
        self._lives.want([wanted for _, wanted in self._told.values()])

    def manifest_file(self, id: ModelVersion) -> ManifestFile | None:
        """The model.toml of a version, for messages that name its lines."""
        model = self._models.get(id.model)
        version = None if model is None else model.versions.get(id.version)
        return None if version is None else version.manifest_file

    def versions(self, name: str) -> VersionList:
        """Every version of a model. Raises RequestError(MODEL_NOT_FOUND)."""
        return version_list(self._known(name), self._status(name))

    def environments(self) -> dict[ModelVersion, EnvironmentRequest]:
        """What every version that there is, loaded or not, wants to run in, where that is more than an interpreter."""
        versions = [version for model in self._models.values() for version in model.versions.values()]
        wanted = ((version.spec.id, version.spec.environment) for version in versions)
        return {id: request for id, request in wanted if request is not None}

    # What sleeps

    def sleeper(self, name: str, version: int | None) -> ModelVersion:
        """The version that is meant, None being the default one. Raises RequestError when it may not be woken."""
        model = self._known(name)
        status = self._status(name)
        if version is None:
            version = None if status is None else status.default_version
        if version is None or version not in model.versions:
            desired.check_version(name, 0 if version is None else version, model.numbers)
        assert version is not None
        if model.record.is_unloaded:
            raise RequestError(
                Code.MODEL_NOT_READY,
                f"The model {name!r} is unloaded.",
                fix=f"Load it with `salver load {name}`.",
                retry_after_s=1.0,
            )
        return ModelVersion(name, version)

    def is_awake(self, id: ModelVersion) -> bool:
        """Whether the version may be in memory."""
        model = self._models.get(id.model)
        return model is None or not model.sleeps or id.version in model.awake

    def wake(self, ids: Iterable[ModelVersion]) -> None:
        """Have versions of models on demand loaded. They sleep again when the server starts anew."""
        for id in ids:
            model = self._models.get(id.model)
            if model is not None:
                model.awake |= {id.version}
        self.want()

    def put_to_sleep(self, ids: Collection[ModelVersion]) -> None:
        for id in ids:
            model = self._models.get(id.model)
            if model is not None:
                model.awake -= {id.version}
        if ids:
            self.want()

    @property
    def has_idle_limits(self) -> bool:
        """Whether any model is to be put to sleep when nobody asks for it."""
        return any(model.record.scale.idle_unload_s is not None for model in self._models.values())

    def scale(self, name: str) -> Scale:
        model = self._models.get(name)
        return Scale() if model is None else model.record.scale

    def size_bytes(self, id: ModelVersion) -> int:
        """Of the version's artefact; 0 where it is not known."""
        model = self._models.get(id.model)
        version = None if model is None else model.versions.get(id.version)
        return 0 if version is None or version.stored is None else version.stored.size_bytes

    # What folders hold

    def has(self, id: ModelVersion) -> bool:
        model = self._models.get(id.model)
        return model is not None and id.version in model.versions

    def found(
        self,
        origin: str,
        sources: Sequence[ModelSource],
        stamps: Mapping[ModelVersion, str],
        failures: Sequence[FailedSource] = (),
    ) -> tuple[ModelSource, ...]:
        """What a watched folder holds now, all of it. One whose stamp is another has other files, and is loaded anew.

        `failures` are shown as versions that failed, where it is known which ones they would be. Returns what is not
        served because a version from elsewhere has its number: that one stays.
        """
        there = {source.id for source in sources}
        broken = {failed.id: failed for failed in failures if failed.id is not None and failed.id not in there}
        there |= broken.keys()
        for model in self._models.values():
            for version in list(model.versions.values()):
                if version.origin == origin and version.spec.id not in there:
                    model.drop(version.number)
        covered = []
        for source in sources:
            model = self._models.setdefault(source.name, KnownModel(source.name))
            model.own_policy = source.policy or model.own_policy
            known, stamp = model.versions.get(source.version), stamps[source.id]
            is_other = known is not None and (known.spec.stamp != stamp or known.is_broken)
            if known is None or (known.origin == origin and is_other):
                model.put(given_version(source, self._make_spec, origin, stamp))
            elif known.origin != origin:
                covered.append(source)
        for id, failed in broken.items():
            model = self._models.setdefault(id.model, KnownModel(id.model))
            known = model.versions.get(id.version)
            if known is None or known.origin == origin:
                model.put(broken_version(failed, id, origin))
        for name in list(self._models):
            self._forget_if_nothing(name)
        self.want()
        return tuple(covered)

    # Configurations: many models at once

    def status(self, name: str) -> ModelStatus | None:
        """How a model stands."""
        return self._status(name)

    def known_versions(self, name: str) -> tuple[int, ...]:
        """Those that could be loaded, failed ones left out; highest first."""
        model = self._models.get(name)
        versions = {} if model is None else model.versions
        return tuple(sorted((number for number, each in versions.items() if each.failure is None), reverse=True))

    def stage(self, record: ModelRecord) -> bool:
        """Have a model that is not there yet, in memory alone; whether it was not there."""
        if record.name in self._models:
            return False
        self._models[record.name] = KnownModel(record.name, record)
        return True

    def unstage(self, name: str) -> None:
        """Be without it again."""
        model = self._models.pop(name, None)
        if model is not None:
            model.is_gone = True
        self.want()

    async def settled(self, names: Iterable[str]) -> None:
        """Returns when all that is wanted of these models serves or has failed."""
        for name in names:
            await self._settled(name)

    async def configure(
        self, by: str, make: Mapping[str, MakeRecord], ends: Mapping[str, str], values: dict[str, str]
    ) -> None:
        """Change many records in one transaction; `ends` has the models that lose their versions of an origin.

        A model without versions is forgotten then. `values` are kept with it.
        """

        async def whole() -> None:
            async with AsyncExitStack() as stack:
                models = {
                    name: await stack.enter_async_context(self._changing(name, is_new=True))
                    for name in sorted({*make, *ends})
                }
                gone = [name for name, origin in ends.items() if models[name].is_only_of(origin)]
                records = {name: make[name](models[name].record) for name in make if name not in gone}
                put = tuple(
                    desired.revised(record, at=self._clock(), by=by)
                    for name, record in records.items()
                    if record != models[name].record or record.revision == 0
                )
                change = CatalogueChange(put=put, remove_models=tuple(gone), values=values)
                await asyncio.to_thread(self._store.change_catalogue, change)
                for record in put:
                    models[record.name].record = record
                for name, origin in ends.items():
                    models[name].drop_all_of(origin)
                for name in gone:
                    models[name].is_gone = True
                    del self._models[name]
            self.want()

        await asyncio.shield(self._begin(whole()))

    # Changes

    async def change(self, asked: Asked, make: MakeEdit) -> Outcome:
        """Make one of the changes of ``edits.py``, or tell what it would do. Raises RequestError."""

        async def edit(model: KnownModel) -> tuple[Edit, KnownVersion | None]:
            return make(state_of(model, self._status(model.name))), None

        return await self._finished(self._change(asked, edit))

    async def publish(self, asked: Asked, publication: Publication) -> Outcome:
        """Take in a new version. Raises RequestError, and LoadError when the artefact is not one model.

        An artefact that is a version of the model already stays that version, unless another number is asked for.
        """
        check_name(asked.model)
        if publication.version is not None:
            check_number(publication.version)

        async def edit(model: KnownModel) -> tuple[Edit, KnownVersion | None]:
            if publication.is_first:
                check_first(model.name, model.numbers)
            version = await self._intake.version(
                model, publication, by=asked.by, is_plan=asked.is_plan, used=self._digests()
            )
            is_there = model.versions.get(version.number) is version
            state = state_of(model, self._status(model.name))
            if publication.is_beside:
                record = edits.beside(state, version.number, publication.replicas)
            else:
                record = edits.with_replicas(model.record, publication.replicas)
            if publication.is_promoted:
                answered = edits.answering_now(state)
                record = desired.promoted(record, version.number, answered=answered)
            note = edits.same_content(state, version.number) if is_there and not publication.is_promoted else ""
            return Edit(record=record, version=version.number, note=note), None if is_there else version

        async def whole() -> Outcome:
            async with self._shelving:
                try:
                    return await self._change(asked, edit, is_new=True)
                finally:
                    self._forget_if_nothing(asked.model)

        return await self._finished(whole())

    async def settle(self, outcome: Outcome, wait_s: float) -> Outcome:
        """The outcome as it stands once all that is wanted serves or has failed, or when the time is up."""
        if outcome.is_plan:
            return outcome
        is_settled = True
        try:
            async with asyncio.timeout(wait_s):
                await self._settled(outcome.model)
        except TimeoutError:
            is_settled = False
        await self.kept()
        return replace(outcome, is_settled=is_settled, now=self._status(outcome.model))

    async def _settled(self, name: str) -> None:
        """A version that fails may bring in another one, which then counts too."""
        before: set[ModelVersion] = set()
        while (ids := self._ids(name)) != before:
            before = ids
            await self._lives.settled(ids)
            await asyncio.sleep(0)  # for what a failure makes wanted

    # Failures

    def note_failure(self, id: ModelVersion, failure: VersionFailure | None) -> None:
        """Keep why a version cannot be loaded: it is not tried again, not even after a restart, until somebody asks."""
        loop = asyncio.get_running_loop()
        model = self._models.get(id.model)
        version = None if model is None else model.versions.get(id.version)
        if model is None or version is None or (failure is None and version.failure is None):
            return
        model.put(replace(version, failure=failure))
        loop.call_soon(self.want)  # whoever tells this is in the middle of something
        if version.stored is not None:
            self._writing = loop.create_task(self._keep_failure(id, failure, self._writing))

    async def finished(self) -> None:
        """Returns when every change is made, and the artefacts of deleted versions are gone."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def kept(self) -> None:
        """Returns when every failure that was noted is in the store."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def _keep_failure(
        self, id: ModelVersion, failure: VersionFailure | None, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        await asyncio.to_thread(self._store.set_failure, id.model, id.version, failure)

    # The way of every change

    async def _change(
        self,
        asked: Asked,
        edit: Callable[[KnownModel], Awaitable[tuple[Edit, KnownVersion | None]]],
        *,
        is_new: bool = False,
    ) -> Outcome:
        async with self._changing(asked.model, is_new=is_new) as model:
            check_revision(model.record, asked.revision)
            wanted, new = await edit(model)
            if asked.is_plan:
                return outcome_of(model, wanted, new, self._status(model.name), is_plan=True)
            gone = [model.versions[number] for number in wanted.remove]
            made = await self._make(model, asked, wanted, new)
        if any(version.stored is not None for version in gone):
            self._begin(self._clear_away(gone))
        return made

    async def _finished(self, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """What is begun is finished, whoever stops waiting for it: store and memory must not part."""
        return await asyncio.shield(self._begin(work))

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _make(self, model: KnownModel, asked: Asked, edit: Edit, new: KnownVersion | None) -> Outcome:
        told = outcome_of(model, edit, new, self._status(model.name), is_plan=False)
        change = self._catalogue_change(model, asked, edit, new)
        await asyncio.to_thread(self._store.change_catalogue, change)
        for number in edit.retry:
            await self._retry(model, number)
        self._take_over(model, change, edit, new)
        self.want()
        return replace(told, revision=0 if edit.is_end else model.record.revision, now=self._status(model.name))

    def _catalogue_change(
        self, model: KnownModel, asked: Asked, edit: Edit, new: KnownVersion | None
    ) -> CatalogueChange:
        if edit.is_end:
            return CatalogueChange(remove_models=(model.name,))
        is_change = edit.record != model.record or new is not None or edit.remove
        stored = [number for number in edit.remove if model.versions[number].stored is not None]
        return CatalogueChange(
            put=(desired.revised(edit.record, at=self._clock(), by=asked.by),) if is_change else (),
            add=() if new is None or new.stored is None else (new.stored,),
            remove=tuple((model.name, number) for number in stored),
        )

    def _take_over(self, model: KnownModel, change: CatalogueChange, edit: Edit, new: KnownVersion | None) -> None:
        was_asleep = model.sleeps and not model.awake
        if not model.sleeps:
            model.awake = frozenset(state_of(model, self._status(model.name)).serving)
        for record in change.put:
            model.record = record
        if edit.wakes or (new is not None and not was_asleep):
            wanted = wanted_model(model).specs
            model.awake |= {spec.id.version for spec in wanted} | ({new.number} if new is not None else set())
        if new is not None:
            model.put(new)
        for number in edit.remove:
            model.drop(number)
        if edit.is_end:
            model.is_gone = True
            del self._models[model.name]

    async def _retry(self, model: KnownModel, number: int) -> None:
        """Forget a failure. The artefact is looked at again: it may have been mended."""
        version = model.versions[number]
        if version.stored is not None:
            await self.kept()
            await asyncio.to_thread(self._store.set_failure, model.name, number, None)
            version = await asyncio.to_thread(stored_version, self._stock, version.stored, self._make_spec)
        model.put(replace(version, failure=version.failure if version.is_broken else None))

    async def _clear_away(self, gone: Sequence[KnownVersion]) -> None:
        """Artefacts that nobody needs go when their workers have ended."""
        await self._lives.settled([version.spec.id for version in gone])
        digests = {version.stored.digest for version in gone if version.stored is not None}
        async with self._shelving:
            for digest in digests - self._digests():
                await asyncio.to_thread(self._stock.forget, digest)

    @asynccontextmanager
    async def _changing(self, name: str, *, is_new: bool) -> AsyncIterator[KnownModel]:
        """The model, for whoever changes it alone. With `is_new` there need be none yet.

        One that is deleted while this waits is looked for again: somebody may have published it anew.
        """
        while True:
            model = self._models.setdefault(name, KnownModel(name)) if is_new else self._known(name)
            async with model.changing:
                if not model.is_gone:
                    yield model
                    return

    def _forget_if_nothing(self, name: str) -> None:
        """A name that was only tried is no model."""
        model = self._models.get(name)
        if model is not None and model.is_nothing and not model.changing.locked():
            model.is_gone = True
            del self._models[name]

    # Looking

    def _known(self, name: str) -> KnownModel:
        model = self._models.get(name)
        if model is None:
            raise RequestError(Code.MODEL_NOT_FOUND, f"There is no model named {name!r}.")
        return model

    def _digests(self) -> frozenset[str]:
        """What versions refer to."""
        versions = [version for model in self._models.values() for version in model.versions.values()]
        return frozenset(version.stored.digest for version in versions if version.stored is not None)

    def _status(self, name: str) -> ModelStatus | None:
        return self._lives.model(name)

    def _ids(self, name: str) -> set[ModelVersion]:
        """The versions that run, and those that should."""
        status, model = self._status(name), self._models.get(name)
        running = [] if status is None else [version.id for version in status.versions]
        wanted = [] if model is None else [spec.id for spec in wanted_model(model).specs]
        return {*running, *wanted}

    def _wanted(self, model: KnownModel) -> tuple[tuple[object, ...], WantedModel]:
        """What it consists of, and what should be served of it: of one that has not changed, the same as before."""
        facts = model.facts
        told = self._told.get(model.name)
        if told is not None and all(map(operator.is_, told[0], facts)):
            return told
        return facts, wanted_model(model, asleep=set(model.numbers) - model.awake if model.sleeps else ())
