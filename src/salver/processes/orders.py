"""A front end in a process of its own: it does what the control half says, and asks it for what it cannot do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from salver.access.audit import AuditEvent
from salver.errors import Code, RequestError
from salver.models.workflows.base import Workflow
from salver.processes.base import Control, ControlRequest
from salver.processes.channel import Channel, ChannelClosed, raw_value
from salver.processes.frontend import FrontEnd
from salver.processes.messages import Attachment, BatchName, Overdue, Sleeper, unknown
from salver.store.base import KeyRecord
from salver.types import ModelStatus

log = logging.getLogger("salver.processes")
MAX_UNTOLD = 1000
"""A control half that does not keep up loses what exceeds this: batches to cancel, workers to replace, refusals."""
LAST_S = 2.0
"""What a front end gives itself when the control half is gone: so are the workers, and there is little to finish."""


async def serve_front_end(channel_fd: int, make: Callable[[str, Control], FrontEnd]) -> None:
    """Run a front end until the control half says so, or is gone.

    The control half's first word is the argument for `make`; it hears the SalverError that `make` may raise.
    """
    loop = asyncio.get_running_loop()
    orders = Orders(loop, lambda argument: make(argument, RemoteControl(channel)))
    channel = Channel(socket.socket(fileno=channel_fd), loop, orders.told)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: None)  # the control half decides when a front end stops
    ends: list[asyncio.Future[None]] = [orders.finished, channel.closed]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if not orders.finished.done() and orders.front_end is not None:
        log.error("control_half_lost")
        orders.finish(0.0)
        await asyncio.wait([orders.finished], timeout=LAST_S)
    channel.close()


class RemoteControl:
    """The front end's handle of the control half (processes.base.Control)."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._tasks: set[asyncio.Task[None]] = set()

    async def operate(self, request: ControlRequest) -> msgspec.Raw:
        try:
            return await self._channel.request("operate", request, msgspec.Raw)
        except ChannelClosed as error:
            raise RequestError(Code.SHUTTING_DOWN, "The server is stopping.", retry_after_s=1.0) from error

    async def wake(self, model: str, version: int | None) -> None:
        try:
            await self._channel.request("wake", Sleeper(model, version), type(None))
        except ChannelClosed as error:
            raise RequestError(Code.SHUTTING_DOWN, "The server is stopping.", retry_after_s=1.0) from error

    def denied(self, event: AuditEvent) -> None:
        self._tell("denied", event)

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None:
        self._tell("cancel_batch", BatchName(replica_id, link_number, batch_id))

    def replace_worker(self, replica_id: str, reason: str) -> None:
        self._tell("replace_worker", Overdue(replica_id, reason))

    def _tell(self, name: str, body: Any) -> None:
        if len(self._tasks) >= MAX_UNTOLD:
            return
        task = asyncio.get_running_loop().create_task(self._send(name, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, name: str, body: Any) -> None:
        with contextlib.suppress(ChannelClosed):
            await self._channel.tell(name, body)


class Orders:
    """What the control half says to a front end in this process, by name."""

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[str], FrontEnd]) -> None:
        self.front_end: FrontEnd | None = None
        self.finished: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._make = make
        self._finishing: asyncio.Task[None] | None = None

    async def told(self, name: str, body: msgspec.Raw, descriptor: int | None) -> Any:
        """Takes the descriptor over."""
        front_end = self.front_end
        if front_end is None:
            self.front_end = self._make(raw_value(body, str))
            return None
        match name:
            case "attach":
                assert descriptor is not None
                words, link = raw_value(body, Attachment), socket.socket(fileno=descriptor)
                await front_end.attach(words.version, words.replica_id, words.link_number, link)
            case "publish":
                await front_end.publish(raw_value(body, tuple[ModelStatus, ...]))
            case "set_keys":
                await front_end.set_keys(raw_value(body, tuple[KeyRecord, ...]))
            case "set_workflows":
                await front_end.set_workflows(raw_value(body, tuple[Workflow, ...]))
            case "set_log_level":
                await front_end.set_log_level(raw_value(body, str))
            case "let_go":
                return await front_end.let_go(raw_value(body, tuple[str, ...]))
            case "listen":
                await front_end.listen()
            case "report":
                return await front_end.report()
            case "batches":
                return await front_end.batches()
            case "drain":
                await front_end.drain()
            case "finish":
                self.finish(raw_value(body, float))
            case _:
                raise unknown(name)
        return None

    def finish(self, timeout_s: float) -> None:
        """Not awaited here: a request in flight may wait for something that the control half still has to say."""
        assert self.front_end is not None
        if self._finishing is None:
            self._finishing = self._loop.create_task(self.front_end.finish(timeout_s))
            self._finishing.add_done_callback(self._has_finished)

    def _has_finished(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error("front_end_failed", exc_info=task.exception())
        if not self.finished.done():
            self.finished.set_result(None)
