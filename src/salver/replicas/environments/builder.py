"""Builds environments: each lock once, however many ask, and none is used before all of it is there.

::

    request ──► interpreter ──► lock (resolved once, kept for ever) ──► id ──► built already? ──► use it
                                                                         │
                                       stage ──► install ──► seal ──► rename ──► use it ──► compile bytecode, seal

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
    PYTHON,
    BuildFailed,
    Environment,
    EnvironmentRequest,
    EnvironmentSettings,
    Interpreter,
    Lock,
    LockBook,
    Prepared,
    Tell,
    counted,
)
from salver.replicas.environments.interpreters import Interpreters
from salver.replicas.environments.locks import environment_id, pins_for, read_lock
from salver.replicas.environments.shelf import Shelf
from salver.replicas.environments.uv import Uv

log = logging.getLogger("salver.environments")
POLL_S = 0.2
"""How often it is asked whether somebody else has finished the same build."""
COMPILE_S = 1800.0


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be."""

    removed: tuple[Environment, ...]
    kept: tuple[Environment, ...]
    bytes: int


class Builder:
    """The environments of this machine. Owned by one event loop; what blocks for the disk is done in threads."""

    def __init__(
        self, settings: EnvironmentSettings, shelf: Shelf, uv: Uv, interpreters: Interpreters, book: LockBook
    ) -> None:
        self._settings = settings
        self._shelf = shelf
        self._uv = uv
        self._interpreters = interpreters
        self._book = book
        self._flights: dict[str, _Flight] = {}
        self._turns = asyncio.Semaphore(settings.builds_at_once)
        self._changing = asyncio.Lock()
        """Held while something is removed, and while something that is there is taken into use."""
        self._finishing: set[asyncio.Task[None]] = set()

    # What versions ask for (replicas.environments.base.Environments)

    async def prepare(self, request: EnvironmentRequest, tell: Tell) -> Prepared:
        """Raises BuildFailed."""
        flight = self._flights.get(request.digest)
        if flight is None or flight.is_given_up:
            flight = self._flights[request.digest] = _Flight()
            flight.task = asyncio.get_running_loop().create_task(self._prepared(request, flight.say))
            flight.task.add_done_callback(functools.partial(self._forget, request.digest, flight))
        return await flight.join(tell)

    def _forget(self, digest: str, flight: _Flight, _task: asyncio.Task[Prepared]) -> None:
        """The flight is over; one that took its place after it was given up is not."""
        if self._flights.get(digest) is flight:
            del self._flights[digest]

    async def lock(self, request: EnvironmentRequest, tell: Tell) -> Lock:
        """The lock for what is asked for: the one that is kept, else it is resolved and kept. Raises BuildFailed."""
        interpreter = await self._interpreters.find(request.python)
        return await self._lock(request, interpreter, tell)

    async def is_approved(self, request: EnvironmentRequest) -> bool:
        """Whether somebody who may have packages installed wanted exactly this before."""
        return await asyncio.to_thread(self._book.lock, request.digest) is not None

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
        kept = await asyncio.to_thread(self._book.lock, request.digest)
        if kept is None:
            return None
        interpreter = await self._interpreters.find(request.python)
        id = environment_id(request.kind, read_lock(kept, "the kept lock"), interpreter)
        return await asyncio.to_thread(self._shelf.find, id)

    async def lock_digests(self, requests: Iterable[EnvironmentRequest]) -> dict[str, str]:
        """The digest of the lock of each request that has one, by the digest of the request."""

        def look() -> dict[str, str]:
            found: dict[str, str] = {}
            for request in requests:
                text = self._book.lock(request.digest)
                if text is not None:
                    found[request.digest] = read_lock(text, "the kept lock").digest
            return found

        return await asyncio.to_thread(look)

    async def ids(self, requests: Iterable[EnvironmentRequest]) -> dict[str, str]:
        """The id of the environment of each request that has a lock and an interpreter, by the request's digest."""
        found: dict[str, str] = {}
        for request in requests:
            text = await asyncio.to_thread(self._book.lock, request.digest)
            if text is not None:
                with contextlib.suppress(LoadError):
                    interpreter = await self._interpreters.find(request.python)
                    found[request.digest] = environment_id(request.kind, read_lock(text, "the kept lock"), interpreter)
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
        needed = {pin.name for each in kept for pin in each.packages}
        names = sorted({pin.name for each in gone for pin in each.packages} - needed)
        if names:
            async with self._stage() as folder:
                try:
                    await self._uv.forget(names, folder)
                except BuildFailed as failed:
                    log.warning("downloads_not_removed", extra={"reason": failed.message})

    async def stop(self) -> None:
        """End what is being built. Nothing can be asked for after that."""
        tasks = [flight.task for flight in self._flights.values() if flight.task is not None]
        tasks += self._finishing  # type: ignore[arg-type]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
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
        if request.kind != PYTHON:
            raise BuildFailed(f"There are no environments of the kind {request.kind} here.")
        interpreter = await self._interpreters.find(request.python)
        lock = await self._lock(request, interpreter, tell)
        id = environment_id(request.kind, lock, interpreter)
        environment = await self._in_use(id)
        if environment is None:
            self._check_may_build()
            environment = await self._built(id, request, lock, interpreter, tell)
        return Prepared(python=str(self._shelf.python(id)), environment=environment)

    async def _lock(self, request: EnvironmentRequest, interpreter: Interpreter, tell: Tell) -> Lock:
        kept = await asyncio.to_thread(self._book.lock, request.digest)
        if kept is not None:
            return read_lock(kept, "the kept lock")
        if request.lock:
            lock = read_lock(request.lock, request.origin or "the lock")
        else:
            self._check_may_build()
            tell(f"resolving {counted(len(request.requirements), 'requirement')} for Python {interpreter.version}")
            async with self._stage() as folder:
                text = await self._uv.compile(request, interpreter, folder, tell)
            lock = read_lock(text, "the lock")
        return read_lock(await asyncio.to_thread(self._book.keep, request.digest, lock.text), "the kept lock")

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
        self, id: str, request: EnvironmentRequest, lock: Lock, interpreter: Interpreter, tell: Tell
    ) -> Environment:
        if self._turns.locked():
            tell("waiting for other builds")
        async with self._turns, self._right_to_build(id, tell):
            there = await self._in_use(id)
            if there is not None:
                return there
            await self._check_room()
            packages = pins_for(lock, interpreter)
            tell(f"installing {counted(len(packages), 'package')} for Python {interpreter.version}")
            started = time.monotonic()
            async with self._stage() as folder:
                place = await self._uv.install(lock, interpreter, folder, tell)
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
            task = asyncio.get_running_loop().create_task(self._finish(id))
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

    async def _finish(self, id: str) -> None:
        """Compile the bytecode, so that the next start need not, and let nobody add anything to it."""
        python = self._shelf.python(id)
        library = next(iter(python.parent.parent.glob("lib/python*")), None)
        process = await asyncio.create_subprocess_exec(
            str(python),
            *("-I", "-c", _COMPILE, str(library)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.defpath},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(COMPILE_S):
                await process.wait()
        except TimeoutError:
            log.warning("environment_not_compiled", extra={"environment": id})
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
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
            if not self._listeners and not self.task.done():
                self.is_given_up = True
                self.task.cancel()


_COMPILE = """
import compileall, os, sys
os.nice(15)
compileall.compile_dir(sys.argv[1], quiet=2)
"""
