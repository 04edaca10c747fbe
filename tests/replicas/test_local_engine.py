"""Workers that are processes of this machine: what they are given, what they leave behind, how their end is told."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import salver_worker
from salver.errors import Code, LoadError
from salver.replicas.base import LoadFailed, WorkerLost
from salver.replicas.local import LocalEngine, LocalWorker
from salver.replicas.output import KEPT_LINES
from salver.replicas.priority import GroupPriority, priorities_here

Play = Callable[[Any], Any]
TELLS_ITS_ENVIRONMENT = """
import json, os
facts = dict(environ=dict(os.environ), files=sorted(os.listdir(os.environ["HOME"])))
open({path!r}, "w").write(json.dumps(facts))
"""
PRINTS = """
import os, sys
print("to standard output")
print("to standard error", file=sys.stderr)
sys.stdout.flush()
os.write(1, b"caf\\xe9\\n")
os.write(1, b"x" * 200_000 + b"\\n")
os.write(1, b"no end of line")
"""
HAS_A_CHILD = """
import subprocess
child = subprocess.Popen(["sleep", "600"])
print("child", child.pid, flush=True)
"""
LEAVES_ITS_GROUP = """
import subprocess
child = subprocess.Popen(["sleep", "30"], start_new_session=True)
print("child", child.pid, flush=True)
"""
FULL_MACHINE = OSError(errno.EMFILE, os.strerror(errno.EMFILE))


async def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (value := condition()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    return value


async def loaded(engine: LocalEngine, spec: Any, id: str = "m-1-1") -> LocalWorker:
    worker = await engine.start(spec, id)
    try:
        await worker.load()
    except BaseException as error:
        error.add_note("\n".join(worker.log_tail))
        worker.kill()
        await worker.wait()
        raise
    return worker


def modes_of_workers(run_folder: Path) -> dict[str, int]:
    """The folders of workers and who may use them."""
    folders = [entry for entry in run_folder.iterdir() if entry.name != "worker-path"]
    return {folder.name: stat.S_IMODE(folder.stat().st_mode) for folder in folders}


def child_pid(worker: LocalWorker) -> int | None:
    return next((int(line.split()[1]) for line in worker.log_tail if line.startswith("child")), None)


TELLS_ITS_NICENESS = """
import os
print("niceness", os.getpriority(os.PRIO_PROCESS, 0), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all are equals")
def test_a_worker_that_loads_stands_back_until_it_is_ready(run_folder: Path, python_spec: Any, play: Play) -> None:
    async def story() -> tuple[list[str], int]:
        worker = await loaded(LocalEngine(run_folder, os.environ, load_niceness=7), python_spec(TELLS_ITS_NICENESS))
        assert worker.pid is not None
        told, now = list(worker.log_tail), os.getpriority(os.PRIO_PROCESS, worker.pid)
        await worker.stop(10)
        return told, now

    told, now = play(story())
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert now == own
    assert told == [
        f"niceness {own + 7 if any(isinstance(each, GroupPriority) for each in priorities_here().priorities) else own}"
    ]


def test_workers_begin_to_load_one_after_the_other(run_folder: Path, python_spec: Any, play: Play) -> None:
    async def story() -> None:
        engine, unwanted = LocalEngine(run_folder, os.environ, loads_at_once=1), asyncio.Event()
        with pytest.raises(LoadError):
            await engine.start(python_spec("", python="/no/such/python"), "m-1-0")
        first = await engine.start(python_spec(""), "m-1-1")
        given_up = asyncio.create_task(engine.start(python_spec(""), "m-1-2", unwanted))
        second = asyncio.create_task(engine.start(python_spec(""), "m-1-3"))
        await asyncio.sleep(0.05)
        assert not second.done()
        unwanted.set()
        with pytest.raises(WorkerLost):
            await given_up
        await first.load()
        await (await second).load()
        third = await engine.start(python_spec("", python="false"), "m-1-4")
        await third.wait()
        assert len(modes_of_workers(run_folder)) == 2
        for worker in (first, second.result()):
            await worker.stop(10)

    play(story())


def test_a_worker_gets_the_named_variables_and_no_others(
    run_folder: Path, python_spec: Any, tmp_path: Path, play: Play
) -> None:
    told = tmp_path / "facts.json"
    given = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "CUDA_VISIBLE_DEVICES": "1",
        "HOME": "/root",
        "TMPDIR": "/tmp",
        "SALVER_SECRET": "s",
        "AWS_SECRET_ACCESS_KEY": "s",
        "PYTHONPATH": "/somewhere",
        "VIRTUAL_ENV": "/venv",
        "OMP_NUM_THREADS": "64",
    }
    spec = python_spec(
        TELLS_ITS_ENVIRONMENT.format(path=str(told)), threads=3, variables={"MINE": "1", "LANG": "de_DE.UTF-8"}
    )

    async def story() -> None:
        worker = await loaded(LocalEngine(run_folder, given), spec)
        await worker.stop(10)

    play(story())
    facts = json.loads(told.read_text())
    environment = facts["environ"]
    home = environment["HOME"]
    threads = {name: environment.pop(name) for name in list(environment) if name.endswith("_THREADS")}
    assert set(threads.values()) == {"3"}
    assert len(threads) == 4
    environment.pop("LC_CTYPE", None)  # Python itself sets it where there is no locale
    assert environment == {
        "PATH": "/usr/bin:/bin",
        "CUDA_VISIBLE_DEVICES": "1",
        "LANG": "de_DE.UTF-8",
        "MINE": "1",
        "HOME": home,
        "TMPDIR": f"{home}/tmp",
        "PYTHONPATH": str(run_folder / "worker-path"),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    assert facts["files"] == ["tmp"]
    assert Path(home).parent == run_folder
    assert not Path(home).exists(), "it is removed at the end"


def test_a_module_path_of_the_manifest_comes_after_the_workers_own(
    run_folder: Path, python_spec: Any, tmp_path: Path, play: Play
) -> None:
    told = tmp_path / "facts.json"
    spec = python_spec(TELLS_ITS_ENVIRONMENT.format(path=str(told)), variables={"PYTHONPATH": "/mine"})

    async def story() -> None:
        worker = await loaded(LocalEngine(run_folder, {}), spec)
        await worker.stop(10)

    play(story())
    assert json.loads(told.read_text())["environ"]["PYTHONPATH"] == f"{run_folder}/worker-path:/mine"


def test_the_folders_of_workers_are_their_users_alone(run_folder: Path, spec: Any, play: Play) -> None:
    async def story() -> None:
        worker = await loaded(LocalEngine(run_folder, {}), spec())
        (mode,) = modes_of_workers(run_folder).values()
        assert mode == 0o700
        await worker.stop(10)
        assert modes_of_workers(run_folder) == {}

    play(story())


@pytest.mark.parametrize("id", ["../../outside", "a/b", "..", "-rf", "m" * 300, "ein Modell mit \u00fc und \0"])
def test_no_id_leads_out_of_the_run_folder(run_folder: Path, spec: Any, play: Play, id: str) -> None:
    async def story() -> None:
        engine = LocalEngine(run_folder, {})
        one, other = await loaded(engine, spec(), id), await loaded(engine, spec(), id.replace("/", "-"))
        assert one.id == id
        assert len(modes_of_workers(run_folder)) == 2
        await asyncio.gather(one.stop(10), other.stop(10))
        assert modes_of_workers(run_folder) == {}

    play(story())
    assert [entry.name for entry in run_folder.parent.iterdir()] == ["run"]


def test_what_a_killed_server_left_is_removed_and_nothing_else(run_folder: Path, spec: Any, play: Play) -> None:
    LocalEngine(run_folder, {})
    left = run_folder / "m-1-1-abc"
    (left / "tmp").mkdir(parents=True)
    (left / "tmp" / "big").write_text("x")
    (run_folder / "a-file").touch()
    engine = LocalEngine(run_folder, {})
    assert not left.exists()
    package = run_folder / "worker-path" / "salver_worker"
    assert package.resolve() == Path(salver_worker.__file__).parent
    assert (package / "main.py").is_file()

    async def story() -> None:
        worker = await loaded(engine, spec())
        await worker.stop(10)

    play(story())


def test_what_is_printed_is_told_and_its_end_is_kept(
    run_folder: Path, python_spec: Any, play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "salver.worker")

    async def story() -> tuple[str, ...]:
        worker = await loaded(LocalEngine(run_folder, {}), python_spec(PRINTS))
        await worker.stop(10)
        return worker.log_tail

    tail = play(story())
    assert {"to standard output", "to standard error", "caf\ufffd", "no end of line"} <= set(tail)
    assert any(line.startswith("xxx") and len(line) < 5000 for line in tail)
    told = [record for record in caplog.records if record.getMessage() == "worker_output"]
    assert [record.__dict__["line"] for record in told] == list(tail)
    assert {(record.__dict__["model"], record.__dict__["version"]) for record in told} == {("m", 1)}


def test_a_chatty_worker_costs_no_memory(run_folder: Path, python_spec: Any, play: Play) -> None:
    async def story() -> tuple[str, ...]:
        worker = await loaded(LocalEngine(run_folder, {}), python_spec("for n in range(5000): print('line', n)"))
        await worker.stop(10)
        return worker.log_tail

    tail = play(story())
    assert len(tail) == KEPT_LINES
    assert tail[-1] == "line 4999"


@pytest.mark.parametrize("end", ["stop", "kill", "die"])
def test_what_the_models_code_started_ends_with_the_worker(
    run_folder: Path, python_spec: Any, play: Play, alive: Callable[[int], bool], end: str
) -> None:
    async def story() -> None:
        worker = await loaded(LocalEngine(run_folder, {}), python_spec(HAS_A_CHILD))
        child = await until(lambda: child_pid(worker))
        assert alive(child)
        if end == "stop":
            await worker.stop(10)
        elif end == "kill":
            worker.kill()
        else:
            os.kill(worker.pid or 0, 9)
        await worker.wait()
        await until(lambda: not alive(child))

    play(story())


def test_a_process_that_left_its_group_and_holds_the_output_does_not_hold_up_the_end(
    run_folder: Path, python_spec: Any, play: Play, open_files: Callable[[], int]
) -> None:
    async def story() -> None:
        worker = await loaded(LocalEngine(run_folder, {}), python_spec(LEAVES_ITS_GROUP))
        child = await until(lambda: child_pid(worker))
        try:
            began = time.monotonic()
            await worker.stop(10)
            assert time.monotonic() - began < 5
        finally:
            os.kill(child, 9)
        await asyncio.sleep(0)
        assert modes_of_workers(run_folder) == {}

    before = open_files()
    play(story())
    assert open_files() == before


def test_a_worker_that_does_not_stop_is_killed_after_the_grace(
    run_folder: Path, python_spec: Any, play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> str:
        worker = await loaded(LocalEngine(run_folder, {}), python_spec(""))
        os.kill(worker.pid or 0, 19)  # SIGSTOP
        await worker.stop(0.05)
        return await worker.wait()

    assert play(story()) == "it was ended by SIGKILL (often: out of memory)"
    assert "worker_killed" in caplog.text


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("os._exit(0)", "it exited with status 0"),
        ("os._exit(41)", "it exited with status 41"),
        ("os.abort()", "it was ended by SIGABRT"),
        ("os.kill(os.getpid(), 11)", "it was ended by SIGSEGV"),
        ("os.kill(os.getpid(), 9)", "it was ended by SIGKILL (often: out of memory)"),
        ("os.kill(os.getpid(), 36)", "it was ended by signal 36"),
    ],
)
def test_how_a_worker_ended_is_told_in_words(
    run_folder: Path, python_spec: Any, play: Play, code: str, how: str
) -> None:
    async def story() -> str:
        worker = await LocalEngine(run_folder, {}).start(python_spec(f"import os\n{code}"), "m-1-1")
        with pytest.raises(WorkerLost):
            await worker.load()
        return await worker.wait()

    assert play(story()) == how


