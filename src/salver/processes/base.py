"""The settings of the server's own processes."""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from typing import Annotated, Protocol

import msgspec

from salver.access.audit import AuditEvent
from salver.access.permit import Principal
from salver.models.workflows.base import Workflow
from salver.store.base import KeyRecord
from salver.telemetry.counters import BatchCount, Report
from salver.types import ModelStatus, ModelVersion


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How many front ends there are, where state lives, how the server stops."""

    data_dir: str = "~/.salver"
    """Folder of everything the server keeps; nothing is written anywhere else."""
    state_url: str = ""
    """Database of keys, models and the audit log: `postgresql://user@host/name`; empty is SQLite in `data_dir`."""
    processes: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Front-end processes that share the ports; with 1 everything but the models is in one process."""
    drain_delay_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """After SIGTERM: how long the server says `not ready` and still serves, so that balancers notice."""
    drain_timeout_s: Annotated[float, msgspec.Meta(ge=0)] = 30.0
    """After that: how long requests in flight may take before the server exits without them."""


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """One listening address and the wires that answer there."""

    host: str
    port: int
    wires: tuple[str, ...]
    path: str = ""
    """Of a Unix socket, which has no host and no port."""
    is_grpc: bool = False


class ControlRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An operation of the control half, permitted already, on its way there."""

    operation: str
    parameters: msgspec.Raw
    """The operation's parameter struct, as MessagePack."""
    principal: Principal
    request_id: str
    peer: str
    wire: str


class Control(Protocol):
    """What a front end needs of the control half."""

    async def operate(self, request: ControlRequest) -> msgspec.Raw:
        """Run the operation and return its result as MessagePack. Raises SalverError."""

    async def wake(self, model: str, version: int | None) -> None:
        """Have a version that sleeps loaded, the default one for None; returns when it serves, or cannot.

        However many ask, it is loaded once. Raises SalverError when it may not be woken, or there is no room for it.
        """

    def denied(self, event: AuditEvent) -> None:
        """Somebody was refused; never blocks."""

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None: ...

    def replace_worker(self, replica_id: str, reason: str) -> None: ...


class FrontEndHandle(Protocol):
    """What the control half needs of a front end, in this process or another."""

    slab_fd: int
    slab_bytes: int

    async def publish(self, models: Sequence[ModelStatus]) -> None:
        """Returns when the front end answers from this state."""

    async def set_keys(self, keys: Sequence[KeyRecord]) -> None: ...

    async def set_workflows(self, workflows: Sequence[Workflow]) -> None:
        """Returns when the front end answers these workflows, and no others."""

    async def set_log_level(self, level: str) -> None:
        """Returns when events below the level are not logged any more."""

    async def attach(self, version: ModelVersion, replica_id: str, link_number: int, sock: socket.socket) -> None:
        """Takes the socket over."""

    async def let_go(self, replica_ids: Collection[str]) -> bool:
        """Give these replicas no more work; whether all they had is answered and no link to them is left. Ask again."""

    async def listen(self) -> None:
        """Begin to answer. Raises StartupError(PORT_TAKEN)."""

    async def report(self) -> Report: ...

    async def batches(self) -> tuple[BatchCount, ...]:
        """Of its report what its queues did: asked for whenever a version is loaded for somebody."""

    async def drain(self) -> None:
        """Say not ready, answer with `Connection: close`, go on serving."""

    async def finish(self, timeout_s: float) -> None:
        """Take nothing new, finish what is in flight within the time, close."""

    def abandon(self, reason: str) -> None:
        """It missed a change, so what it answers can be wrong from now on: end it, if that is possible."""
