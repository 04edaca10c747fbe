"""The operations on environments as the control half runs them. A change is audited before its operation returns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from salver.access.audit import AuditEvent, AuditLog
from salver.errors import Code, LoadError, RequestError, SalverError
from salver.operations import environments
from salver.operations.environments import EnvironmentRow, Package
from salver.processes.base import ControlRequest
from salver.replicas.environments.base import PYTHON, Environment, EnvironmentRequest, R
from salver.replicas.environments.builder import Builder
from salver.replicas.environments.locks import WORKER_NEEDS
from salver.replicas.environments.pythons import is_found_by_version
from salver.replicas.environments.renv import FILE as RENV
from salver.replicas.environments.renv import renv_request
from salver.replicas.environments.requirements import constraints_for, parse_lines, with_base
from salver.types import ModelVersion

T = TypeVar("T")
Body = Callable[[ControlRequest], Awaitable[Any]]
LINES_OF_PACKAGE = 40
"""More than renv writes for one."""
Wants = Callable[[], Mapping[ModelVersion, EnvironmentRequest]]


class EnvironmentOperations:
    """`wants` are all versions that there are and need an environment, loaded or not; `running` what workers run in."""

    def __init__(
        self, builder: Builder, wants: Wants, running: Callable[[], Iterable[EnvironmentRequest]], audit: AuditLog
    ) -> None:
        self._builder = builder
        self._wants = wants
        self._running = running
        self._audit = audit
        self._tasks: set[asyncio.Task[Any]] = set()

    def bodies(self) -> dict[str, Body]:
        return {
            environments.LIST.name: self._list,
            environments.GET.name: self._get,
            environments.LOCK.name: self._lock,
            environments.BUILD.name: self._build,
            environments.PRUNE.name: self._prune,
        }

    async def _list(self, request: ControlRequest) -> tuple[EnvironmentRow, ...]:
        return await self._rows(await self._builder.all())

    async def _get(self, request: ControlRequest) -> environments.EnvironmentDetail:
        wanted = msgspec.msgpack.decode(request.parameters, type=environments.GetEnvironment).id
        found = [each for each in await self._builder.all() if wanted and each.id.startswith(wanted)]
        if len(found) != 1:
            count = "no environment" if not found else f"{len(found)} environments, and not one,"
            raise RequestError(
                Code.INVALID_INPUT,
                f"There is {count} with an id that begins with {wanted[:64]!r}.",
                fix="`salver env list` shows those that there are.",
            )
        environment = found[0]
        (row,) = await self._rows(found)
        return environments.EnvironmentDetail(
            row=row,
            interpreter=environment.interpreter,
            packages=tuple(Package(pin.name, pin.version) for pin in environment.packages),
            lock=await self._builder.lock_text(environment.id),
        )

    async def _lock(self, request: ControlRequest) -> environments.LockedEnvironment:
        asked = msgspec.msgpack.decode(request.parameters, type=environments.LockEnvironment)
        wanted = request_of(asked.wanted)
        lock = await self._audited(request, wanted, lambda: self._builder.lock(wanted, _untold))
        packages = tuple(Package(pin.name, pin.version) for pin in lock.pins)
        return environments.LockedEnvironment(lock=lock.text, digest=lock.digest, packages=packages)

    async def _build(self, request: ControlRequest) -> environments.BuiltEnvironment:
        asked = msgspec.msgpack.decode(request.parameters, type=environments.BuildEnvironment)
        wanted = request_of(asked.wanted)
        digest = (await self._builder.lock_digests([wanted])).get(wanted.digest)
        there = await self._builder.find(wanted)
        if asked.is_plan or there is not None:
            steps = _steps(wanted, is_locked=digest is not None, is_built=there is not None)
            row = None if there is None else (await self._rows([there]))[0]
            return environments.BuiltEnvironment(is_plan=asked.is_plan, steps=steps, environment=row)
        said: list[str] = []
        prepared = await self._audited(request, wanted, lambda: self._builder.prepare(wanted, said.append))
        if prepared.environment is None:
            steps = (*said, f"nothing is to be installed: {prepared.label}")
            return environments.BuiltEnvironment(is_plan=False, steps=steps)
        (row,) = await self._rows([prepared.environment])
        return environments.BuiltEnvironment(is_plan=False, steps=tuple(said), environment=row)

    async def _prune(self, request: ControlRequest) -> environments.PrunedEnvironments:
        is_plan = msgspec.msgpack.decode(request.parameters, type=environments.PruneEnvironments).is_plan

        async def prune() -> environments.PrunedEnvironments:
            needed = [*self._wants().values(), *self._running()]
            pruned = await self._builder.prune(needed, is_plan=is_plan)
            return environments.PrunedEnvironments(
                is_plan=is_plan,
                removed=await self._rows(pruned.removed),
                kept=await self._rows(pruned.kept),
                size_bytes=pruned.bytes,
            )

        return await prune() if is_plan else await self._audited(request, None, prune)

    async def _rows(self, found: Sequence[Environment]) -> tuple[EnvironmentRow, ...]:
        wants = self._wants()
        ids = await self._builder.ids(wants.values())
        users: dict[str, list[ModelVersion]] = {}
        for id, wanted in sorted(wants.items()):
            users.setdefault(ids.get(wanted.digest, ""), []).append(id)
        return tuple(
            EnvironmentRow(
                id=each.id,
                kind=each.kind,
                python=each.python,
                packages=len(each.packages),
                size_bytes=each.size_bytes,
                built_at=each.built_at,
                build_s=each.build_s,
                lock_digest=each.lock_digest,
                used_by=tuple(users.get(each.id, ())),
            )
            for each in found
        )

    async def _audited(
        self, request: ControlRequest, wanted: EnvironmentRequest | None, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        """What is begun is finished, whoever stops waiting for it."""
        task = asyncio.get_running_loop().create_task(self._whole(request, wanted, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _whole(
        self, request: ControlRequest, wanted: EnvironmentRequest | None, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        outcome = Code.INTERNAL.value
        try:
            result = await work()
            outcome = "OK"
        except LoadError as error:
            outcome = error.code.value
            lines = "".join(f"\n  | {line}" for line in getattr(error, "lines", ())[-10:])
            raise RequestError(error.code, error.message + lines, fix=error.fix) from error
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
                detail="" if wanted is None else wanted.label,
            )
            await asyncio.to_thread(self._audit.record, event)
        return result


def request_of(wanted: environments.WantedEnvironment) -> EnvironmentRequest:
    """As a model would have it. Raises RequestError(INVALID_INPUT): lines from outside may be anything."""
    if wanted.kind == R:
        return _renv_request(wanted)
    if wanted.kind != PYTHON:
        raise RequestError(
            Code.INVALID_INPUT, f"There are no environments of the kind {wanted.kind[:64]!r}.", fix="Send python or r."
        )
    if not is_found_by_version(wanted.python):
        raise RequestError(
            Code.INVALID_INPUT, f"python is a version or a range of them, not {wanted.python[:64]!r}.", fix="Send 3.11."
        )
    lines = sum(map(len, (wanted.requirements, wanted.constraints, wanted.lock.splitlines())))
    if lines > environments.MAX_LINES:
        raise RequestError(Code.PAYLOAD_TOO_LARGE, f"More than {environments.MAX_LINES} lines of requirements.")
    try:
        requirements = with_base(parse_lines(wanted.requirements, "the requirements").requirements, (WORKER_NEEDS,))
        constraints = parse_lines(wanted.constraints, "the constraints").requirements
    except LoadError as error:
        raise RequestError(Code.INVALID_INPUT, error.message, fix=error.fix) from error
    if wanted.lock:
        return EnvironmentRequest(python=wanted.python, lock=wanted.lock)
    return EnvironmentRequest(
        python=wanted.python,
        requirements=requirements,
        constraints=tuple(sorted({*constraints, *constraints_for(requirements)})),
    )


def _renv_request(wanted: environments.WantedEnvironment) -> EnvironmentRequest:
    if not wanted.lock or wanted.requirements or wanted.constraints or wanted.python:
        raise RequestError(
            Code.INVALID_INPUT, "An environment of R is asked for by a lock alone.", fix="Send renv.lock as `lock`."
        )
    if wanted.lock.count("\n") > environments.MAX_LINES * LINES_OF_PACKAGE:
        raise RequestError(Code.PAYLOAD_TOO_LARGE, f"More than {environments.MAX_LINES} packages.")
    try:
        return renv_request(wanted.lock, RENV)
    except LoadError as error:
        raise RequestError(Code.INVALID_INPUT, error.message, fix=error.fix) from error


def _steps(wanted: EnvironmentRequest, *, is_locked: bool, is_built: bool) -> tuple[str, ...]:
    if is_built:
        return ("it is built already",)
    resolve = () if is_locked or (wanted.lock and wanted.kind == PYTHON) else (f"resolve {wanted.label}",)
    return (*resolve, "install the packages of the lock")


def _untold(_text: str) -> None:
    """Nobody waits for how far it is."""
