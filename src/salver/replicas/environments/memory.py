"""Environments without a disk: a test says when each is built, or why not."""

from __future__ import annotations

import asyncio

from salver.replicas.environments.base import (
    BuildFailed,
    Environment,
    EnvironmentRequest,
    Prepared,
    Tell,
    label_of,
)


class MemoryEnvironments:
    """Builds wait until they are told to succeed or fail. `building` are those that somebody waits for."""

    def __init__(self) -> None:
        self.building: dict[str, asyncio.Future[Prepared]] = {}
        self.tellers: dict[str, Tell] = {}
        self.ended: list[str] = []
        """Builds that nobody waited for any more, by the digest of their request."""

    async def prepare(self, request: EnvironmentRequest, tell: Tell) -> Prepared:
        future: asyncio.Future[Prepared] = asyncio.get_running_loop().create_future()
        self.building[request.digest] = future
        self.tellers[request.digest] = tell
        try:
            return await future
        except asyncio.CancelledError:
            self.ended.append(request.digest)
            raise
        finally:
            del self.building[request.digest]

    async def stop(self) -> None:
        """Nothing is left to end: whoever waited has stopped."""

    def finish(self, request: EnvironmentRequest, python: str) -> None:
        environment = Environment(
            id=request.digest[:32],
            python="3.11.7",
            interpreter=python,
            lock_digest=request.digest,
            packages=(),
            size_bytes=0,
            built_at=0.0,
            build_s=0.0,
        )
        self.building[request.digest].set_result(
            Prepared(python=python, environment=environment, label=label_of(environment))
        )

    def fail(self, request: EnvironmentRequest, failure: BuildFailed) -> None:
        self.building[request.digest].set_exception(failure)
