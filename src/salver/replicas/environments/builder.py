"""Builds environments: each lock once, however many ask, and none is used before all of it is there.

::

    request ──► interpreter ──► lock (resolved once, kept for ever) ──► id ──► built already? ──► use it
                                                                         │
                                       stage ──► install ──► seal ──► rename ──► use it ──► finish, seal

A process that ends anywhere in this leaves a staging folder, which the next start removes, and what was downloaded,
which the next build uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import msgspec

from salver.errors import LoadError
from salver.replicas.environments.base import (
    BuildFailed,
    Environment,
    EnvironmentKind,
    EnvironmentRequest,
    EnvironmentSettings,
    Interpreter,
    Kinds,
    Lock,
    LockBook,
    Prepared,
    Tell,
    counted,
    label_of,
)
from salver.replicas.environments.locks import environment_id
from salver.replicas.environments.shelf import Shelf

log = logging.getLogger("salver.environments")
POLL_S = 0.2
"""How often it is asked whether somebody else has finished the same build."""
KEPT = "the kept lock"


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be."""

    removed: tuple[Environment, ...]
    kept: tuple[Environment, ...]
    bytes: int


class Builder:
    """The environments of this machine. Owned by one event loop; what blocks for the disk is done in threads."""

    def __init__(self, settings: EnvironmentSettings, shelf: Shelf, kinds: Kinds, book: LockBook) -> None:
        self._settings = settings
        self._shelf = shelf
        self._kinds = kinds
        self._book = book
        self._flights: dict[str, _Flight] = {}
        self._turns = asyncio.Semaphore(settings.builds_at_once)
        self._changing = asyncio.Lock()
        """Held while something is removed, and while something that is there is taken into use."""
        self._building: set[asyncio.Task[Prepared]] = set()
        self._finishing: set[asyncio.Task[None]] = set()

    # What versions ask for (replicas.environments.base.Environments)

    async def prepare(self, request: EnvironmentRequest, tell: Tell) -> Prepared:
        """Raises BuildFailed."""
        flight = self._flights.get(request.digest)
        if flight is None or flight.is_given_up:
            flight = self._flights[request.digest] = _Flight()
            flight.task = asyncio.get_running_loop().create_task(self._prepared(request, flight.say))
            flight.task.add_done_callback(functools.partial(self._forget, request.digest, flight))
            self._building.add(flight.task)
            flight.task.add_done_callback(self._building.discard)
        return await flight.join(tell)

    def _forget(self, digest: str, flight: _Flight, _task: asyncio.Task[Prepared]) -> None:
        """The flight is over; one that took its place after it was given up is not."""
        if self._flights.get(digest) is flight:
            del self._flights[digest]

    async def lock(self, request: EnvironmentRequest, tell: Tell) -> Lock:
        """The lock for what is asked for: the one that is kept, else it is resolved and kept. Raises BuildFailed."""
        kind = self._kind(request.kind)
        return await self._lock(kind, request, await kind.find(request), tell)

    async def is_approved(self, request: EnvironmentRequest) -> bool:
        """Whether somebody who may have packages installed wanted exactly this before, or none has to be."""
        if await asyncio.to_thread(self._book.lock, request.digest) is not None:
            return True
        try:
            kind = self._kind(request.kind)
            interpreter = await kind.find(request)
            lock = await kind.known(request, None, interpreter)
            return lock is not None and not kind.pins(lock, interpreter)
        except LoadError:
            return False

    # What operators ask for

    @property
    def is_busy(self) -> bool:
        """Whether something is being prepared."""
        return bool(self._flights)

    async def all(self) -> tuple[Environment, ...]:
        return await asyncio.to_thread(self._shelf.all)

    async def lock_text(self, id: str) -> str:
        return await asyncio.to_thread(self._shelf.lock_of, id)

    async def find(self, request: EnvironmentRequest) -> Environment | None:
        """The environment for what is asked for, if it is built."""
        kept = await self._kept(request)
        if kept is None:
            return None
        interpreter = await self._kind(request.kind).find(request)
        return await asyncio.to_thread(self._shelf.find, environment_id(request.kind, kept, interpreter))

    async def lock_digests(self, requests: Iterable[EnvironmentRequest]) -> dict[str, str]:
        """The digest of the lock of each request that has one, by the digest of the request."""

        locks = {request.digest: await self._kept(request) for request in requests}
        return {digest: lock.digest for digest, lock in locks.items() if lock is not None}

    async def ids(self, requests: Iterable[EnvironmentRequest]) -> dict[str, str]:
        """The id of the environment of each request that has a lock and an interpreter, by the request's digest."""
        found: dict[str, str] = {}
        for request in requests:
            lock = await self._kept(request)
            if lock is not None:
                with contextlib.suppress(LoadError):
                    interpreter = await self._kind(request.kind).find(request)
                    found[request.digest] = environment_id(request.kind, lock, interpreter)
        return found

    async def prune(self, needed: Sequence[EnvironmentRequest], *, is_plan: bool) -> Pruned:
        """Remove environments that none of the requests is about, but for what some server uses.

        Of a request whose interpreter cannot be found now, all with its lock stay.
        """
        async with self._changing:
            ids = await self.ids(needed)
            digests = await self.lock_digests(request for request in needed if request.digest not in ids)
            every = await self.all()
            unneeded = [
                each for each in every if each.id not in ids.values() and each.lock_digest not in digests.values()
            ]
            kept = [each for each in every if each not in unneeded]
            gone, total = [], 0
            for environment in unneeded:
                size: int | None = environment.size_bytes
                if not is_plan:
                    size = await asyncio.to_thread(self._shelf.remove, environment.id)
                if size is None:
                    kept.append(environment)
                else:
                    gone.append(environment)
                    total += size
            if gone and not is_plan:
                await self._forget_downloads(gone, kept)
        return Pruned(removed=tuple(gone), kept=tuple(kept), bytes=total)

    async def _forget_downloads(self, gone: Sequence[Environment], kept: Sequence[Environment]) -> None:
        """What was downloaded goes with the last environment that has it: only then the disk is free again."""
        for name, kind in self._kinds.items():
            needed = {pin.name for each in kept if each.kind == name for pin in each.packages}
            packages = sorted({pin.name for each in gone if each.kind == name for pin in each.packages} - needed)
            if packages:
                async with self._stage() as folder:
                    try:
                        await kind.forget(packages, folder)
                    except BuildFailed as failed:
                        log.warning("downloads_not_removed", extra={"reason": failed.message})

    async def stop(self) -> None:
        """End what is being built. Nothing can be asked for after that."""
        for flight in self._flights.values():
            flight.give_up()
        for task in self._finishing:
            task.cancel()
        if self._building or self._finishing:
            await asyncio.wait({*self._building, *self._finishing})
        await asyncio.to_thread(self._shelf.close)

    # One build

    async def _prepared(self, request: EnvironmentRequest, tell: Tell) -> Prepared:
        limit = self._settings.build_timeout_s
        try:
            async with asyncio.timeout(limit):
                return await self._build_or_find(request, tell)
        except BuildFailed:
            raise
        except LoadError as error:
            raise BuildFailed(error.message, fix=error.fix) from error
        except TimeoutError:
            raise BuildFailed(
                f"The environment was not built within {limit:g} s.",
                fix="What was downloaded is kept: `salver load` goes on from there. `build_timeout_s` allows more.",
            ) from None
        except OSError as error:
            raise BuildFailed(
                f"The environment could not be built: {error.strerror or error}.",
                fix="Make room on the disk of the environments, or choose another folder with `environments_dir`.",
            ) from error

    async def _build_or_find(self, request: EnvironmentRequest, tell: Tell) -> Prepared:
        kind = self._kind(request.kind)
        interpreter = await kind.find(request)
        lock = await self._lock(kind, request, interpreter, tell)
        if not kind.pins(lock, interpreter):
            python, variables = kind.start_in(None, interpreter)
            label = f"{kind.language} {interpreter.version} with the packages that it has"
            return Prepared(python=python, variables=variables, environment=None, label=label)
        id = environment_id(request.kind, lock, interpreter)
        environment = await self._in_use(id)
        if environment is None:
            self._check_may_build()
            environment = await self._built(kind, id, request, lock, interpreter, tell)
        python, variables = kind.start_in(self._shelf.folder(id), interpreter)
        return Prepared(python=python, variables=variables, environment=environment, label=label_of(environment))

    async def _lock(
        self, kind: EnvironmentKind, request: EnvironmentRequest, interpreter: Interpreter, tell: Tell
    ) -> Lock:
        kept = await self._kept(request)
        lock = await kind.known(request, kept, interpreter)
        if lock is None:
            self._check_may_build()
            count = len(request.requirements)
            tell(f"resolving {counted(count, 'requirement')} for {kind.language} {interpreter.version}")
            async with self._stage() as folder:
                lock = await kind.resolve(request, kept, interpreter, folder, tell)
        if kept is None and kind.pins(lock, interpreter):
            return kind.read(await asyncio.to_thread(self._book.keep, request.digest, lock.text), KEPT)
        if kept is not None and kept != lock:
            await asyncio.to_thread(self._book.replace, request.digest, lock.text)
        return lock

    async def _kept(self, request: EnvironmentRequest) -> Lock | None:
        text = await asyncio.to_thread(self._book.lock, request.digest)
        return None if text is None else self._kind(request.kind).read(text, KEPT)

    def _kind(self, name: str) -> EnvironmentKind:
        found = self._kinds.get(name)
        if found is None:
            raise BuildFailed(f"There are no environments of the kind {name} here.")
        return found

    def _check_may_build(self) -> None:
        if not self._settings.build_environments:
            raise BuildFailed(
                "The environment is not built yet, and building is turned off here.",
                fix="Use requirements that `salver env list` has, or set `build_environments`.",
            )

    async def _in_use(self, id: str) -> Environment | None:
        async with self._changing:
            if not await asyncio.to_thread(self._shelf.use, id):
                return None
            return await asyncio.to_thread(self._shelf.find, id)

    async def _built(
        self,
        kind: EnvironmentKind,
        id: str,
        request: EnvironmentRequest,
        lock: Lock,
        interpreter: Interpreter,
        tell: Tell,
    ) -> Environment:
        if self._turns.locked():
            tell("waiting for other builds")
        async with self._turns, self._right_to_build(id, tell):
            there = await self._in_use(id)
            if there is not None:
                return there
            await self._check_room()
            packages = kind.pins(lock, interpreter)
            tell(f"installing {counted(len(packages), 'package')} for {kind.language} {interpreter.version}")
            started = time.monotonic()
            async with self._stage() as folder:
                place = await kind.install(lock, interpreter, folder, tell)
                environment = Environment(
                    id=id,
                    kind=request.kind,
                    python=interpreter.version,
                    interpreter=interpreter.path,
                    lock_digest=lock.digest,
                    packages=packages,
                    size_bytes=0,
                    built_at=time.time(),
                    build_s=time.monotonic() - started,
                )
                environment = await asyncio.to_thread(self._shelf.place, place, environment, lock.text)
            log.info("environment_built", extra={"environment": id, "packages": len(packages)})
            task = asyncio.get_running_loop().create_task(self._finish(kind, id))
            self._finishing.add(task)
            task.add_done_callback(self._finishing.discard)
            if await self._in_use(id) is None:
                raise BuildFailed("The environment was removed while it was built.", fix="Try it again: `salver load`.")
            return environment

    async def _check_room(self) -> None:
        """Raises BuildFailed when what is there fills the folder already; what nobody uses does not go by itself."""
        most = self._settings.environments_max_gb * 1024**3
        if most and await asyncio.to_thread(self._shelf.used_bytes) >= most:
            raise BuildFailed(
                f"The environments take the {self._settings.environments_max_gb} GiB that they may.",
                fix="`salver env prune` removes those that no version uses; `environments_max_gb` allows more.",
            )

    async def _finish(self, kind: EnvironmentKind, id: str) -> None:
        """Do what could wait, and let nobody add anything to it."""
        await kind.finish(self._shelf.folder(id))
        await asyncio.to_thread(self._shelf.seal, id)

    @contextlib.asynccontextmanager
    async def _right_to_build(self, id: str, tell: Tell) -> AsyncIterator[None]:
        """Nobody else builds it, here or in another server on the same folder."""
        descriptor = await asyncio.to_thread(self._shelf.try_to_build, id)
        if descriptor is None:
            tell("waiting for whoever builds the same")
        while descriptor is None:
            await asyncio.sleep(POLL_S)
            descriptor = await asyncio.to_thread(self._shelf.try_to_build, id)
        try:
            yield
        finally:
            os.close(descriptor)

    @contextlib.asynccontextmanager
    async def _stage(self) -> AsyncIterator[Path]:
        with self._shelf.stage() as folder:
            yield folder


class _Flight:
    """One build, and all who wait for it. It is ended when nobody waits any more."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Prepared] | None = None
        self.is_given_up = False
        """Whether it is being ended, so that nobody may join it any more."""
        self._listeners: list[Tell] = []
        self._last = ""

    def say(self, text: str) -> None:
        self._last = text
        for tell in list(self._listeners):
            tell(text)

    async def join(self, tell: Tell) -> Prepared:
        assert self.task is not None
        self._listeners.append(tell)
        if self._last:
            tell(self._last)
        try:
            return await asyncio.shield(self.task)
        finally:
            self._listeners.remove(tell)
            if not self._listeners:
                self.give_up()

    def give_up(self) -> None:
        """Cancelled once only: what it does about its end is not to be cut off."""
        if self.task is not None and not self.task.done() and not self.is_given_up:
            self.is_given_up = True
            self.task.cancel()
