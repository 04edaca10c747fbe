"""The bodies of the ordinary operations, as a front end runs them: from its own memory, or by the control half."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from salver import __version__
from salver.access.permit import is_allowed, model_not_found, visible
from salver.access.roles import ANONYMOUS
from salver.errors import Code, RequestError
from salver.models.states import ENDING, SERVING
from salver.models.workflows.base import Workflow
from salver.operations import access, environments, models, server, statistics, workflows
from salver.operations.base import Body, Call
from salver.operations.inference import PREDICT
from salver.processes.base import Control, ControlRequest
from salver.serving.pipeline import Pipeline
from salver.store.base import AuditLine, KeyRecord
from salver.telemetry import logging as event_log
from salver.types import ModelStatus, ModelVersion, VersionState, VersionStatus

RESULTS: dict[str, Any] = {
    access.KEYS_CREATE.name: access.CreatedKey,
    access.KEYS_LIST.name: tuple[KeyRecord, ...],
    access.KEYS_REVOKE.name: KeyRecord,
    access.KEYS_RENEW.name: KeyRecord,
    access.AUDIT_READ.name: tuple[AuditLine, ...],
    server.METRICS.name: bytes,
    server.COUNTS.name: server.Counts,
    server.SET_LOGGING.name: server.LogLevel,
    statistics.OF_ONE.name: statistics.Statistics,
    statistics.OF_ALL.name: statistics.Statistics,
    models.VERSIONS.name: models.VersionList,
    models.CONFIGURE.name: models.Configured,
    environments.LIST.name: tuple[environments.EnvironmentRow, ...],
    environments.GET.name: environments.EnvironmentDetail,
    environments.LOCK.name: environments.LockedEnvironment,
    environments.BUILD.name: environments.BuiltEnvironment,
    environments.PRUNE.name: environments.PrunedEnvironments,
    workflows.REGISTER.name: Workflow,
    workflows.DELETE.name: Workflow,
    **{operation.name: models.Outcome for operation in models.CHANGES},
}
"""What the operations of the control half answer."""


MAY_ASK_MODELS = (PREDICT.permission, models.SCALE.permission)
"""Either of them lets a caller have a model's code say something of itself: it takes the time of a worker."""