def test_an_interpreter_that_the_system_does_not_start_is_a_broken_environment(
    run_folder: Path, spec: Any, play: Play, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/nowhere/python\n")
    python.chmod(0o755)

    async def story() -> None:
        with pytest.raises(LoadError, match=str(python)) as caught:
            await LocalEngine(run_folder, {}).start(spec(python=str(python)), "m-1-1")
        assert caught.value.code is Code.ENVIRONMENT_BROKEN

    play(story())
    assert modes_of_workers(run_folder) == {}


def test_an_interpreter_that_is_no_python_is_a_worker_that_dies(run_folder: Path, spec: Any, play: Play) -> None:
    async def story() -> None:
        worker = await LocalEngine(run_folder, {}).start(spec(python="false"), "m-1-1")
        with pytest.raises(WorkerLost):
            await worker.load()
        assert await worker.wait() == "it exited with status 1"

    play(story())


@pytest.mark.parametrize("where", ["folder", "sockets", "process"])
def test_a_machine_without_room_is_told_as_such_and_nothing_is_left(
    run_folder: Path,
    spec: Any,
    play: Play,
    monkeypatch: pytest.MonkeyPatch,
    open_files: Callable[[], int],
    where: str,
) -> None:
    def refuse(*arguments: Any, **keywords: Any) -> Any:
        raise FULL_MACHINE

    async def story() -> None:
        engine = LocalEngine(run_folder, {})
        if where == "folder":
            monkeypatch.setattr("tempfile.mkdtemp", refuse)
        elif where == "sockets":
            monkeypatch.setattr(socket, "socketpair", refuse)
        else:
            monkeypatch.setattr(subprocess, "Popen", refuse)
        with pytest.raises(WorkerLost, match="Too many open files"):
            await engine.start(spec(), "m-1-1")

    before = open_files()
    play(story())
    monkeypatch.undo()
    assert open_files() == before
    assert modes_of_workers(run_folder) == {}


def test_workers_leave_no_descriptors_behind(
    run_folder: Path, spec: Any, play: Play, open_files: Callable[[], int]
) -> None:
    async def story() -> None:
        engine = LocalEngine(run_folder, {})
        for number in range(3):
            worker = await loaded(engine, spec(), f"m-1-{number}")
            (await worker.attach(1, -1, 0)).close()
            await worker.stop(10)

    before = open_files()
    play(story())
    assert open_files() == before


def test_an_answer_against_the_protocol_is_not_taken_for_a_model(
    run_folder: Path, spec: Any, play: Play, tmp_path: Path
) -> None:
    """A worker of some other make that says READY with nothing in it."""
    python = tmp_path / "python"
    script = """
        import socket, sys
        sys.path.insert(0, {path!r})
        from salver_worker import frames
        link = socket.socket(fileno=int(sys.argv[-1]))
        prefix = frames.unpack_prefix(link.recv(65536))
        link.sendall(frames.encode_frame(frames.READY, prefix.id, {{"signatures": 5}}))
        link.recv(1)
    """
    source = tmp_path / "odd.py"
    source.write_text(textwrap.dedent(script.format(path=str(Path(salver_worker.__file__).parent.parent))))
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {source} "$@"\n')
    python.chmod(0o755)

    async def story() -> None:
        worker = await LocalEngine(run_folder, {}).start(spec(python=str(python)), "m-1-1")
        with pytest.raises(LoadFailed, match="broke the protocol"):
            await worker.load()
        worker.kill()
        await worker.wait()

    play(story())
