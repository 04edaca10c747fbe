"""A front end and its control half with a channel between them, both in this process."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from salver.access.audit import AuditEvent
from salver.access.permit import Principal
from salver.errors import Code, RequestError, SalverError, StartupError
from salver.models.entry import version_info
from salver.processes import orders
from salver.processes.base import Control, ControlRequest
from salver.processes.channel import ChannelClosed
from salver.processes.orders import LAST_S, MAX_UNTOLD, RemoteControl, serve_front_end
from salver.processes.remote import RemoteFrontEnd, start_front_end
from salver.replicas.base import ReplicaSpec
from salver.replicas.memory import READY
from salver.store.base import KeyRecord
from salver.telemetry.counters import BatchCount, Report
from salver.types import BatchSettings, ModelStatus, ModelVersion, VersionState, VersionStatus
from told_front_end import ToldFrontEnd
from virtual_time import run, settle, until

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
                info=version_info(SPEC, READY),
            ),
        ),
        default_version=1,
    ),
)
KEY = KeyRecord(id="k1", label="", role="user", models=(), digest=b"\0\1", created_at=0.0, created_by="")


def request(operation: str = "keys.list") -> ControlRequest:
    return ControlRequest(
        operation=operation,
        parameters=msgspec.Raw(b"\x80"),
        principal=Principal(id="local:0", role="admin"),
        request_id="r",
        peer="unix",
        wire="native",
    )


class ToldControl:
    """A control half that remembers what it was asked."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def operate(self, request: ControlRequest) -> msgspec.Raw:
        await self.may_answer.wait()
        if request.operation == "keys.revoke":
            raise RequestError(Code.INVALID_INPUT, "There is no such key.", fix="Look at the list.")
        return msgspec.Raw(msgspec.msgpack.encode(request.operation))

    async def wake(self, model: str, version: int | None) -> None:
        await self.may_answer.wait()
        if model == "none":
            raise RequestError(Code.MODEL_NOT_FOUND, "There is no model named 'none'.")
        self.heard.append((model, version))

    def denied(self, event: AuditEvent) -> None:
        self.heard.append(event)

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None:
        self.heard.append((replica_id, link_number, batch_id))

    def replace_worker(self, replica_id: str, reason: str) -> None:
        self.heard.append((replica_id, reason))


class Process:
    """Stands for the front end's process."""

    pid = 4242

    def __init__(self) -> None:
        self.is_killed = False

    def kill(self) -> None:
        if self.is_killed:
            raise ProcessLookupError
        self.is_killed = True


class Stage:
    """Both sides. `far` is the front end itself, `near` the handle that the control half has of it."""

    def __init__(self, failure: SalverError | None = None, far: ToldFrontEnd | None = None) -> None:
        ours, theirs = socket.socketpair()
        self.control = ToldControl()
        self.far = far or ToldFrontEnd(turns=0)
        self.process = Process()
        slab: Any = SimpleNamespace(fd=5, size_bytes=1024)
        self.near = RemoteFrontEnd(ours, self.control, self.process, slab)  # type: ignore[arg-type]
        self.back: Control
        self.made_as = ""
        self.serving = asyncio.ensure_future(serve_front_end(theirs.detach(), self._make(failure)))

    def _make(self, failure: SalverError | None) -> Callable[[str, Control], Any]:
        def make(argument: str, control: Control) -> Any:
            self.back = control
            self.made_as = argument
            if failure is not None:
                raise failure
            return self.far

        return make


def play(
    story: Callable[[Stage], Awaitable[None]], *, failure: SalverError | None = None, far: ToldFrontEnd | None = None
) -> None:
    async def whole() -> None:
        stage = Stage(failure, far)
        if failure is None:
            await stage.near.greet("its argument")
        await story(stage)
        stage.near.close()
        await asyncio.wait_for(stage.serving, 30)
        stage.far.close()

    run(whole())


def test_what_the_control_half_says_reaches_the_front_end() -> None:
    async def story(stage: Stage) -> None:
        near, far = stage.near, stage.far
        assert (near.slab_fd, near.slab_bytes) == (5, 1024)
        assert stage.made_as == "its argument"
        await near.set_keys((KEY,))
        await near.publish(MODELS)
        assert (far.keys, far.models) == ((KEY,), MODELS)
        await near.listen()
        await near.drain()
        batches = BatchCount(model="m", version=1, batches=2, rows=3, waiting_rows=0, flying_rows=0)
        far.counted = Report(connections=3, batches=(batches,))
        assert await near.report() == far.counted
        assert await near.batches() == (batches,)

    play(story)


