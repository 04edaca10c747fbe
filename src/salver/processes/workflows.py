"""Workflows in the control half: registered and deleted through the operations on models, kept in the store."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from salver.access.audit import AuditEvent, AuditLog
from salver.access.permit import denial, is_allowed
from salver.errors import Code, LoadError, RequestError, SalverError
from salver.models.keptsettings import ArtefactSettings
from salver.models.outcome import Outcome
from salver.models.places import inside
from salver.models.workflows.archive import OpenedWorkflow, open_workflow
from salver.models.workflows.base import Node, Workflow
from salver.operations import models, workflows
from salver.processes.base import ControlRequest
from salver.store.base import Store
from salver.types import VersionState

KEPT = "workflows"
"""The named value of the store."""
DELETION_S = 30.0
"""How long models that go may take to finish what they have, before a deletion is answered all the same."""
Body = Callable[[ControlRequest], Awaitable[Any]]


class Workflows:
    """What workflows there are. Owned by one loop; changes come one after the other."""

    def __init__(
        self,
        store: Store,
        audit: AuditLog,
        operate: Body,
        spread: Callable[[Sequence[Workflow]], Awaitable[None]],
        uploads: Path,
        folder: Path | None,
    ) -> None:
        """`operate` runs an operation on models; `spread` has every front end know the workflows; `folder` is the
        workflow store. Blocks for the disk."""
        self._store = store
        self._audit = audit
        self._operate = operate
        self._spread = spread
        self._uploads = uploads
        self._folder = folder
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Workflow]] = set()
        kept = store.get_value(KEPT)
        found = () if kept is None else msgspec.json.decode(kept, type=tuple[Workflow, ...])
        self._known = {workflow.name: workflow for workflow in found}

    @property
    def known(self) -> tuple[Workflow, ...]:
        """Those that answer, by name."""
        return tuple(self._known[name] for name in sorted(self._known) if self._known[name].is_whole)

    def bodies(self) -> dict[str, Body]:
        return {workflows.REGISTER.name: self._register, workflows.DELETE.name: self._delete}

    async def _register(self, request: ControlRequest) -> Workflow:
        asked = msgspec.msgpack.decode(request.parameters, type=workflows.RegisterWorkflow)
        return await self._changed(request, asked.name, asked.location, lambda: self._registered(request, asked))

    async def _delete(self, request: ControlRequest) -> Workflow:
        asked = msgspec.msgpack.decode(request.parameters, type=workflows.DeleteWorkflow)
        return await self._changed(request, asked.name, "", lambda: self._deleted(request, asked.name))

    async def _changed(
        self, request: ControlRequest, name: str, location: str, make: Callable[[], Awaitable[Workflow]]
    ) -> Workflow:
        """What is begun is finished, whoever stops waiting for it; and it is in the audit log before it is answered."""

        async def whole() -> Workflow:
            outcome, about = Code.INTERNAL.value, name
            try:
                async with self._changing:
                    made = await make()
                outcome, about = "OK", made.name
                return made
            except SalverError as error:
                outcome = error.code.value
                raise
            finally:
                event = AuditEvent(
                    principal=request.principal.id,
                    operation=request.operation,
                    outcome=outcome,
                    scope=f"model/{about}",
                    request_id=request.request_id,
                    peer=request.peer,
                    detail=f"location={location}" if location else "",
                )
                await asyncio.to_thread(self._audit.record, event)

        task = asyncio.get_running_loop().create_task(whole())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    # Register

    async def _registered(self, request: ControlRequest, asked: workflows.RegisterWorkflow) -> Workflow:
        archive = await asyncio.to_thread(self._archive, asked.location)
        scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._uploads))
        try:
            own_name = asked.has_own_name and not request.principal.models
            name = None if own_name else asked.name
            opened = await asyncio.to_thread(open_workflow, archive, scratch, name, asked.location)
            workflow = opened.workflow
            known = self._known.get(workflow.name)
            if known is not None and known.is_whole:
                raise RequestError(
                    Code.CONFLICT,
                    f"Workflow {workflow.name} is already registered.",
                    fix="Delete it first, or give it another name.",
                )
            self._check(request, workflow, models.PUBLISH.permission)
            if known is not None:
                await self._remove_models(request, known)
            await self._keep(replace(workflow, is_whole=False))
            await self._publish_all(request, asked, opened)
            await self._keep(workflow)
            return workflow
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    def _archive(self, location: str) -> Path:
        if "://" in location:
            raise RequestError(
                Code.INVALID_INPUT,
                f"Failed to download archive from: {location}",
                fix="Put the workflow's archive into the workflow store, and name it.",
            )
        if self._folder is None:
            raise LoadError(
                Code.MODEL_NOT_FOUND,
                "Workflow store has not been configured.",
                fix="Start the server with --workflow-store FOLDER.",
            )
        if ".." in location.split("/") or location.startswith("/"):
            raise _not_there(f"Relative path is not allowed in url: {location}")
        path = inside(self._folder, location)
        if path is None:
            raise _not_there(f"Workflow not found in workflow store: {location}")
        return path

    def _check(self, request: ControlRequest, workflow: Workflow, permission: str | None) -> None:
        """Whoever changes a workflow changes its models. Raises RequestError."""
        for node in workflow.nodes:
            model = workflow.model(node)
            if not is_allowed(request.principal, permission, model):
                raise denial(request.principal, permission or "", model)

    async def _publish_all(
        self, request: ControlRequest, asked: workflows.RegisterWorkflow, opened: OpenedWorkflow
    ) -> None:
        """All nodes at once; when one cannot be had, those that were made go again. Raises LoadError."""
        workflow = opened.workflow
        found = await asyncio.gather(
            *(self._publish(request, asked, opened, node) for node in workflow.nodes), return_exceptions=True
        )
        failures = [result for result in found if isinstance(result, BaseException)]
        fault = next((failure for failure in failures if not isinstance(failure, SalverError)), None)
        if not failures:
            return
        made = [node for node, result in zip(workflow.nodes, found, strict=True) if _was_made(result)]
        await self._remove_models(request, replace(workflow, nodes=tuple(made)))
        await self._forget(workflow.name)
        if fault is not None:
            raise fault
        told = ", ".join(failure.message for failure in failures if isinstance(failure, SalverError))
        raise LoadError(
            Code.LOAD_FAILED, f"Workflow {workflow.name} has failed to register. Failures: [{told}]", fix=_fix(failures)
        )

    async def _publish(
        self, request: ControlRequest, asked: workflows.RegisterWorkflow, opened: OpenedWorkflow, node: Node
    ) -> Outcome:
        model, words = opened.workflow.model(node), node.words
        wanted = models.PublishVersion(
            model=model,
            location=node.url,
            is_first=True,
            replicas=words.min_workers,
            wait_s=asked.wait_s,
            settings=ArtefactSettings(
                max_batch_rows=words.batch_size,
                max_batch_delay_ms=words.max_batch_delay_ms if words.batch_size > 1 else None,
                deadline_s=asked.deadline_s,
            ),
        )
        try:
            outcome = await self._published(request, opened, node, wanted)
        except SalverError as error:
            details = error.message.replace("Model not found in model store:", "Model not found at:")
            message = f"Workflow Node {model} failed to register. Details: {details}"
            raise LoadError(error.code, message, fix=error.fix) from error
        self._check_loaded(outcome)
        return outcome

    async def _published(
        self, request: ControlRequest, opened: OpenedWorkflow, node: Node, wanted: models.PublishVersion
    ) -> Outcome:
        if not node.is_function:
            return await self._changed_model(request, models.PUBLISH.name, wanted)
        path = self._uploads / f"{uuid.uuid4().hex}.mar"
        try:
            await asyncio.to_thread(opened.write_function, node, path)
            wanted = replace(wanted, location="", upload=str(path), file_name=f"{wanted.model}.mar")
            return await self._changed_model(request, models.PUBLISH.name, wanted)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    def _check_loaded(self, outcome: Outcome) -> None:
        versions = () if outcome.now is None else outcome.now.versions
        failed = next((each for each in versions if each.state is VersionState.FAILED), None)
        if failed is None and outcome.is_settled:
            return
        why = "it took too long" if failed is None else failed.reason
        raise NotLoaded(
            Code.LOAD_FAILED,
            f"Failed to start workers for model {outcome.model} version: 1.0: {why}",
            fix="" if failed is None else failed.fix,
        )

    # Delete

    async def _deleted(self, request: ControlRequest, name: str) -> Workflow:
        workflow = self._known.get(name)
        if workflow is None:
            raise RequestError(Code.MODEL_NOT_FOUND, f"Workflow not found: {name}")
        self._check(request, workflow, models.DELETE.permission)
        await self._keep(replace(workflow, is_whole=False))
        await self._remove_models(request, workflow)
        await self._forget(name)
        return workflow

    async def _remove_models(self, request: ControlRequest, workflow: Workflow) -> None:
        """All at once. What somebody deleted before is no matter."""
        await asyncio.gather(*(self._remove_model(request, workflow.model(node)) for node in workflow.nodes))

    async def _remove_model(self, request: ControlRequest, model: str) -> None:
        try:
            await self._changed_model(request, models.DELETE.name, models.DeleteModel(model=model, wait_s=DELETION_S))
        except SalverError as error:
            if error.code is not Code.MODEL_NOT_FOUND:
                raise

    async def _changed_model(self, request: ControlRequest, operation: str, wanted: models.Change) -> Outcome:
        parameters = msgspec.Raw(msgspec.msgpack.encode(wanted))
        outcome = await self._operate(replace(request, operation=operation, parameters=parameters))
        assert isinstance(outcome, Outcome)
        return outcome

    # What is kept

    async def _keep(self, workflow: Workflow) -> None:
        await self._now(self._known | {workflow.name: workflow})

    async def _forget(self, name: str) -> None:
        await self._now({each: workflow for each, workflow in self._known.items() if each != name})

    async def _now(self, known: dict[str, Workflow]) -> None:
        text = msgspec.json.encode([known[name] for name in sorted(known)]).decode()
        await asyncio.to_thread(self._store.set_value, KEPT, text)
        self._known = known
        await self._spread(self.known)


class NotLoaded(LoadError):
    """A node's model was taken in, and does not serve."""


def _was_made(result: Outcome | BaseException) -> bool:
    return not isinstance(result, BaseException) or isinstance(result, NotLoaded)


def _fix(failures: Sequence[BaseException]) -> str:
    return next((failure.fix for failure in failures if isinstance(failure, SalverError) and failure.fix), "")


def _not_there(message: str) -> LoadError:
    return LoadError(Code.MODEL_NOT_FOUND, message, fix="Name a file of the workflow store.")
