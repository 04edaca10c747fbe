"""A front end in this process, with the twin of a worker behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from salver.access.base import AccessSettings
from salver.errors import StartupError
from salver.models.entry import version_info
from salver.net.base import NetSettings
from salver.operations.catalogue import OPERATIONS
from salver.processes.audience import Audience
from salver.processes.frontend import FrontEnd, FrontEndSettings
from salver.replicas.base import ReplicaSpec
from salver.replicas.memory import READY, MemoryWorker
from salver.replicas.slab import Slab
from salver.telemetry.accesslog import AccessLog
from salver.types import BatchSettings, ModelStatus, ModelVersion, ReplicaStatus, VersionState, VersionStatus
from salver.wire.native.rest import NativeWire

ID = ModelVersion("m", 1)
SPEC = ReplicaSpec(id=ID, runtime="echo", path="/m", folder="/", python="python3", batching=BatchSettings())
MODELS = (
    ModelStatus(
        name="m",
        versions=(
            VersionStatus(
                id=ID,
                state=VersionState.READY,
                runtime="echo",
                source="",
                environment="",
                replicas_wanted=1,
                replicas=(ReplicaStatus(id="m-1-1", pid=None, state="READY", started_at=0.0),),
                info=version_info(SPEC, READY),
            ),
        ),
        default_version=1,
    ),
)
QUESTION = json.dumps({"inputs": {"x": [[1.0, 2.0]]}}).encode()


class ToldControl:
    """Remembers what the front end wants of the control half."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def replace_worker(self, replica_id: str, reason: str) -> None:
        self.heard.append((replica_id, reason))

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None:
        self.heard.append((replica_id, link_number, batch_id))

    async def wake(self, model: str, version: int | None) -> None:
        self.heard.append((model, version))


class Stage:
    """One front end that listens at a Unix socket only, and one ready worker."""

    def __init__(self, path: Path) -> None:
        loop = asyncio.get_running_loop()
        self.path = str(path)
        self.control = ToldControl()
        self.worker = MemoryWorker(SPEC, "m-1-1")
        self.audience = Audience(lambda: MODELS, lambda: [(ID, self.worker)], tuple)
        self.front_end = FrontEnd(
            FrontEndSettings(
                net=NetSettings(), access=AccessSettings(), deadline_s=30, deadline_grace_s=5, socket_path=self.path
            ),
            (),
            lambda door: pytest.fail("there is no door"),
            Slab(1024 * 1024),
            OPERATIONS,
            self.control,  # type: ignore[arg-type]
            lambda front_end: {"native": NativeWire(1024 * 1024)},
            AccessLog(None, loop),
            loop,
        )

    def is_busy(self) -> bool:
        """Whether a part of a request has arrived."""
        return any(edge.is_busy for edge in self.front_end._edges)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        await asyncio.sleep(0.001)


def head(length: int) -> bytes:
    return (
        b"POST /api/v1/models/m/predict HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length
    )


async def answer_of(reader: asyncio.StreamReader) -> tuple[bytes, Any]:
    """Status line and document."""
    top = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in top.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return top.partition(b"\r\n")[0], json.loads(await reader.readexactly(length))


@pytest.fixture
def play(tmp_path: Path, open_files: Callable[[], int]) -> Callable[..., None]:
    """Runs a story with a front end that listens and reaches the worker; nothing is left open afterwards."""

    def tell(story: Callable[[Stage], Awaitable[None]]) -> None:
        async def whole() -> None:
            stage = Stage(tmp_path / "server.sock")
            await stage.audience.attach(ID, stage.worker)
            await stage.audience.add(stage.front_end)
            await stage.front_end.listen()
            try:
                await story(stage)
            finally:
                await stage.audience.finish(0.0)
                stage.front_end.close()
                stage.worker.kill()
                await until(lambda: not stage.worker.links)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.sleep(0))  # the first loop of a process opens what it keeps
        before = open_files()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.wait_for(whole(), 20))
        assert open_files() == before

    return tell