class Queries:
    """Bodies by operation name."""

    def __init__(
        self,
        pipeline: Pipeline,
        control: Control,
        is_draining: Callable[[], bool],
        *,
        workflows: Callable[[], Mapping[str, Workflow]] = dict,
        describe: Callable[[ModelVersion, Call], Awaitable[bytes]] | None = None,
    ) -> None:
        """`describe` asks a version what it says of itself."""
        self._pipeline = pipeline
        self._workflows = workflows
        self._describe_version = describe
        self._control = control
        self._is_draining = is_draining
        self.wire_names: tuple[str, ...] = ()

    def bodies(self) -> dict[str, Body]:
        return {
            models.LIST.name: self._list_models,
            models.GET.name: self._get_model,
            workflows.LIST.name: self._list_workflows,
            workflows.GET.name: self._get_workflow,
            server.LIVE.name: self._health,
            server.READY.name: self._health,
            server.DESCRIBE.name: self._describe,
            server.LOGGING.name: self._logging,
            **dict.fromkeys(RESULTS, self._elsewhere),
        }

    async def _list_models(self, call: Call, parameters: models.ListModels) -> models.ModelList:
        known = self._pipeline.models
        return tuple(self._with_live_links(known[name]) for name in visible(call.principal, sorted(known)))

    async def _get_model(self, call: Call, parameters: models.GetModel) -> ModelStatus:
        status = self._pipeline.models.get(parameters.model)
        if status is None:
            raise model_not_found(parameters.model)
        call.version = status.default_version or 0
        if call.principal.role == ANONYMOUS.name:
            status = _for_strangers(status)
        version = parameters.version
        if parameters.label is not None:
            version = status.labels.get(parameters.label)
            if version is None:
                raise RequestError(
                    Code.LABEL_NOT_FOUND, f"The model {parameters.model!r} has no label {parameters.label!r}."
                )
        if version is None:
            return await self._told(call, parameters, self._with_live_links(status))
        found = tuple(entry for entry in status.versions if entry.id.version == version)
        if not found:
            raise RequestError(Code.VERSION_NOT_FOUND, f"The model {parameters.model!r} has no version {version}.")
        return await self._told(
            call, parameters, self._with_live_links(msgspec.structs.replace(status, versions=found))
        )

    async def _told(self, call: Call, parameters: models.GetModel, status: ModelStatus) -> ModelStatus:
        """The model, with what its versions say of themselves where that is asked for."""
        if not parameters.is_customized or self._describe_version is None:
            return status
        if not any(is_allowed(call.principal, permission, status.name) for permission in MAY_ASK_MODELS):
            return status
        serving = [entry for entry in status.versions if self._links(entry.id)]
        said = await asyncio.gather(*(self._describe_version(entry.id, call) for entry in serving))
        words = {entry.id: text for entry, text in zip(serving, said, strict=True)}
        versions = tuple(
            msgspec.structs.replace(entry, customized=words.get(entry.id, b"{}")) for entry in status.versions
        )
        return msgspec.structs.replace(status, versions=versions)

    async def _list_workflows(self, call: Call, parameters: workflows.ListWorkflows) -> tuple[Workflow, ...]:
        known = self._workflows()
        return tuple(known[name] for name in visible(call.principal, sorted(known)))

    async def _get_workflow(self, call: Call, parameters: workflows.GetWorkflow) -> Workflow:
        found = self._workflows().get(parameters.name)
        if found is None:
            raise RequestError(Code.MODEL_NOT_FOUND, f"Workflow not found: {parameters.name}")
        return found

    def _with_live_links(self, status: ModelStatus) -> ModelStatus:
        """What no live link reaches from here is not called ready, whatever was last published."""
        return msgspec.structs.replace(status, versions=tuple(self._as_seen_here(entry) for entry in status.versions))

    def _as_seen_here(self, entry: VersionStatus) -> VersionStatus:
        if entry.state in ENDING:
            return entry
        queue = self._pipeline.queues.get(entry.id)
        reached = {link.replica_id for link in queue.links} if queue is not None else set()
        replicas = tuple(
            msgspec.structs.replace(replica, state="STARTING")
            if replica.state == "READY" and replica.id not in reached
            else replica
            for replica in entry.replicas
        )
        state = VersionState.STARTING if entry.state in SERVING and not reached else entry.state
        return msgspec.structs.replace(entry, state=state, replicas=replicas)

    def _links(self, id: ModelVersion) -> int:
        queue = self._pipeline.queues.get(id)
        return 0 if queue is None else len(queue.links)

    async def _health(self, call: Call, parameters: server.GetHealth) -> server.HealthReport:
        return self.health(may_know=is_allowed(call.principal, models.LIST.permission))

    def health(self, *, may_know: bool) -> server.HealthReport:
        """The truth now; only those who may know hear which model is missing."""
        reasons: list[str] = ["The server is stopping."] if self._is_draining() else []
        ready = wanted = 0
        for model in self._pipeline.models.values():
            for version in model.versions:
                links = self._links(version.id)
                ready += min(links, version.replicas_wanted)
                wanted += version.replicas_wanted
                if not _is_missed(version, model):
                    continue
                if not links and may_know:
                    reasons.append(f"{version.id} has no live replica; it is {version.state.value}. {version.reason}")
                elif not links:
                    reasons.append("A model has no live replica; a caller who may list models is told which.")
        return server.HealthReport(
            is_live=True,
            is_ready=not reasons,
            reasons=tuple(dict.fromkeys(reason.strip() for reason in reasons)),
            replicas_ready=ready,
            replicas_wanted=wanted,
        )

    async def _describe(self, call: Call, parameters: server.Describe) -> server.ServerDescription:
        return server.ServerDescription(version=__version__, wires=self.wire_names)

    async def _logging(self, call: Call, parameters: server.GetLogging) -> server.LogLevel:
        return server.LogLevel(msgspec.convert(event_log.level(), server.Level))

    async def _elsewhere(self, call: Call, parameters: Any) -> Any:
        name = call.operation.name
        raw = await self._control.operate(
            ControlRequest(
                operation=name,
                parameters=msgspec.Raw(msgspec.msgpack.encode(parameters)),
                principal=call.principal,
                request_id=call.request_id,
                peer=call.peer,
                wire=call.wire,
            )
        )
        return msgspec.msgpack.decode(raw, type=RESULTS[name])


def _is_missed(version: VersionStatus, model: ModelStatus) -> bool:
    """Whether the model cannot do without this version now: others come and go beside the one that answers."""
    return version.id.version == model.default_version and version.state is not VersionState.UNLOADED


def _for_strangers(status: ModelStatus) -> ModelStatus:
    """The model without what tells of this machine: paths, and lines that the model's code printed."""
    versions = tuple(
        msgspec.structs.replace(entry, source="", environment="", log_tail=()) for entry in status.versions
    )
    return msgspec.structs.replace(status, versions=versions)
