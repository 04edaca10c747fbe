"""Front ends that are real processes, with a control half and twins of workers in this one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvloop

from salver.access.administration import Administration
from salver.access.audit import AuditLog
from salver.app.frontends import FrontEndArgument
from salver.errors import Code, StartupError
from salver.models.wanted import all_wanted
from salver.net.ports import open_port
from salver.processes import audience, keeper
from salver.processes.base import Door
from salver.processes.control import ControlHalf
from salver.processes.doors import ALL_WIRES
from salver.processes.fleet import FrontEndProcesses
from salver.replicas.base import ReplicaSettings, ReplicaSpec
from salver.replicas.environments.memory import MemoryEnvironments
from salver.replicas.memory import MemoryEngine, MemoryWorker
from salver.replicas.slab import Slab
from salver.settings import Settings
from salver.store.memory import MemoryStore
from salver.telemetry.base import TelemetrySettings
from salver.types import BatchSettings, ModelVersion

SPEC = ReplicaSpec(
    id=ModelVersion("m", 1), runtime="echo", path="/m", folder="/", python="python3", batching=BatchSettings()
)
SLAB_BYTES = 1024 * 1024


class Stage:
    """A control half with one model, and front-end processes on one port."""

    def __init__(self, count: int, port: int, settings: Settings, argument: str | None = None) -> None:
        self.audit = AuditLog(MemoryStore())
        self.engine = MemoryEngine(MemoryWorker.become_ready)
        self.control = ControlHalf(
            self.engine,
            ReplicaSettings(),
            Administration(MemoryStore()),
            self.audit,
            lambda status: None,
            lambda spec, failure: failure,
            MemoryEnvironments(),
        )
        self.control.reconciler.want(all_wanted([SPEC]))
        self.is_ending = False
        self.url = f"http://127.0.0.1:{port}"
        door = Door(host="127.0.0.1", port=port, wires=ALL_WIRES)
        text = argument or msgspec.json.encode(FrontEndArgument(settings, (door,), None, "/nowhere")).decode()
        self.fleet = FrontEndProcesses(self.control, [text] * count, lambda: Slab(SLAB_BYTES))

    @property
    def worker(self) -> MemoryWorker:
        return self.engine.workers[-1]

    async def ready(self) -> None:
        """Every front end is up and has the worker."""
        await self.fleet.start()
        self.control.reconciler.start()
        await until(lambda: self.engine.workers and len(self.worker.links) == len(front_ends()))

    async def ask(self, client: httpx.AsyncClient | None = None) -> httpx.Response:
        async with contextlib.AsyncExitStack() as stack:
            client = client or await stack.enter_async_context(httpx.AsyncClient())
            return await client.post(f"{self.url}/api/v1/models/m/predict", json={"inputs": {"x": [[1.0, 2.0]]}})

    async def end(self) -> None:
        self.is_ending = True
        self.fleet.stopping()
        await self.control.stop(drain_delay_s=0.0, drain_timeout_s=5.0)
        await self.fleet.stop()


def front_ends() -> list[int]:
    """The front-end processes of this process that live."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"salver.app" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return sorted(found)


async def until(condition: Callable[[], Any], within_s: float = 20.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came to that"
        await asyncio.sleep(0.01)
    return value


@pytest.fixture
def play() -> Iterator[Callable[..., None]]:
    """Runs a story on front-end processes; afterwards none is left."""

    def tell(
        story: Callable[[Stage], Awaitable[None]],
        *,
        count: int = 2,
        access_log: str = "off",
        argument: str | None = None,
        join: bool = True,
    ) -> None:
        settings = Settings(replicas=ReplicaSettings(slab_mb=1), telemetry=TelemetrySettings(access_log=access_log))

        async def whole() -> None:
            with open_port("127.0.0.1", 0, share=join) as reserved:
                stage = Stage(count, reserved.getsockname()[1], settings, argument)
                try:
                    await story(stage)
                finally:
                    await stage.end()
                    stage.audit.close()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.wait_for(whole(), 60))
        assert front_ends() == []

    yield tell
    for pid in front_ends():
        os.kill(pid, signal.SIGKILL)


def test_all_of_them_answer_until_they_are_told_to_end(play: Any) -> None:
    async def story(stage: Stage) -> None:
        await stage.ready()
        pids = front_ends()
        assert len(pids) == 2
        assert (await stage.ask()).json()["outputs"] == {"x": [[1.0, 2.0]]}
        for pid in pids:
            assert os.getsid(pid) == pid, "Ctrl-C in the terminal does not reach it"
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        assert (await stage.ask()).status_code == 200
        assert front_ends() == pids
        await stage.end()
        assert front_ends() == []
        assert stage.engine.living == []

    play(story)


def test_a_killed_front_end_is_replaced_and_has_everything(play: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        await stage.ready()
        before = front_ends()
        os.kill(before[0], signal.SIGKILL)
        await until(lambda: len(front_ends()) == 2 and before[0] not in front_ends())
        await until(lambda: len(stage.worker.links) == 2)
        async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0)) as client:
            for _ in range(20):
                assert (await stage.ask(client)).status_code == 200

    play(story)
    assert "front_end_ended" in caplog.text


