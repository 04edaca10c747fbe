"""The engine's twin in memory: the same promises without a process. For tests of whatever stands above an engine.

Its workers hold the echo model: what comes over a data link goes back as it came. What happens to a worker is decided
by the test, with `become_ready`, `fail`, `die` and `hang`; what nobody decides waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, cast

from salver.errors import LoadError
from salver.replicas.base import Failure, LoadFailed, Ready, ReplicaSpec, WorkerLost
from salver.telemetry.measures import Measure
from salver.types import PayloadKind, Signature, TensorSpec
from salver_worker import frames

_ROW = TensorSpec(name="x", datatype="FP32", shape=(-1, -1))
READY = Ready(
    signatures={"serving_default": Signature(inputs=(_ROW,), outputs=(_ROW,))},
    payload=PayloadKind.TENSORS,
    runtime_version="none",
    python="none",
    has_batch_dimension=True,
    is_idempotent=True,
    rss=1000,
)


class MemoryEngine:
    """Starts workers that are values of this process. `on_start` is told of each, before anybody else is."""

    def __init__(self, on_start: Callable[[MemoryWorker], None] | None = None) -> None:
        self.workers: list[MemoryWorker] = []
        """All that were ever started, in order."""
        self.refusal: LoadError | WorkerLost | None = None
        """What starts end with from now on; None: they succeed."""
        self._on_start = on_start

    @property
    def living(self) -> list[MemoryWorker]:
        return [worker for worker in self.workers if worker.is_alive]

    async def start(
        self,
        spec: ReplicaSpec,
        replica_id: str,
        unwanted: asyncio.Event | None = None,
    ) -> MemoryWorker:
        await asyncio.sleep(0)  # other things happen while a process is started
        if self.refusal is not None:
            raise self.refusal
        worker = MemoryWorker(spec, replica_id)
        self.workers.append(worker)
        if self._on_start is not None:
            self._on_start(worker)
        return worker


class MemoryWorker:
    """One worker that its test leads."""

    def __init__(self, spec: ReplicaSpec, replica_id: str) -> None:
        loop = asyncio.get_running_loop()
        self.spec = spec
        self.id = replica_id
        self.pid: int | None = None
        self.rss = READY.rss
        self.measures: tuple[Measure, ...] = ()
        self.is_hanging = False
        self.answer_after_s = 0.0
        """How long a batch takes, on links that are attached from now on."""
        self.printed: tuple[str, ...] = ()
        self.links: dict[int, asyncio.Transport] = {}
        """The worker's ends of its open data links, by number."""
        self.cancelled: list[tuple[int, int]] = []
        self._loaded: asyncio.Future[Ready] = loop.create_future()
        self._end: asyncio.Future[str] = loop.create_future()

    # What the test decides

    @property
    def is_alive(self) -> bool:
        return not self._end.done()

    def become_ready(self, ready: Ready = READY) -> None:
        if not self._loaded.done():
            self._loaded.set_result(ready)

    def fail(self, failure: Failure) -> None:
        """Say why the model cannot be loaded, as a worker does before it exits."""
        if not self._loaded.done():
            self._loaded.set_exception(LoadFailed(failure))
            self._loaded.exception()  # it may be that nobody has asked for it to be loaded
        self.die("it exited with status 3")

    def die(self, reason: str = "it exited with status 1") -> None:
        if self.is_alive:
            self._end.set_result(reason)
            for transport in list(self.links.values()):
                transport.abort()

    def hang(self) -> None:
        """From now on it lives and does nothing."""
        self.is_hanging = True

    # Worker

    @property
    def log_tail(self) -> tuple[str, ...]:
        return self.printed

    async def load(self) -> Ready:
        ends: list[asyncio.Future[Any]] = [self._loaded, self._end]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not self._loaded.done():
            raise WorkerLost
        return self._loaded.result()

    async def attach(self, link_number: int, slab_fd: int, slab_bytes: int) -> socket.socket:
        await asyncio.sleep(0)
        self._check_alive()
        ours, theirs = socket.socketpair()
        link = EchoLink(self.links, link_number, self.answer_after_s)
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: link, theirs)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        if not self.is_alive:
            transport.close()
        return ours

    async def ping(self) -> int:
        await asyncio.sleep(0)
        self._check_alive()
        if self.is_hanging:
            await asyncio.shield(self._end)
            raise WorkerLost
        return self.rss

    async def cancel(self, link_number: int, batch_id: int) -> None:
        if self.is_alive:
            self.cancelled.append((link_number, batch_id))

    async def stop(self, grace_s: float) -> None:
        if not self.is_hanging:
            self.die("it exited with status 0")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._end), grace_s)
        self.kill()

    def kill(self) -> None:
        self.die("it was ended by SIGKILL")

    async def wait(self) -> str:
        return await asyncio.shield(self._end)

    def _check_alive(self) -> None:
        if not self.is_alive:
            raise WorkerLost


class EchoLink(asyncio.Protocol):
    """The worker's end of a data link: each PREDICT comes back as a RESULT with the same tensors. It reads no slab."""

    def __init__(self, links: dict[int, asyncio.Transport], number: int, answer_after_s: float = 0.0) -> None:
        self._links = links
        self._number = number
        self._answer_after_s = answer_after_s
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not inherit from it
        self._links[self._number] = self._transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._links.pop(self._number, None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) < frames.PREFIX_SIZE:
            return
        prefix = frames.unpack_prefix(self._received)
        end = frames.PREFIX_SIZE + prefix.header_length + prefix.body_length
        if len(self._received) >= end:
            body_at = frames.PREFIX_SIZE + prefix.header_length
            tensors = frames.decode_header(self._received[frames.PREFIX_SIZE : body_at])["tensors"]
            body = bytes(self._received[body_at:end])
            del self._received[:end]
            answer = frames.encode_frame(frames.RESULT, prefix.id, {"tensors": tensors}, body)
            asyncio.get_running_loop().call_later(self._answer_after_s, self._answer, answer)

    def _answer(self, frame: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame)
