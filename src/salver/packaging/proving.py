"""Builds a package's environment and runs its model in it, in a worker as the server's own are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from salver.errors import Code, LoadError
from salver.models.ownpackages import Fit, fit_of
from salver.packaging.base import PackagingFailed, Proof
from salver.replicas.base import LoadFailed, Ready, ReplicaSpec, WorkerLost
from salver.replicas.environments.base import BuildFailed, EnvironmentRequest, EnvironmentSettings
from salver.replicas.environments.builder import Builder
from salver.replicas.environments.interpreters import Interpreters
from salver.replicas.environments.making import kinds_of
from salver.replicas.environments.shelf import Shelf
from salver.replicas.local import LocalEngine
from salver.types import DEFAULT_SIGNATURE

STOP_GRACE_S = 5.0
LOG_LINES = 10
Say = Callable[[str], None]


class Locks:
    """The locks of one run: a package keeps its own."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    def lock(self, request_digest: str) -> str | None:
        return self._kept.get(request_digest)

    def keep(self, request_digest: str, text: str) -> str:
        return self._kept.setdefault(request_digest, text)

    def replace(self, request_digest: str, text: str) -> None:
        self._kept[request_digest] = text


class Prover:
    """Locks, builds and runs. Owned by one event loop; environments are shared with the servers on the same folder."""

    def __init__(self, settings: EnvironmentSettings, folder: Path, load_timeout_s: float, say: Say) -> None:
        shelf = Shelf(folder)
        self._interpreters = Interpreters(settings.interpreters, os.environ.get("PATH", os.defpath))
        self._builder = Builder(settings, shelf, kinds_of(settings, shelf, os.environ), Locks())
        self._load_timeout_s = load_timeout_s
        self._say = say

    async def series(self, python: str) -> str:
        """The interpreter's version, as a package names it. Raises LoadError."""
        return (await self._interpreters.find(python)).series

    async def lock(self, request: EnvironmentRequest) -> str:
        """The text of the lock. Raises LoadError."""
        with _in_words():
            return (await self._builder.lock(request, self._say)).text

    async def python(self, request: EnvironmentRequest) -> str:
        """An interpreter with what is asked for. Raises LoadError."""
        if not request.lock and fit_of(request) is Fit.FITS:
            return sys.executable
        with _in_words():
            return (await self._builder.prepare(request, self._say)).python

    async def load(self, spec: ReplicaSpec) -> Proof:
        """Load the model once, with its example where it has one. Raises LoadError when it cannot be."""
        self._say("running the model in its environment")
        with tempfile.TemporaryDirectory(prefix="salver-package-") as run:
            worker = await LocalEngine(Path(run), os.environ).start(spec, "package")
            try:
                async with asyncio.timeout(self._load_timeout_s):
                    ready = await worker.load()
            except TimeoutError:
                message = f"The model did not load within {self._load_timeout_s:g} s."
                fix = "Allow more with --load-timeout-s."
                raise PackagingFailed(message, fix=fix, code=Code.LOAD_FAILED) from None
            except LoadFailed as failed:
                raise _not_loaded(failed, worker.log_tail) from failed
            except WorkerLost as lost:
                message = f"The model's process ended while it loaded: {lost}.{_lines(worker.log_tail)}"
                raise PackagingFailed(message, fix=Code.WORKER_DIED.fix, code=Code.LOAD_FAILED) from lost
            finally:
                await worker.stop(STOP_GRACE_S)
        return _proof(ready)

    async def stop(self) -> None:
        await self._builder.stop()


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """What the installer said last goes with the reason."""
    try:
        yield
    except BuildFailed as failed:
        raise LoadError(failed.code, failed.message + _lines(failed.lines), fix=failed.fix) from failed


def _proof(ready: Ready) -> Proof:
    return Proof(
        signature=ready.signatures[DEFAULT_SIGNATURE],
        payload=ready.payload.value,
        runtime_version=_series(ready.runtime_version)
        if ready.python in ready.runtime_version
        else ready.runtime_version,
        python=_series(ready.python),
        answer=ready.example_answer,
    )


def _series(version: str) -> str:
    """Without the third number, which the interpreters of two machines need not share."""
    return ".".join(version.split(".")[:2])


def _not_loaded(failed: LoadFailed, log_tail: tuple[str, ...]) -> LoadError:
    failure = failed.failure
    message = f"The packed model cannot be loaded: {failure.message}.{_lines(log_tail)}"
    fix = failure.fix
    if failure.exception.endswith("ModuleNotFoundError") or "No module named" in failure.message:
        fix = "Say what it imports: packages with --requirements, files and folders of yours with --code."
    elif "No such file or directory" in failure.message:
        fix = "What the code opens must lie in the package: name it with --code."
    code = Code(failure.code) if failure.code in Code.__members__ else Code.LOAD_FAILED
    return LoadError(code, message, fix=fix or code.fix)


def _lines(log_tail: tuple[str, ...]) -> str:
    return "".join(f"\n  | {line}" for line in log_tail[-LOG_LINES:])


def with_example(spec: ReplicaSpec, example: object) -> ReplicaSpec:
    """The same version with another example."""
    return msgspec.structs.replace(spec, manifest={**spec.manifest, "example": example}, records_example=True)