def test_a_front_end_that_takes_nothing_in_is_replaced(
    play: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audience, "TELL_TIMEOUT_S", 0.3)

    async def story(stage: Stage) -> None:
        await stage.ready()
        before = front_ends()
        os.kill(before[0], signal.SIGSTOP)
        first = stage.worker
        first.die()
        await until(lambda: stage.worker is not first and len(stage.worker.links) == 2)
        assert before[0] not in front_ends()
        assert (await stage.ask()).status_code == 200

    play(story)
    assert "front_end_missed_a_change" in caplog.text


def test_requests_in_flight_are_answered_at_the_end(play: Any) -> None:
    async def story(stage: Stage) -> None:
        await stage.ready()
        async with httpx.AsyncClient() as client:
            body = b'{"inputs": {"x": [[1.0, 2.0]]}}'
            arriving = asyncio.Event()

            async def slowly() -> Any:
                yield body[:10]
                arriving.set()
                await until(lambda: stage.is_ending)
                yield body[10:]

            headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            url = f"{stage.url}/api/v1/models/m/predict"
            asking = asyncio.ensure_future(client.post(url, content=slowly(), headers=headers))
            await arriving.wait()
            await stage.end()
            assert (await asking).status_code == 200

    play(story)


# The start


def test_a_port_that_was_taken_meanwhile_is_told_and_nothing_is_left(play: Any) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(StartupError, match="is taken") as caught:
            await stage.fleet.start()
        assert caught.value.code is Code.PORT_TAKEN
        assert "--port" in caught.value.fix

    play(story, join=False)


def test_settings_that_only_a_front_end_can_refuse_are_told(play: Any) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(StartupError, match="/nowhere/access") as caught:
            await stage.fleet.start()
        assert caught.value.code is Code.SETTINGS_INVALID

    play(story, access_log="/nowhere/access.log")


def test_a_front_end_that_dies_while_it_starts_is_told(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def story(stage: Stage) -> None:
        with pytest.raises(StartupError, match="ended while it started"):
            await stage.fleet.start()

    play(story, count=1)


def test_a_front_end_that_does_not_understand_its_argument_is_told(play: Any) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(StartupError, match="failed on this request"):
            await stage.fleet.start()

    play(story, argument="this is no JSON", count=1)


def test_a_front_end_that_does_not_start_is_not_waited_for(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "START_TIMEOUT_S", 0.05)

    async def story(stage: Stage) -> None:
        with pytest.raises(StartupError, match=r"did not start within 0\.05 s"):
            await stage.fleet.start()

    play(story)


def test_a_machine_without_room_is_told(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(keeper, "start_front_end", refuse)

    async def story(stage: Stage) -> None:
        with pytest.raises(StartupError, match="Too many open files"):
            await stage.fleet.start()

    play(story)


@pytest.mark.parametrize("after_s", [0.0, 0.2])
def test_an_end_in_the_middle_of_the_start_comes_at_once(play: Any, after_s: float) -> None:
    async def story(stage: Stage) -> None:
        starting = asyncio.ensure_future(stage.fleet.start())
        await asyncio.sleep(after_s)
        starting.cancel()
        began = time.monotonic()
        await stage.end()
        assert time.monotonic() - began < 3
        with pytest.raises(asyncio.CancelledError):
            await starting

    play(story)


def test_a_replacement_that_is_starting_at_the_end_is_given_up(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "PAUSE_S", 0.0)

    async def story(stage: Stage) -> None:
        await stage.ready()
        (pid,) = front_ends()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: [found for found in front_ends() if found != pid])
        began = time.monotonic()
        await stage.end()
        assert time.monotonic() - began < 3

    play(story, count=1)


def test_a_replacement_that_fails_is_tried_again(
    play: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "PAUSE_S", 0.01)
    start = keeper.start_front_end
    failures = 3

    async def fail_at_first(*arguments: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError(11, "Resource temporarily unavailable")
        return await start(*arguments)

    async def story(stage: Stage) -> None:
        await stage.ready()
        monkeypatch.setattr(keeper, "start_front_end", fail_at_first)
        (pid,) = front_ends()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: front_ends() not in ([], [pid]) and stage.worker.links)

    play(story, count=1)
    assert caplog.text.count("front_end_failed") == 3


def test_a_front_end_that_does_not_end_is_killed(
    play: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audience, "FINISH_MARGIN_S", 0.2)

    async def story(stage: Stage) -> None:
        await stage.ready()
        for pid in front_ends():
            os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr(audience, "TELL_TIMEOUT_S", 0.2)
        await stage.control.stop(drain_delay_s=0.0, drain_timeout_s=0.0)

    play(story)


def test_a_front_end_that_nobody_has_told_to_end_is_killed(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "END_TIMEOUT_S", 0.1)

    async def story(stage: Stage) -> None:
        await stage.ready()
        stage.fleet.stopping()
        await stage.fleet.stop()
        assert front_ends() == []

    play(story, count=1)


def test_what_was_never_started_can_be_stopped(play: Any) -> None:
    async def story(stage: Stage) -> None:
        stage.fleet.stopping()
        await stage.fleet.stop()

    play(story)


def test_no_descriptor_is_left_behind(play: Any, open_files: Callable[[], int]) -> None:
    async def story(stage: Stage) -> None:
        await stage.ready()
        os.kill(front_ends()[0], signal.SIGKILL)
        await until(lambda: len(stage.worker.links) == 1)

    play(story)
    before = open_files()
    play(story)
    assert open_files() == before
    with socket.socket() as probe:
        assert probe.fileno() > 0
