"""The seam between what should be served and where it runs, and its settings."""

from __future__ import annotations

import asyncio
import socket
from typing import Annotated, Any, Protocol

import msgspec

from salver.replicas.environments.base import EnvironmentRequest
from salver.telemetry.measures import Measure
from salver.types import BatchSettings, ModelVersion, PayloadKind, Signature


class ReplicaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How workers are started, watched and stopped."""

    load_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 120.0
    """Longest time a model may take to load and to give its example's answer."""
    heartbeat_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Time between two signs of life asked of a worker."""
    heartbeat_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """A ready worker that gives no sign of life for this long is killed and replaced."""
    deadline_grace_s: Annotated[float, msgspec.Meta(ge=0)] = 5.0
    """How long a worker may go on after the deadline of all requests in its batch; then it is killed and replaced."""
    stop_grace_s: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    """How long a worker may take to stop when asked to."""
    version_drain_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    """How long a version or a replica that is taken out may go on with the requests that it has; then it is stopped."""
    backoff_min_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """First pause before a crashed worker is started again; it doubles with each crash."""
    backoff_max_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    """Longest such pause."""
    load_niceness: Annotated[int, msgspec.Meta(ge=0, le=19)] = 5
    """How far a worker that is loading stands back behind those that answer, where the processor is short; 0: not at
    all."""
    loads_at_once: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many workers may begin to load at one time; each counts until it is ready, and for a second at most. 0: half
    as many as there are processors."""
    threads: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Threads of the numerical libraries in each worker, unless model.toml says otherwise."""
    warm_up_rounds: Annotated[int, msgspec.Meta(ge=0)] = 1
    """How often the requests that were recorded for a model are run before it answers; 0 leaves them out."""
    slab_mb: Annotated[int, msgspec.Meta(ge=0)] = 256
    """Shared memory of each front end for big bodies, in MiB; touched only as far as it is used."""


class ReplicaSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to run one version: where its files are, how to start it, how its requests are treated."""

    id: ModelVersion
    runtime: str
    path: str
    """The artefact: a file or a folder, absolute."""
    stamp: str = ""
    """What tells its files from those that were at the same path before; empty for the first."""
    folder: str
    """Where files that the manifest names are looked for, absolute."""
    manifest: dict[str, Any] = {}
    """The parts of model.toml that the worker acts on."""
    command: tuple[str, ...] = ()
    """A program that is the worker, and its arguments: an absolute path, or a command's name, of which `python` is the
    interpreter; empty: the Python worker."""
    python: str
    """The interpreter: an absolute path, or a command's name."""
    environment: EnvironmentRequest | None = None
    """Packages to build an environment of, whose interpreter stands instead of `python`; None: `python` as it is."""
    threads: int = 1
    warm_up_rounds: int = 1
    variables: dict[str, str] = {}
    replicas: int = 1
    batching: BatchSettings
    deadline_s: float | None = None
    is_idempotent: bool | None = None
    """None: as the runtime says."""
    records_example: bool = False
    """Whether the worker tells what its example gave."""
    description: str = ""
    details: dict[str, str] = {}
    labels: dict[str, tuple[str, ...]] = {}
    config: dict[str, Any] = {}
    source: str = ""
    """The path or address that the user named."""

    @property
    def own_name(self) -> str:
        """What the artefact calls its version, where it does."""
        return self.details.get("archive_version", "")


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker tells when its model is loaded, warmed and has given its example's answer."""

    signatures: dict[str, Signature]
    payload: PayloadKind
    runtime_version: str
    python: str
    has_batch_dimension: bool
    is_idempotent: bool
    gives_parts: bool = False
    rss: int = 0
    load_s: float = 0.0
    example_s: float | None = None
    example_answer: dict[str, Any] | None = None
    """What the example gave, of a worker that was asked for it."""
    details: dict[str, str] = {}
    unbatched: tuple[str, ...] = ()
    signature_defs: dict[str, dict[str, Any] | None] = {}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a worker could not load its model, in the worker's own words."""

    code: str
    message: str
    fix: str = ""
    exception: str = ""
    traceback: str = ""
    where: list[str | int] | None = None


class Worker(Protocol):
    """One running worker, wherever it runs. It may be asked for anything after its end; the answer is WorkerLost."""

    id: str
    pid: int | None
    """None where the worker is no process of this machine."""
    measures: tuple[Measure, ...]
    """What the model's code measured, as of the last sign of life."""

    @property
    def log_tail(self) -> tuple[str, ...]:
        """The last lines that the model's code printed."""

    async def load(self) -> Ready:
        """Load the model. Raises LoadFailed (the model's fault, final) or WorkerLost."""

    async def attach(self, link_number: int, slab_fd: int, slab_bytes: int) -> socket.socket:
        """A new data link to the worker; the caller owns the end that is returned. Raises WorkerLost."""

    async def ping(self) -> int:
        """A sign of life: the resident memory in bytes. Raises WorkerLost."""

    async def cancel(self, link_number: int, batch_id: int) -> None:
        """Interrupt a batch where the model's code yields; a batch that is over is left alone."""

    async def stop(self, grace_s: float) -> None:
        """Let what runs finish, then end the process; kill it after the grace. Returns when it has ended."""

    def kill(self) -> None:
        """End the process and all that it started, at once."""

    async def wait(self) -> str:
        """Return when the process has ended: how, as a clause such as `it exited with status 1`."""


class Engine(Protocol):
    """Where workers run: this machine's processes, or a cluster."""

    async def start(self, spec: ReplicaSpec, replica_id: str, unwanted: asyncio.Event | None = None) -> Worker:
        """A new worker that has not loaded yet; ids are unique among those that live.

        Raises LoadError(ENVIRONMENT_BROKEN) when it can never be started as the spec says, and WorkerLost when the
        machine has no room for it at the moment, or `unwanted` was set before its turn came.
        """


class LoadFailed(Exception):
    """The worker tried and cannot; trying again would give the same answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class WorkerLost(Exception):
    """The worker's process is gone, or never came to be; the text says why, where that is known."""