def test_a_prediction_goes_to_the_worker_and_back(play: Any) -> None:
    async def story(stage: Stage) -> None:
        async with stage.connection() as (reader, writer):
            writer.write(head(len(QUESTION)) + QUESTION)
            status, document = await answer_of(reader)
        assert status == b"HTTP/1.1 200 OK"
        assert document["outputs"] == {"x": [[1.0, 2.0]]}
        report = await stage.front_end.report()
        ((key, count),) = report.requests
        assert (key.operation, key.model, key.wire, count.codes) == ("models.predict", "m", "native", {"OK": 1})
        (batches,) = report.batches
        assert (batches.batches, batches.rows) == (1, 1)

    play(story)


def test_the_door_of_the_servers_own_user_is_for_him_alone_and_goes_at_the_end(play: Any, tmp_path: Path) -> None:
    before = os.umask(0o022)
    os.umask(before)
    modes: list[int] = []

    async def story(stage: Stage) -> None:
        modes.append(stat.S_IMODE(os.stat(stage.path).st_mode))

    play(story)
    assert modes == [0o600]
    assert not (tmp_path / "server.sock").exists()
    assert os.umask(before) == before


def test_what_a_killed_server_left_is_no_hindrance(play: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "server.sock"))

    async def story(stage: Stage) -> None:
        async with stage.connection():
            pass

    play(story)


def test_a_door_that_cannot_be_made_is_an_error_and_what_is_there_stays(tmp_path: Path) -> None:
    async def story() -> None:
        stage = Stage(tmp_path / "nowhere" / "server.sock")
        with pytest.raises(StartupError, match="cannot be made"):
            await stage.front_end.listen()
        await stage.front_end.finish(0.0)
        stage.front_end.close()

    asyncio.run(story())


def test_a_link_that_cannot_be_used_is_closed(play: Any) -> None:
    async def story(stage: Stage) -> None:
        ours, theirs = socket.socketpair(type=socket.SOCK_DGRAM)
        with theirs:
            with pytest.raises(ValueError, match=r"[Ss]tream"):
                await stage.front_end.attach(ID, "m-1-2", 9, ours)
            assert ours.fileno() == -1

    play(story)


def test_a_link_to_a_version_that_is_not_served_is_closed(play: Any) -> None:
    async def story(stage: Stage) -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        with theirs:
            await stage.front_end.attach(ModelVersion("m", 9), "m-9-1", 9, ours)
            assert await asyncio.get_running_loop().sock_recv(theirs, 1) == b""

    play(story)


def test_what_a_queue_wants_done_to_a_worker_reaches_the_control_half(play: Any) -> None:
    async def story(stage: Stage) -> None:
        stage.front_end.replace_worker("m-1-1", "it is late")
        stage.front_end.cancel_batch("m-1-1", 1, 2)
        assert stage.control.heard == [("m-1-1", "it is late"), ("m-1-1", 1, 2)]

    play(story)


def test_a_request_that_is_arriving_is_finished_before_the_end(play: Any) -> None:
    async def story(stage: Stage) -> None:
        async with stage.connection() as (reader, writer):
            writer.write(head(len(QUESTION)) + QUESTION[:10])
            await until(stage.is_busy)
            finishing = asyncio.ensure_future(stage.audience.finish(10.0))
            await until(lambda: stage.front_end.is_draining)
            await asyncio.sleep(0)
            assert not finishing.done()
            writer.write(QUESTION[10:])
            status, _ = await answer_of(reader)
            assert status == b"HTTP/1.1 200 OK"
            assert await reader.read() == b""
            await finishing
        with pytest.raises(FileNotFoundError):
            await asyncio.open_unix_connection(stage.path)

    play(story)


def test_a_request_that_never_arrives_does_not_hold_up_the_end(play: Any) -> None:
    async def story(stage: Stage) -> None:
        async with stage.connection() as (reader, writer):
            writer.write(head(len(QUESTION)) + QUESTION[:10])
            await until(stage.is_busy)
            await stage.audience.finish(0.05)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""

    play(story)


def test_a_front_end_that_missed_a_change_and_cannot_be_replaced_says_so(
    play: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(stage: Stage) -> None:
        stage.front_end.abandon("it missed a change")

    play(story)
    assert "front_end_is_out_of_date" in caplog.text