def test_a_front_end_has_a_version_woken_and_hears_when_that_is_done() -> None:
    async def story(stage: Stage) -> None:
        stage.control.may_answer.clear()
        waking = asyncio.ensure_future(stage.back.wake("m", None))
        await settle()
        assert not waking.done()
        stage.control.may_answer.set()
        await waking
        await stage.back.wake("m", 2)
        assert stage.control.heard == [("m", None), ("m", 2)]
        with pytest.raises(SalverError, match="no model named"):
            await stage.back.wake("none", 1)
        stage.near.close()
        with pytest.raises(RequestError) as raised:
            await stage.back.wake("m", 1)
        assert raised.value.code is Code.SHUTTING_DOWN

    play(story)


def test_a_data_link_arrives_as_a_socket_of_the_front_end() -> None:
    async def story(stage: Stage) -> None:
        await stage.near.publish(MODELS)
        ours, worker = socket.socketpair()
        with worker:
            await stage.near.attach(ID, "m-1-1", 7, ours)
            assert ours.fileno() == -1, "the front end has it, nobody else"
            worker.send(b"hello")
            assert stage.far.links["m-1-1"].recv(10) == b"hello"

    play(story)


def test_a_front_end_says_when_it_has_let_go_of_a_worker() -> None:
    async def story(stage: Stage) -> None:
        await stage.near.publish(MODELS)
        ours, theirs = socket.socketpair()
        with theirs:
            await stage.near.attach(ID, "m-1-1", 3, ours)
            stage.far.busy = {"m-1-1"}
            assert not await stage.near.let_go({"m-1-1"})
            stage.far.busy = set()
            assert await stage.near.let_go({"m-1-1"})

    play(story)


def test_what_the_front_end_asks_for_reaches_the_control_half() -> None:
    async def story(stage: Stage) -> None:
        assert bytes(await stage.back.operate(request())) == msgspec.msgpack.encode("keys.list")
        event = AuditEvent(principal="anonymous", operation="keys.list", outcome="UNAUTHENTICATED", is_allowed=False)
        stage.back.denied(event)
        stage.back.cancel_batch("m-1-1", 2, 3)
        stage.back.replace_worker("m-1-1", "it is late")
        await settle()
        assert stage.control.heard == [event, ("m-1-1", 2, 3), ("m-1-1", "it is late")]

    play(story)


def test_a_refusal_of_the_control_half_is_the_callers() -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(SalverError, match="no such key") as caught:
            await stage.back.operate(request("keys.revoke"))
        assert (caught.value.code, caught.value.fix) == (Code.INVALID_INPUT, "Look at the list.")

    play(story)


def test_an_error_of_the_front_end_comes_back_with_code_and_fix() -> None:
    async def story(stage: Stage) -> None:
        stage.far.fault = StartupError(Code.PORT_TAKEN, "Port 80 is taken by nginx.", fix="Stop it.")
        with pytest.raises(SalverError, match="taken by nginx") as caught:
            await stage.near.listen()
        assert (caught.value.code, caught.value.fix) == (Code.PORT_TAKEN, "Stop it.")

    play(story)


def test_a_front_end_that_cannot_be_made_says_why() -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(SalverError, match="log cannot be written") as caught:
            await stage.near.greet("its argument")
        assert caught.value.code is Code.SETTINGS_INVALID

    play(story, failure=StartupError(Code.SETTINGS_INVALID, "The access log cannot be written."))


def test_a_message_that_the_other_half_does_not_know_is_an_error_of_ours() -> None:
    async def story(stage: Stage) -> None:
        for half in (stage.near._channel, stage.back._channel):  # type: ignore[attr-defined]
            with pytest.raises(SalverError, match="does not know the message 'paint'") as caught:
                await half.request("paint", None, type(None))
            assert caught.value.code is Code.INTERNAL

    play(story)


def test_a_process_that_cannot_be_started_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, open_files: Callable[[], int]
) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    async def story() -> None:
        monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
        before = open_files()
        slab: Any = SimpleNamespace(fd=5, size_bytes=1024)
        with pytest.raises(OSError, match="temporarily unavailable"):
            await start_front_end(ToldControl(), slab)
        assert open_files() == before

    run(story())


# The end


