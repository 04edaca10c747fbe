"""The control half's side of a front end in a process of its own: starting it, and telling it what there is to know."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from salver.access.audit import AuditEvent
from salver.models.workflows.base import Workflow
from salver.processes.base import Control, ControlRequest
from salver.processes.channel import Channel, ChannelClosed, raw_value
from salver.processes.messages import Attachment, BatchName, Overdue, Sleeper, unknown
from salver.replicas.slab import Slab
from salver.store.base import KeyRecord
from salver.telemetry.counters import BatchCount, Report
from salver.types import ModelStatus, ModelVersion

log = logging.getLogger("salver.processes")


class RemoteFrontEnd:
    """The control half's handle of a front-end process (processes.base.FrontEndHandle)."""

    def __init__(self, sock: socket.socket, control: Control, process: asyncio.subprocess.Process, slab: Slab) -> None:
        self.process = process
        self.slab_fd = slab.fd
        self.slab_bytes = slab.size_bytes
        self._control = control
        self._channel = Channel(sock, asyncio.get_running_loop(), self._asked)

    async def greet(self, argument: str) -> None:
        """Returns when there is a front end, made as `argument` says. Raises SalverError when it cannot be made."""
        await self._channel.request("greet", argument, type(None))

    async def publish(self, models: Sequence[ModelStatus]) -> None:
        await self._channel.request("publish", tuple(models), type(None))

    async def set_keys(self, keys: Sequence[KeyRecord]) -> None:
        await self._channel.request("set_keys", tuple(keys), type(None))

    async def set_workflows(self, workflows: Sequence[Workflow]) -> None:
        await self._channel.request("set_workflows", tuple(workflows), type(None))

    async def set_log_level(self, level: str) -> None:
        await self._channel.request("set_log_level", level, type(None))

    async def attach(self, version: ModelVersion, replica_id: str, link_number: int, sock: socket.socket) -> None:
        with sock:
            words = Attachment(version, replica_id, link_number)
            await self._channel.request("attach", words, type(None), descriptor=sock.fileno())

    async def let_go(self, replica_ids: Collection[str]) -> bool:
        return await self._channel.request("let_go", tuple(replica_ids), bool)

    async def listen(self) -> None:
        await self._channel.request("listen", None, type(None))

    async def report(self) -> Report:
        return await self._channel.request("report", None, Report)

    async def batches(self) -> tuple[BatchCount, ...]:
        return await self._channel.request("batches", None, tuple[BatchCount, ...])

    async def drain(self) -> None:
        await self._channel.request("drain", None, type(None))

    async def finish(self, timeout_s: float) -> None:
        """Answered at once; the end of the process says that it has finished."""
        with contextlib.suppress(ChannelClosed):
            await self._channel.request("finish", timeout_s, type(None))
            await asyncio.wait([self._channel.closed])

    def abandon(self, reason: str) -> None:
        """Its keeper starts another one."""
        log.warning("front_end_killed", extra={"pid": self.process.pid, "reason": reason})
        self.kill()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def close(self) -> None:
        self._channel.close()

    async def _asked(self, name: str, body: msgspec.Raw, descriptor: int | None) -> Any:
        match name:
            case "operate":
                return await self._control.operate(raw_value(body, ControlRequest))
            case "wake":
                sleeper = raw_value(body, Sleeper)
                await self._control.wake(sleeper.model, sleeper.version)
            case "denied":
                self._control.denied(raw_value(body, AuditEvent))
            case "cancel_batch":
                batch = raw_value(body, BatchName)
                self._control.cancel_batch(batch.replica_id, batch.link_number, batch.batch_id)
            case "replace_worker":
                overdue = raw_value(body, Overdue)
                self._control.replace_worker(overdue.replica_id, overdue.reason)
            case _:
                raise unknown(name)
        return None


async def start_front_end(control: Control, slab: Slab) -> RemoteFrontEnd:
    """Start a front-end process, which inherits the slab and its end of a channel.

    It leads a session of its own: Ctrl-C in a terminal reaches the control half alone, which says when front ends end.
    Raises OSError.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-m", "salver.app.frontends", str(theirs.fileno()), str(slab.fd)),
                pass_fds=(theirs.fileno(), slab.fd),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise
    return RemoteFrontEnd(ours, control, process, slab)
