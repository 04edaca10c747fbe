"""What every engine promises, asked of the local one and of its twin in memory."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from salver.errors import Code, LoadError
from salver.replicas.base import Engine, Failure, LoadFailed, ReplicaSpec, Worker, WorkerLost
from salver.replicas.local import LocalEngine
from salver.replicas.memory import MemoryEngine, MemoryWorker
from salver_worker import frames

Play = Callable[[Any], Any]
SLAB_BYTES = 0
NO_SLAB = -1


class Lab(NamedTuple):
    """An engine, and specs whose workers do what their name says."""

    engine: Engine
    echo: ReplicaSpec
    loads_for_ever: ReplicaSpec
    cannot_load: ReplicaSpec
    dies_loading: ReplicaSpec
    has_no_interpreter: ReplicaSpec


def local_lab(spec: Any, python_spec: Any, run_folder: Path, tmp_path: Path) -> Lab:
    def model(name: str, code: str) -> ReplicaSpec:
        made = python_spec(code)
        path = tmp_path / f"{name}.py"
        Path(made.path).rename(path)
        return spec(runtime="function", path=str(path), manifest=made.manifest)

    return Lab(
        engine=LocalEngine(run_folder, {}),
        echo=spec(),
        loads_for_ever=model("forever", "import time\nprint('waiting')\ntime.sleep(600)"),
        cannot_load=model("cannot", "raise ValueError('no weights')"),
        dies_loading=model("dies", "import os\nprint('last words')\nos._exit(7)"),
        has_no_interpreter=spec(python="/nowhere/python"),
    )


def memory_lab(spec: Any) -> Lab:
    acts: dict[str, Callable[[MemoryWorker], None]] = {
        "echo": MemoryWorker.become_ready,
        "loads_for_ever": lambda worker: None,
        "cannot_load": lambda worker: worker.fail(Failure(code="LOAD_FAILED", message="ValueError: no weights")),
        "dies_loading": dies_loading,
    }
    engine = MemoryEngine(lambda worker: acts[worker.spec.description](worker))
    return Lab(engine, has_no_interpreter=spec(python=""), **{name: spec(description=name) for name in acts})


def dies_loading(worker: MemoryWorker) -> None:
    worker.printed = ("last words",)
    worker.die("it exited with status 7")


@pytest.fixture(params=["local", "memory"])
def lab(request: Any, spec: Any, python_spec: Any, run_folder: Path, tmp_path: Path) -> Lab:
    return local_lab(spec, python_spec, run_folder, tmp_path) if request.param == "local" else memory_lab(spec)


async def ready_worker(lab: Lab, id: str = "m-1-1") -> Worker:
    worker = await lab.engine.start(lab.echo, id)
    await worker.load()
    return worker


async def ask(sock: socket.socket, id: int, *rows: list[float]) -> np.ndarray[Any, Any]:
    """Send rows of FP32 over a data link; what comes back."""
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    sent = np.array(rows, "<f4")
    body = sent.tobytes() + b"\0" * frames.padding(sent.nbytes)
    header = {"signature": "serving_default", "tensors": [["x", "FP32", list(sent.shape), sent.nbytes]]}
    await loop.sock_sendall(sock, frames.encode_frame(frames.PREDICT, id, header, body, deadline_ms=5000))
    received = b""
    while True:
        received += await loop.sock_recv(sock, 65536)
        prefix = frames.unpack_prefix(received)
        body_at = frames.PREFIX_SIZE + prefix.header_length
        if len(received) >= body_at + prefix.body_length:
            break
    assert (prefix.verb, prefix.id) == (frames.RESULT, id)
    ((name, datatype, shape, size),) = frames.decode_header(received[frames.PREFIX_SIZE : body_at])["tensors"]
    assert (name, datatype) == ("x", "FP32")
    return np.frombuffer(received[body_at : body_at + size], "<f4").reshape(shape)


async def all_raise(error: type[Exception], *calls: Awaitable[Any]) -> None:
    for call in calls:
        with pytest.raises(error):
            await call


def test_a_loaded_worker_says_what_its_model_takes_and_gives(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await lab.engine.start(lab.echo, "m-1-1")
        assert worker.id == "m-1-1"
        ready = await worker.load()
        (row,) = ready.signatures["serving_default"].inputs
        assert (row.name, row.datatype, row.shape) == ("x", "FP32", (-1, -1))
        assert ready.rss > 0
        assert ready.is_idempotent
        await worker.stop(10)

    play(story())


def test_each_data_link_gets_the_answers_to_its_own_questions(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await ready_worker(lab)
        with (
            await worker.attach(1, NO_SLAB, SLAB_BYTES) as one,
            await worker.attach(2, NO_SLAB, SLAB_BYTES) as other,
        ):
            first, second = await asyncio.gather(ask(one, 1, [1, 2]), ask(other, 1, [3, 4], [5, 6]))
            assert (first.tolist(), second.tolist()) == ([[1, 2]], [[3, 4], [5, 6]])
            assert (await ask(one, 2, [7])).tolist() == [[7]]
            await worker.stop(10)

    play(story())


def test_a_sign_of_life_tells_the_memory(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await ready_worker(lab)
        assert await worker.ping() > 0
        await worker.stop(10)

    play(story())


def test_a_batch_that_is_over_can_be_cancelled_without_harm(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await ready_worker(lab)
        with await worker.attach(1, NO_SLAB, SLAB_BYTES) as link:
            await ask(link, 1, [1])
            await worker.cancel(1, 1)
            assert (await ask(link, 2, [2])).tolist() == [[2]]
        await worker.stop(10)

    play(story())


def test_a_model_that_cannot_be_loaded_says_why_and_its_worker_ends_by_itself(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await lab.engine.start(lab.cannot_load, "m-1-1")
        with pytest.raises(LoadFailed, match="no weights") as caught:
            await worker.load()
        assert caught.value.failure.code == "LOAD_FAILED"
        assert await worker.wait() == "it exited with status 3"

    play(story())


def test_a_worker_that_dies_while_it_loads_is_lost_and_says_how_it_ended(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await lab.engine.start(lab.dies_loading, "m-1-1")
        await all_raise(WorkerLost, worker.load())
        assert await worker.wait() == "it exited with status 7"
        assert worker.log_tail == ("last words",)

    play(story())


def test_a_worker_that_still_loads_can_be_stopped(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await lab.engine.start(lab.loads_for_ever, "m-1-1")
        loading = asyncio.ensure_future(worker.load())
        await asyncio.sleep(0)
        await worker.stop(10)
        await all_raise(WorkerLost, loading)
        assert await worker.wait() == "it exited with status 0"

    play(story())


def test_a_ready_worker_that_is_stopped_exits_with_0_and_closes_its_links(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await ready_worker(lab)
        with await worker.attach(1, NO_SLAB, SLAB_BYTES) as link:
            await ask(link, 1, [1])
            await worker.stop(10)
            assert await worker.wait() == "it exited with status 0"
            assert await asyncio.get_running_loop().sock_recv(link, 10) == b""

    play(story())


def test_a_killed_worker_ends_at_once_and_closes_its_links(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await ready_worker(lab)
        with await worker.attach(1, NO_SLAB, SLAB_BYTES) as link:
            await ask(link, 1, [1])
            worker.kill()
            assert "SIGKILL" in await worker.wait()
            assert await asyncio.get_running_loop().sock_recv(link, 10) == b""

    play(story())


def test_after_its_end_a_worker_takes_everything_calmly(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await ready_worker(lab)
        worker.kill()
        how = await worker.wait()
        await all_raise(WorkerLost, worker.ping(), worker.attach(1, NO_SLAB, SLAB_BYTES))
        await worker.cancel(1, 1)
        await worker.stop(10)
        worker.kill()
        assert await worker.wait() == how

    play(story())


def test_many_may_wait_for_the_end_and_one_who_gives_up_disturbs_nobody(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await ready_worker(lab)
        impatient, patient = asyncio.ensure_future(worker.wait()), asyncio.ensure_future(worker.wait())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.sleep(0)
        worker.kill()
        assert "SIGKILL" in await patient
        assert impatient.cancelled()

    play(story())


def test_a_data_link_that_nobody_waits_for_any_more_is_no_trouble(lab: Lab, play: Play) -> None:
    async def story() -> None:
        worker = await ready_worker(lab)
        attaching = asyncio.ensure_future(worker.attach(1, NO_SLAB, SLAB_BYTES))
        await asyncio.sleep(0)
        attaching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await attaching).close()
        with await worker.attach(2, NO_SLAB, SLAB_BYTES) as link:
            assert (await ask(link, 1, [1])).tolist() == [[1]]
        await worker.stop(10)

    play(story())


def test_without_its_interpreter_a_worker_can_never_be_started(lab: Lab, play: Play) -> None:
    async def story() -> None:
        if isinstance(lab.engine, MemoryEngine):
            lab.engine.refusal = LoadError(Code.ENVIRONMENT_BROKEN, "There is none.")
        with pytest.raises(LoadError) as caught:
            await lab.engine.start(lab.has_no_interpreter, "m-1-1")
        assert caught.value.code is Code.ENVIRONMENT_BROKEN

    play(story())