class SlowToFinish(ToldFrontEnd):
    """Finishes when it was told the keys once more."""

    async def finish(self, timeout_s: float) -> None:
        self.done.append("finishing")
        await until(lambda: self.done[-1] == "set_keys")
        self.done.append("finished")


def test_a_front_end_hears_of_changes_while_it_finishes() -> None:
    """Otherwise a request in flight that waits for one, and the end that waits for the request, would wait for ever."""

    async def story(stage: Stage) -> None:
        finishing = asyncio.ensure_future(stage.near.finish(30.0))
        await settle()
        assert stage.far.done == ["finishing"]
        await stage.near.set_keys((KEY,))
        await finishing
        assert stage.far.done == ["finishing", "set_keys", "finished"]
        await asyncio.wait_for(stage.serving, 1)

    play(story, far=SlowToFinish(turns=0))


def test_finish_returns_when_the_front_end_has_closed_its_end() -> None:
    async def story(stage: Stage) -> None:
        await stage.near.finish(0.0)
        assert stage.far.done == ["finish 0"]
        await stage.near.finish(0.0)

    play(story)


def test_a_front_end_ends_when_the_control_half_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        stage.near.close()
        await asyncio.wait_for(stage.serving, LAST_S + 1)
        assert stage.far.done == ["finish 0"]

    play(story)
    assert "control_half_lost" in caplog.text


def test_a_front_end_that_cannot_finish_without_the_control_half_ends_nevertheless() -> None:
    class Endless(ToldFrontEnd):
        async def finish(self, timeout_s: float) -> None:
            await asyncio.sleep(1000)

    async def story(stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        stage.near.close()
        await asyncio.wait_for(stage.serving, 10)
        assert loop.time() - began == pytest.approx(LAST_S)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()  # as the end of the process does
        await settle()

    play(story, far=Endless())


def test_a_front_end_that_breaks_while_it_finishes_ends(caplog: pytest.LogCaptureFixture) -> None:
    class Breaking(ToldFrontEnd):
        async def finish(self, timeout_s: float) -> None:
            raise ZeroDivisionError

    async def story(stage: Stage) -> None:
        await stage.near.finish(30.0)
        await asyncio.wait_for(stage.serving, 1)

    play(story, far=Breaking())
    assert "front_end_failed" in caplog.text


def test_a_signal_does_not_end_a_front_end() -> None:
    async def story(stage: Stage) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        await settle()
        await stage.near.drain()
        assert stage.far.done == ["drain"]

    play(story)


def test_who_asks_a_control_half_that_is_gone_hears_that_the_server_stops() -> None:
    async def story(stage: Stage) -> None:
        stage.near.close()
        await settle()
        with pytest.raises(RequestError) as caught:
            await stage.back.operate(request())
        assert caught.value.code is Code.SHUTTING_DOWN
        stage.back.cancel_batch("m-1-1", 2, 3)
        await settle()

    play(story)


def test_a_control_half_that_is_gone_in_the_middle_of_a_request_ends_it() -> None:
    async def story(stage: Stage) -> None:
        stage.control.may_answer.clear()
        asking = asyncio.ensure_future(stage.back.operate(request()))
        await settle()
        stage.near.close()
        with pytest.raises(RequestError):
            await asking

    play(story)


def test_what_nobody_listens_to_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    class Deaf:
        async def tell(self, name: str, body: Any) -> None:
            sent.append(name)
            await asyncio.sleep(3600)

    async def story() -> None:
        control = RemoteControl(Deaf())  # type: ignore[arg-type]
        for _ in range(2 * MAX_UNTOLD):
            control.cancel_batch("m-1-1", 2, 3)
        await asyncio.sleep(0)
        assert len(sent) == MAX_UNTOLD
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await settle()

    run(story())


def test_a_front_end_that_missed_a_change_is_killed() -> None:
    async def story(stage: Stage) -> None:
        stage.near.abandon("it missed a change")
        assert stage.process.is_killed
        stage.near.abandon("once more")

    play(story)


def test_a_front_end_whose_process_is_gone_can_be_told_nothing() -> None:
    async def story(stage: Stage) -> None:
        stage.near.close()
        with pytest.raises(ChannelClosed):
            await stage.near.publish(MODELS)
        ours, worker = socket.socketpair()
        with worker:
            with pytest.raises(ChannelClosed):
                await stage.near.attach(ID, "m-1-1", 7, ours)
            assert ours.fileno() == -1

    play(story)


assert orders.LAST_S < 5, "a front end whose control half is gone ends within seconds"
