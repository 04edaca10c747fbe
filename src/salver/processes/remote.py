"""A front end in a process of its own: the handle that the control half holds, and the main of the other side."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from salver.access.audit import AuditEvent
from salver.processes.base import Control, ControlRequest
from salver.processes.channel import Channel, ChannelClosed, raw_value
from salver.processes.frontend import FrontEnd
from salver.replicas.slab import Slab
from salver.store.base import KeyRecord
from salver.telemetry.counters import Report
from salver.types import ModelStatus, ModelVersion

log = logging.getLogger("salver.processes")


class Attachment(msgspec.Struct, frozen=True):
    """The words that go with a data link's descriptor."""

    version: ModelVersion
    replica_id: str
    link_number: int


class BatchName(msgspec.Struct, frozen=True):
    replica_id: str
    link_number: int
    batch_id: int


class Overdue(msgspec.Struct, frozen=True):
    replica_id: str
    reason: str


class RemoteFrontEnd:
    """The control half's handle of a front-end process (processes.base.FrontEndHandle)."""

    def __init__(self, sock: socket.socket, control: Control, pid: int, slab: Slab) -> None:
        self.pid = pid
        self.slab_fd = slab.fd
        self.slab_bytes = slab.size_bytes
        self._control = control
        self.channel = Channel(sock, asyncio.get_running_loop(), self._asked)

    async def publish(self, models: Sequence[ModelStatus]) -> None:
        await self.channel.request("publish", tuple(models), type(None))

    async def set_keys(self, keys: Sequence[KeyRecord]) -> None:
        await self.channel.request("set_keys", tuple(keys), type(None))

    async def attach(self, version: ModelVersion, replica_id: str, link_number: int, sock: socket.socket) -> None:
        with sock:
            words = Attachment(version, replica_id, link_number)
            await self.channel.request("attach", words, type(None), descriptor=sock.fileno())

    async def listen(self) -> None:
        await self.channel.request("listen", None, type(None))

    async def report(self) -> Report:
        return await self.channel.request("report", None, Report)

    async def drain(self) -> None:
        await self.channel.request("drain", None, type(None))

    async def finish(self, timeout_s: float) -> None:
        with contextlib.suppress(ChannelClosed):
            await self.channel.request("finish", timeout_s, type(None))

    async def _asked(self, name: str, body: msgspec.Raw, descriptor: int | None) -> Any:
        if name == "operate":
            return await self._control.operate(raw_value(body, ControlRequest))
        if name == "denied":
            self._control.denied(raw_value(body, AuditEvent))
        elif name == "cancel_batch":
            batch = raw_value(body, BatchName)
            self._control.cancel_batch(batch.replica_id, batch.link_number, batch.batch_id)
        elif name == "replace_worker":
            overdue = raw_value(body, Overdue)
            self._control.replace_worker(overdue.replica_id, overdue.reason)
        return None


class RemoteControl:
    """The front end's handle of the control half (processes.base.Control)."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._tasks: set[asyncio.Task[None]] = set()

    async def operate(self, request: ControlRequest) -> msgspec.Raw:
        return await self._channel.request("operate", request, msgspec.Raw)

    def denied(self, event: AuditEvent) -> None:
        self._tell("denied", event)

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None:
        self._tell("cancel_batch", BatchName(replica_id, link_number, batch_id))

    def replace_worker(self, replica_id: str, reason: str) -> None:
        self._tell("replace_worker", Overdue(replica_id, reason))

    def _tell(self, name: str, body: Any) -> None:
        if len(self._tasks) > MAX_UNTOLD:  # the control half does not keep up: what is lost here is only counted there
            return
        task = asyncio.get_running_loop().create_task(self._send(name, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, name: str, body: Any) -> None:
        with contextlib.suppress(ChannelClosed):
            await self._channel.tell(name, body)


MAX_UNTOLD = 1000


async def serve_front_end(sock: socket.socket, make: Callable[[Control], FrontEnd]) -> None:
    """Run a front end until the control half says so, or is gone."""
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()
    front_end: FrontEnd | None = None

    async def told(name: str, body: msgspec.Raw, descriptor: int | None) -> Any:
        assert front_end is not None
        if name == "attach":
            assert descriptor is not None
            words = raw_value(body, Attachment)
            link = socket.socket(fileno=descriptor)
            await front_end.attach(words.version, words.replica_id, words.link_number, link)
        elif name == "publish":
            await front_end.publish(raw_value(body, tuple[ModelStatus, ...]))
        elif name == "set_keys":
            await front_end.set_keys(raw_value(body, tuple[KeyRecord, ...]))
        elif name == "listen":
            await front_end.listen()
        elif name == "report":
            return await front_end.report()
        elif name == "drain":
            await front_end.drain()
        elif name == "finish":
            await front_end.finish(raw_value(body, float))
            finished.set()
        return None

    channel = Channel(sock, loop, told)
    front_end = make(RemoteControl(channel))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: None)  # the control half decides when a front end stops
    done = loop.create_task(finished.wait())
    ends: list[asyncio.Future[Any]] = [done, channel.closed]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if not finished.is_set():
        log.error("control_half_lost")
        await front_end.finish(0.0)
    await asyncio.sleep(0.05)  # let the answer to `finish` leave
    channel.close()


async def start_front_end(
    argument: str, control: Control, slab: Slab
) -> tuple[RemoteFrontEnd, asyncio.subprocess.Process]:
    """Start a front-end process. `argument` says all that it must know; the slab and the channel are inherited."""
    ours, theirs = socket.socketpair()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "salver.app",
            str(theirs.fileno()),
            str(slab.fd),
            pass_fds=(theirs.fileno(), slab.fd),
            stdin=asyncio.subprocess.PIPE,
            env=dict(os.environ),
        )
    finally:
        theirs.close()
    assert process.stdin is not None
    process.stdin.write(argument.encode())
    process.stdin.close()
    return RemoteFrontEnd(ours, control, process.pid, slab), process
