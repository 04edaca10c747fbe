"""Both clients before a server that is a function, so that every test says both do the same."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import httpx
import pytest

from salver_client import AsyncClient, Client

Handler: TypeAlias = Callable[[httpx.Request], httpx.Response]


class Session:
    """One client and what it did: `session.predict("m", [1])` asks, whichever kind of client it is."""

    def __init__(self, kind: str, handler: Handler, **options: Any) -> None:
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self._kind = kind
        self._handler = handler
        self._options = {"url": "http://server:1"} | options

    def _handle(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        return self._handler(request)

    async def _handle_later(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        return self._handler(request)

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def _pause_later(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*arguments: Any, **options: Any) -> Any:
            if self._kind == "async":
                return asyncio.run(self._ask_later(name, arguments, options))
            transport = httpx.MockTransport(self._handle)
            with Client(**self._options, transport=transport, sleep=self._pause) as client:
                return getattr(client, name)(*arguments, **options)

        return ask

    async def _ask_later(self, name: str, arguments: Any, options: Any) -> Any:
        transport = httpx.MockTransport(self._handle_later)
        async with AsyncClient(**self._options, transport=transport, sleep=self._pause_later) as client:
            answer = getattr(client, name)(*arguments, **options)
            assert inspect.isawaitable(answer)
            return await answer


@pytest.fixture(params=["sync", "async"])
def session(request: pytest.FixtureRequest) -> Callable[..., Session]:
    """`session(handler, **client_options)`, once for each kind of client."""

    def build(handler: Handler, **options: Any) -> Session:
        return Session(request.param, handler, **options)

    return build
