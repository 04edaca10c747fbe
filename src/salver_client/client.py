"""The two clients: the same calls, waiting in a thread or on an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from salver_client import calls, changes, environments, steps, streams
from salver_client.answers import reply_of, unreachable
from salver_client.artefacts import Artefact, opened
from salver_client.calls import Call, Reply
from salver_client.changes import LEFT, How, Left
from salver_client.environments import (
    BuiltEnvironment,
    Environment,
    EnvironmentDetail,
    EnvironmentLock,
    PrunedEnvironments,
)
from salver_client.errors import SalverClientError
from salver_client.inputs import Form, Inputs
from salver_client.packaging.base import Package, pushed
from salver_client.results import (
    AuditLine,
    CreatedKey,
    Key,
    Model,
    Outcome,
    Prediction,
    Readiness,
    VersionList,
)
from salver_client.steps import Finished, Pause, Send, Steps, begin, proceed
from salver_client.unix import AsyncUnixTransport, UnixTransport

Result = TypeVar("Result")

DEFAULT_URL = "http://127.0.0.1:8080"
HOW = How()


def http_options(url: str, key: str | None, timeout: float, socket_path: str | None) -> dict[str, Any]:
    """What both kinds of httpx client are made with."""
    headers = {"User-Agent": "salver-client"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    base_url = url if socket_path is None else "http://localhost"
    return {"base_url": base_url, "headers": headers, "timeout": timeout}


def build_request(http: httpx.Client | httpx.AsyncClient, send: Send, timeout: float) -> httpx.Request:
    """The request of one step, with the time that it may take."""
    call = send.call
    allowed_s = max(timeout, call.at_least_s)
    if send.at_most_s is not None:
        allowed_s = min(allowed_s, send.at_most_s)
    headers = dict(call.headers)
    body: dict[str, Any] = {}
    if isinstance(call.body, Form):
        body["files"] = [(name, (piece.file_name, piece.data, piece.content_type)) for name, piece in call.body.pieces]
    elif isinstance(call.body, Artefact):
        headers["Content-Length"] = str(call.body.size_bytes)
        is_async = isinstance(http, httpx.AsyncClient)
        body["content"] = call.body.async_chunks() if is_async else call.body.chunks()
    elif call.body is not None:
        headers["Content-Type"] = call.body.content_type
        body["content"] = call.body.data
    return http.build_request(call.method, call.path, headers=headers, timeout=allowed_s, **body)


class Client:
    """Talks to one server; safe to share between threads.

    `timeout` is in seconds and bounds each wait for the server; a `deadline_s` above it lengthens it. `retries` is how
    often a call is repeated that the server refused with 503 and a Retry-After before anything was done. `socket_path`
    names the server's Unix socket and takes the place of `url`.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        timeout: float = 30.0,
        *,
        retries: int = 0,
        socket_path: str | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if transport is None and socket_path is not None:
            transport = UnixTransport(socket_path)
        self._http = httpx.Client(**http_options(url, key, timeout, socket_path), transport=transport)
        self._place = socket_path or url
        self._timeout = timeout
        self._retries = retries
        self._sleep = sleep

    def models(self) -> tuple[Model, ...]:
        """The models that the key may see, by name."""
        return self._ask(calls.models())

    def model(self, name: str) -> Model:
        """One model with its versions, replicas and signatures."""
        return self._ask(calls.model(name))

    def predict(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str = "",
        deadline_s: float | None = None,
    ) -> Prediction:
        """The model's answer. `inputs`: a mapping by input name, or the bare value of the only input."""
        return self._ask(
            calls.predict(model, inputs, version=version, label=label, signature=signature, deadline_s=deadline_s)
        )

    def stream(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str = "",
        deadline_s: float | None = None,
    ) -> Iterator[Prediction]:
        """The parts of the model's answer as they come; of a model that answers whole, one. It is never repeated.

        A stream that is closed before its end stops the model.
        """
        call = calls.predict(
            model,
            inputs,
            version=version,
            label=label,
            signature=signature,
            deadline_s=deadline_s,
            accept=streams.EVENTS,
        )
        request = build_request(self._http, Send(call), self._timeout)
        yield from streams.received(self._http, request, self._place)

    def is_ready(self) -> bool:
        """Whether the server can answer for every model; False also when it cannot be reached."""
        return self._run(steps.is_ready())

    def readiness(self) -> Readiness:
        """Whether the server is ready, and what is missing."""
        return self._ask(calls.readiness())

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Return when the server is ready. Raises SalverClientError(NOT_READY_IN_TIME) after `timeout` seconds."""
        self._run(steps.wait_ready(timeout, time.monotonic))

    def metrics(self) -> str:
        """Counters and gauges in the Prometheus text format."""
        return self._ask(calls.metrics())

    def versions(self, model: str) -> VersionList:
        """Every version of a model, loaded or not."""
        return self._ask(changes.versions(model))

    def push(
        self,
        path: str | Path | Package,
        model: str | None = None,
        *,
        version: int | None = None,
        promote: bool = False,
        how: How = HOW,
    ) -> Outcome:
        """Publish a file, a folder or a package as a version of the model; without a number it gets the next one.

        A package knows what its model is called; of anything else `model` says it.
        """
        path, model = pushed(path, model)
        if how.plan:
            return self._ask(changes.push(model, None, Path(path).name or "model", version, promote, how))
        with opened(path) as artefact:
            return self._ask(changes.push(model, artefact, artefact.name, version, promote, how))

    def fetch(
        self, location: str, model: str, *, version: int | None = None, promote: bool = False, how: How = HOW
    ) -> Outcome:
        """Have the server publish what it fetches itself: `remote:path@sha256:...`, or a name in its model store."""
        return self._ask(changes.fetch(model, location, version, promote, how))

    def promote(self, model: str, version: int, *, how: How = HOW) -> Outcome:
        """Let the version answer requests that name none."""
        return self._ask(changes.promote(model, version, how))

    def rollback(self, model: str, *, how: How = HOW) -> Outcome:
        """Let the version answer that did so before the last promotion."""
        return self._ask(changes.rollback(model, how))

    def label(self, model: str, label: str, version: int | None, *, how: How = HOW) -> Outcome:
        """Let the label name the version; with None take it away."""
        return self._ask(changes.label(model, label, version, how))

    def route(self, model: str, weights: Mapping[int, int], *, sticky: str = "", how: How = HOW) -> Outcome:
        """Share requests that name no version by weight; no weights: take the route away."""
        return self._ask(changes.route(model, weights, sticky, how))

    def scale(
        self,
        model: str,
        replicas: int | Left | None = LEFT,
        *,
        min_replicas: int | Left | None = LEFT,
        max_replicas: int | Left | None = LEFT,
        on_demand: bool | Left = LEFT,
        idle_unload_s: float | Left | None = LEFT,
        pinned: bool | Left = LEFT,
        how: How = HOW,
    ) -> Outcome:
        """Set what is given of the scale; the rest stays."""
        fields = {
            "replicas": replicas,
            "min_replicas": min_replicas,
            "max_replicas": max_replicas,
            "on_demand": on_demand,
            "idle_unload_s": idle_unload_s,
            "pinned": pinned,
        }
        return self._ask(changes.scale(model, fields, how))

    def policy(
        self,
        model: str,
        policy: str,
        *,
        count: int = 1,
        versions: Sequence[int] = (),
        preserve: str = "availability",
        how: How = HOW,
    ) -> Outcome:
        """Which versions are loaded: `latest` (so many), `specific` (these) or `all`."""
        fields = {"policy": policy, "count": count, "versions": list(versions), "preserve": preserve}
        return self._ask(changes.policy(model, fields, how))

    def load(self, model: str, version: int | None = None, *, how: How = HOW) -> Outcome:
        """Load a model that was unloaded, and try again what has failed."""
        return self._ask(changes.load(model, version, how))

    def unload(self, model: str, *, how: How = HOW) -> Outcome:
        """Unload a model; what is known of it stays."""
        return self._ask(changes.unload(model, how))

    def delete(self, model: str, version: int | None = None, *, how: How = HOW) -> Outcome:
        """Delete a version, or without one the model, for good."""
        return self._ask(changes.delete(model, version, how))

    def environments(self) -> tuple[Environment, ...]:
        """The environments that are built, the oldest first."""
        return self._ask(environments.environments())

    def environment(self, id: str) -> EnvironmentDetail:
        """One environment with its packages and its lock; the beginning of its id is enough."""
        return self._ask(environments.environment(id))

    def lock_environment(
        self,
        requirements: Sequence[str] = (),
        *,
        kind: str = "python",
        python: str = "",
        constraints: Sequence[str] = (),
        lock: str = "",
    ) -> EnvironmentLock:
        """Resolve requirements to exact versions with hashes, or a renv.lock (kind `r`); the server keeps the lock."""
        return self._ask(environments.lock(requirements, kind, python, constraints, lock))

    def build_environment(
        self,
        requirements: Sequence[str] = (),
        *,
        kind: str = "python",
        python: str = "",
        constraints: Sequence[str] = (),
        lock: str = "",
        plan: bool = False,
    ) -> BuiltEnvironment:
        """Build an environment of requirements, or of a lock (kind `r`: a renv.lock), before a model needs it."""
        return self._ask(environments.build(requirements, kind, python, constraints, lock, plan))

    def prune_environments(self, *, plan: bool = False) -> PrunedEnvironments:
        """Remove the environments that no version of a model uses."""
        return self._ask(environments.prune(plan))

    def create_key(
        self,
        label: str,
        role: str,
        *,
        models: Sequence[str] = (),
        expires_in_days: float | None = 90.0,
        requests_per_second: float | None = None,
    ) -> CreatedKey:
        """Make a key. No `models`: all models. `expires_in_days=None`: it never expires."""
        return self._ask(
            calls.create_key(
                label, role, models=models, expires_in_days=expires_in_days, requests_per_second=requests_per_second
            )
        )

    def keys(self) -> tuple[Key, ...]:
        """All keys ever made, oldest first."""
        return self._ask(calls.keys())

    def revoke_key(self, id: str) -> Key:
        """Make a key invalid at once."""
        return self._ask(calls.revoke_key(id))

    def audit(self, limit: int = 100) -> tuple[AuditLine, ...]:
        """The newest lines of the audit log, newest first."""
        return self._ask(calls.audit(limit))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, call: Call[Result]) -> Result:
        return self._run(steps.ask(call, self._retries))

    def _run(self, plan: Steps[Result]) -> Result:
        outcome = begin(plan)
        while not isinstance(outcome, Finished):
            outcome = proceed(plan, self._do(outcome))
        return outcome.result

    def _do(self, step: Send | Pause) -> Reply | SalverClientError | None:
        if isinstance(step, Pause):
            self._sleep(step.seconds)
            return None
        try:
            return reply_of(self._http.send(build_request(self._http, step, self._timeout)))
        except httpx.HTTPError as error:
            return unreachable(error, self._place)


class AsyncClient:
    """`Client` for an event loop: the same calls with the same meaning, each awaited."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        timeout: float = 30.0,
        *,
        retries: int = 0,
        socket_path: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if transport is None and socket_path is not None:
            transport = AsyncUnixTransport(socket_path)
        self._http = httpx.AsyncClient(**http_options(url, key, timeout, socket_path), transport=transport)
        self._place = socket_path or url
        self._timeout = timeout
        self._retries = retries
        self._sleep = sleep

    async def models(self) -> tuple[Model, ...]:
        return await self._ask(calls.models())

    async def model(self, name: str) -> Model:
        return await self._ask(calls.model(name))

    async def predict(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str = "",
        deadline_s: float | None = None,
    ) -> Prediction:
        return await self._ask(
            calls.predict(model, inputs, version=version, label=label, signature=signature, deadline_s=deadline_s)
        )

    async def stream(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str = "",
        deadline_s: float | None = None,
    ) -> AsyncIterator[Prediction]:
        call = calls.predict(
            model,
            inputs,
            version=version,
            label=label,
            signature=signature,
            deadline_s=deadline_s,
            accept=streams.EVENTS,
        )
        request = build_request(self._http, Send(call), self._timeout)
        async for part in streams.received_async(self._http, request, self._place):
            yield part

    async def is_ready(self) -> bool:
        return await self._run(steps.is_ready())

    async def readiness(self) -> Readiness:
        return await self._ask(calls.readiness())

    async def wait_ready(self, timeout: float = 60.0) -> None:  # noqa: ASYNC109  the same name as in Client
        await self._run(steps.wait_ready(timeout, time.monotonic))

    async def metrics(self) -> str:
        return await self._ask(calls.metrics())

    async def versions(self, model: str) -> VersionList:
        return await self._ask(changes.versions(model))

    async def push(
        self,
        path: str | Path | Package,
        model: str | None = None,
        *,
        version: int | None = None,
        promote: bool = False,
        how: How = HOW,
    ) -> Outcome:
        path, model = pushed(path, model)
        if how.plan:
            return await self._ask(changes.push(model, None, Path(path).name or "model", version, promote, how))
        with opened(path) as artefact:
            return await self._ask(changes.push(model, artefact, artefact.name, version, promote, how))

    async def fetch(
        self, location: str, model: str, *, version: int | None = None, promote: bool = False, how: How = HOW
    ) -> Outcome:
        return await self._ask(changes.fetch(model, location, version, promote, how))

    async def promote(self, model: str, version: int, *, how: How = HOW) -> Outcome:
        return await self._ask(changes.promote(model, version, how))

    async def rollback(self, model: str, *, how: How = HOW) -> Outcome:
        return await self._ask(changes.rollback(model, how))

    async def label(self, model: str, label: str, version: int | None, *, how: How = HOW) -> Outcome:
        return await self._ask(changes.label(model, label, version, how))

    async def route(self, model: str, weights: Mapping[int, int], *, sticky: str = "", how: How = HOW) -> Outcome:
        return await self._ask(changes.route(model, weights, sticky, how))

    async def scale(
        self,
        model: str,
        replicas: int | Left | None = LEFT,
        *,
        min_replicas: int | Left | None = LEFT,
        max_replicas: int | Left | None = LEFT,
        on_demand: bool | Left = LEFT,
        idle_unload_s: float | Left | None = LEFT,
        pinned: bool | Left = LEFT,
        how: How = HOW,
    ) -> Outcome:
        fields = {
            "replicas": replicas,
            "min_replicas": min_replicas,
            "max_replicas": max_replicas,
            "on_demand": on_demand,
            "idle_unload_s": idle_unload_s,
            "pinned": pinned,
        }
        return await self._ask(changes.scale(model, fields, how))

    async def policy(
        self,
        model: str,
        policy: str,
        *,
        count: int = 1,
        versions: Sequence[int] = (),
        preserve: str = "availability",
        how: How = HOW,
    ) -> Outcome:
        fields = {"policy": policy, "count": count, "versions": list(versions), "preserve": preserve}
        return await self._ask(changes.policy(model, fields, how))

    async def load(self, model: str, version: int | None = None, *, how: How = HOW) -> Outcome:
        return await self._ask(changes.load(model, version, how))

    async def unload(self, model: str, *, how: How = HOW) -> Outcome:
        return await self._ask(changes.unload(model, how))

    async def delete(self, model: str, version: int | None = None, *, how: How = HOW) -> Outcome:
        return await self._ask(changes.delete(model, version, how))

    async def environments(self) -> tuple[Environment, ...]:
        return await self._ask(environments.environments())

    async def environment(self, id: str) -> EnvironmentDetail:
        return await self._ask(environments.environment(id))

    async def lock_environment(
        self,
        requirements: Sequence[str] = (),
        *,
        kind: str = "python",
        python: str = "",
        constraints: Sequence[str] = (),
        lock: str = "",
    ) -> EnvironmentLock:
        return await self._ask(environments.lock(requirements, kind, python, constraints, lock))

    async def build_environment(
        self,
        requirements: Sequence[str] = (),
        *,
        kind: str = "python",
        python: str = "",
        constraints: Sequence[str] = (),
        lock: str = "",
        plan: bool = False,
    ) -> BuiltEnvironment:
        return await self._ask(environments.build(requirements, kind, python, constraints, lock, plan))

    async def prune_environments(self, *, plan: bool = False) -> PrunedEnvironments:
        return await self._ask(environments.prune(plan))

    async def create_key(
        self,
        label: str,
        role: str,
        *,
        models: Sequence[str] = (),
        expires_in_days: float | None = 90.0,
        requests_per_second: float | None = None,
    ) -> CreatedKey:
        return await self._ask(
            calls.create_key(
                label, role, models=models, expires_in_days=expires_in_days, requests_per_second=requests_per_second
            )
        )

    async def keys(self) -> tuple[Key, ...]:
        return await self._ask(calls.keys())

    async def revoke_key(self, id: str) -> Key:
        return await self._ask(calls.revoke_key(id))

    async def audit(self, limit: int = 100) -> tuple[AuditLine, ...]:
        return await self._ask(calls.audit(limit))

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, call: Call[Result]) -> Result:
        return await self._run(steps.ask(call, self._retries))

    async def _run(self, plan: Steps[Result]) -> Result:
        outcome = begin(plan)
        while not isinstance(outcome, Finished):
            outcome = proceed(plan, await self._do(outcome))
        return outcome.result

    async def _do(self, step: Send | Pause) -> Reply | SalverClientError | None:
        if isinstance(step, Pause):
            await self._sleep(step.seconds)
            return None
        try:
            return reply_of(await self._http.send(build_request(self._http, step, self._timeout)))
        except httpx.HTTPError as error:
            return unreachable(error, self._place)
