"""The two clients: the same calls, waiting in a thread or on an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from salver_client import calls, steps
from salver_client.calls import Call, Reply
from salver_client.errors import SalverClientError
from salver_client.inputs import Form, Inputs
from salver_client.results import AuditLine, CreatedKey, Key, Model, Prediction, Readiness
from salver_client.steps import Finished, Pause, Send, Steps, begin, proceed
from salver_client.unix import AsyncUnixTransport, UnixTransport

Result = TypeVar("Result")

DEFAULT_URL = "http://127.0.0.1:8080"


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
    elif call.body is not None:
        headers["Content-Type"] = call.body.content_type
        body["content"] = call.body.data
    return http.build_request(call.method, call.path, headers=headers, timeout=allowed_s, **body)


def reply_of(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.headers, response.content)


def unreachable(error: httpx.HTTPError, place: str) -> SalverClientError:
    """Why no answer came, in the client's own words."""
    if isinstance(error, httpx.TimeoutException):
        return SalverClientError(
            "TIMED_OUT", f"{place} did not answer in time.", fix="Allow more time, or send less at once."
        )
    return SalverClientError(
        "CONNECTION_FAILED", f"{place} cannot be reached: {error}.", fix="Check the address, and that the server runs."
    )


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

    async def is_ready(self) -> bool:
        return await self._run(steps.is_ready())

    async def readiness(self) -> Readiness:
        return await self._ask(calls.readiness())

    async def wait_ready(self, timeout: float = 60.0) -> None:  # noqa: ASYNC109  the same name as in Client
        await self._run(steps.wait_ready(timeout, time.monotonic))

    async def metrics(self) -> str:
        return await self._ask(calls.metrics())

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
