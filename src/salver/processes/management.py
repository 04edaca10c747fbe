"""The operations on models as the control half runs them: what was asked becomes a change, which is audited."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from salver.access.audit import AuditEvent, AuditLog
from salver.access.permit import is_allowed
from salver.access.roles import ANONYMOUS
from salver.errors import Code, RequestError, SalverError
from salver.models import edits
from salver.models.background import in_background
from salver.models.catalogue import Catalogue
from salver.models.configurator import Configurator, Proposal
from salver.models.configured import Configured
from salver.models.edits import MakeEdit
from salver.models.intake import Publication
from salver.models.outcome import Asked, Outcome, VersionList
from salver.models.ownwords import own_name, with_settings
from salver.models.places import Places
from salver.models.remotes.references import without_secrets
from salver.operations import models
from salver.operations.environments import BUILD
from salver.processes.base import ControlRequest
from salver.types import ModelRoute, VersionFailure

MAX_FETCHES = 2
"""At one time: each holds a thread, and what else waits for the disk (the audit log, the store) needs some too."""
Wanted = TypeVar("Wanted", bound=models.Change)
Body = Callable[[ControlRequest], Awaitable[Any]]


def promotion(asked: models.PromoteVersion) -> MakeEdit:
    return edits.promote(asked.version)


def rollback(_: models.RollBack) -> MakeEdit:
    return edits.roll_back


def label(asked: models.SetLabel) -> MakeEdit:
    return edits.label(asked.label, asked.version)


def route(asked: models.SetRoute) -> MakeEdit:
    return edits.route(ModelRoute(weights=asked.weights, sticky=asked.sticky) if asked.weights else None)


def scale(asked: models.SetScale) -> MakeEdit:
    if asked.version is not None and isinstance(asked.replicas, int):
        return edits.scale_version(asked.version, asked.replicas)
    if asked.replicas == 0:
        return edits.unload
    return edits.scale(asked.over, loads=isinstance(asked.replicas, int))


def policy(asked: models.SetPolicy) -> MakeEdit:
    return edits.policy(asked.policy)


def load(asked: models.LoadModel) -> MakeEdit:
    return edits.load(asked.version, wanted=asked.policy, replicas=asked.replicas)


def unload(_: models.UnloadModel) -> MakeEdit:
    return edits.unload


def deletion(asked: models.DeleteModel) -> MakeEdit:
    return edits.delete(asked.version)


EDITS: Mapping[str, tuple[type[models.Change], Callable[[Any], MakeEdit]]] = {
    models.PROMOTE.name: (models.PromoteVersion, promotion),
    models.ROLLBACK.name: (models.RollBack, rollback),
    models.LABEL.name: (models.SetLabel, label),
    models.ROUTE.name: (models.SetRoute, route),
    models.SCALE.name: (models.SetScale, scale),
    models.POLICY.name: (models.SetPolicy, policy),
    models.LOAD.name: (models.LoadModel, load),
    models.UNLOAD.name: (models.UnloadModel, unload),
    models.DELETE.name: (models.DeleteModel, deletion),
}
"""The parameters of each operation, and the change that they mean."""


class Management:
    """Runs permitted operations on the catalogue. A change is in the audit log before its operation returns."""

    def __init__(
        self,
        catalogue: Catalogue,
        audit: AuditLog,
        uploads: Path,
        places: Places,
        configurator: Configurator,
        *,
        allow_unavailable: bool = False,
    ) -> None:
        """`uploads` is where front ends put what they receive, and where is put what is fetched from `places`.

        With `allow_unavailable` a configuration may put a new label on a version that cannot answer yet.
        """
        self._catalogue = catalogue
        self._audit = audit
        self._uploads = uploads
        self._places = places
        self._configurator = configurator
        self._allow_unavailable = allow_unavailable
        self._fetching = asyncio.Semaphore(MAX_FETCHES)

    def bodies(self) -> dict[str, Body]:
        return {
            models.VERSIONS.name: self._versions,
            models.PUBLISH.name: self._publish,
            models.CONFIGURE.name: self._configure,
            **dict.fromkeys(EDITS, self._edit),
        }

    async def _versions(self, request: ControlRequest) -> VersionList:
        found = self._catalogue.versions(msgspec.msgpack.decode(request.parameters, type=models.ListVersions).model)
        return _for_strangers(found) if request.principal.role == ANONYMOUS.name else found

    async def _edit(self, request: ControlRequest) -> Outcome:
        kind, make = EDITS[request.operation]
        wanted = msgspec.msgpack.decode(request.parameters, type=kind)
        return await self._made(request, wanted, lambda asked: self._catalogue.change(asked, make(wanted)))

    async def _publish(self, request: ControlRequest) -> Outcome:
        wanted = msgspec.msgpack.decode(request.parameters, type=models.PublishVersion)
        if wanted.location:
            only = wanted.model if request.principal.models else None
            may_install = is_allowed(request.principal, BUILD.permission)
            return await self._made(request, wanted, lambda asked: self._fetched(asked, wanted, only, may_install))
        artefact = self._upload(wanted.upload) if wanted.upload else None
        may_install = is_allowed(request.principal, BUILD.permission)
        publication = publication_of(wanted, artefact, wanted.file_name, is_copied=False, may_install=may_install)
        return await self._made(request, wanted, lambda asked: self._catalogue.publish(asked, publication))

    async def _configure(self, request: ControlRequest) -> Configured:
        wanted = msgspec.msgpack.decode(request.parameters, type=models.ConfigureModels)
        proposal = Proposal(
            models=wanted.models,
            by=request.principal.id,
            allow_unavailable=self._allow_unavailable,
            wait_s=max(0.0, min(wanted.wait_s, models.MAX_WAIT_S)),
        )
        outcome = Code.INTERNAL.value
        try:
            made = await self._configurator.reconfigure(proposal)
            outcome = "OK"
        except SalverError as error:
            outcome = error.code.value
            raise
        finally:
            event = AuditEvent(
                principal=request.principal.id,
                operation=request.operation,
                outcome=outcome,
                request_id=request.request_id,
                peer=request.peer,
                detail=f"models={msgspec.json.encode(wanted.models).decode()}",
            )
            await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(self._audit.record, event)))
        return made

    async def _fetched(
        self, asked: Asked, wanted: models.PublishVersion, only: str | None, may_install: bool
    ) -> Outcome:
        """`only` is the model that whoever asks may know, if he may not know all."""
        found = await asyncio.to_thread(self._places.find, wanted.location, only)
        if asked.is_plan:
            name = without_secrets(wanted.location)
            return await self._catalogue.publish(
                asked, publication_of(wanted, None, name, is_copied=True, may_install=may_install)
            )
        async with self._fetching:
            folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._uploads))
            try:
                artefact = await in_background(self._places.bring, found, folder)
                if wanted.has_own_name and only is None:
                    own = await asyncio.to_thread(own_name, artefact)
                    asked = msgspec.structs.replace(asked, model=own or asked.model)
                kept = await in_background(with_settings, artefact, folder, wanted.settings)
                publication = publication_of(wanted, kept, artefact.name, is_copied=True, may_install=may_install)
                return await self._catalogue.publish(asked, publication)
            finally:
                await asyncio.to_thread(shutil.rmtree, folder)

    def _upload(self, path: str) -> Path:
        upload = Path(path)
        if upload.parent != self._uploads:
            raise RequestError(Code.INTERNAL, "An upload is not where uploads are.", log_detail=path)
        return upload

    async def _made(
        self, request: ControlRequest, wanted: Wanted, make: Callable[[Asked], Awaitable[Outcome]]
    ) -> Outcome:
        asked = Asked(model=wanted.model, by=request.principal.id, is_plan=wanted.is_plan, revision=wanted.revision)
        if wanted.is_plan:
            return await make(asked)
        outcome = Code.INTERNAL.value
        made: Outcome | None = None
        try:
            made = await make(asked)
            outcome = "OK"
        except SalverError as error:
            outcome = error.code.value
            raise
        finally:
            event = _event(request, wanted, made, outcome)
            await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(self._audit.record, event)))
        return await self._catalogue.settle(made, min(wanted.wait_s, models.MAX_WAIT_S))


def _for_strangers(found: VersionList) -> VersionList:
    """Without what tells of this machine and of who runs it, as `models.get` has it for them."""
    hidden = {"source": "", "digest": "", "created_by": ""}
    versions = [
        msgspec.structs.replace(version, **hidden, failure=_bare(version.failure)) for version in found.versions
    ]
    return msgspec.structs.replace(found, versions=tuple(versions))


def _bare(failure: VersionFailure | None) -> VersionFailure | None:
    return None if failure is None else msgspec.structs.replace(failure, exception="", log_tail=())


def publication_of(
    wanted: models.PublishVersion, artefact: Path | None, file_name: str, *, is_copied: bool, may_install: bool
) -> Publication:
    return Publication(
        artefact=artefact,
        file_name=file_name,
        told="" if artefact is None or artefact.name == file_name else file_name,
        version=wanted.version,
        is_promoted=wanted.is_promoted,
        is_copied=is_copied,
        is_first=wanted.is_first,
        replicas=wanted.replicas,
        is_beside=wanted.is_beside,
        may_install=may_install,
    )


def _event(request: ControlRequest, wanted: models.Change, made: Outcome | None, outcome: str) -> AuditEvent:
    return AuditEvent(
        principal=request.principal.id,
        operation=request.operation,
        outcome=outcome,
        scope=f"model/{wanted.model if made is None else made.model}",
        request_id=request.request_id,
        peer=request.peer,
        detail=detail_of(wanted, made),
    )


def detail_of(wanted: models.Change, made: Outcome | None) -> str:
    """What was asked for, and the version that it came to."""
    hidden = {field.name for field in msgspec.structs.fields(models.Change)} | {"upload"}
    told: list[str] = []
    for field in msgspec.structs.fields(wanted):
        value = getattr(wanted, field.name)
        if field.name not in hidden and value is not None and value != field.default:
            shown = without_secrets(value) if field.name == "location" else value
            told.append(f"{field.name}={msgspec.json.encode(shown).decode()}")
    if made is not None and made.version is not None and "version" not in {text.partition("=")[0] for text in told}:
        told.append(f"version={made.version}")
    return " ".join(told)
