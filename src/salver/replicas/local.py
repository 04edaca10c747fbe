"""Workers as processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

import salver_worker
from salver.errors import Code, LoadError
from salver.replicas.base import Failure, LoadFailed, Ready, ReplicaSpec, WorkerLost
from salver.replicas.child import Child, started
from salver.replicas.control import ControlLink
from salver.replicas.environments.interpreters import interpreter
from salver.replicas.output import Output
from salver.replicas.priority import Priorities, Priority, priorities_here
from salver.replicas.turns import Turn, Turns
from salver.telemetry.measures import Measure
from salver.types import ModelVersion
from salver_worker import frames

log = logging.getLogger("salver.worker")

PYTHON = "python"
"""As the first word of a command it means the interpreter of the model's environment."""
LAST_WORDS_S = 1.0
"""How long the output of a dead worker may go on: what has left its process group may still hold the pipe."""
AGAIN_S = 0.1
"""The pause before a worker's priority is asked for once more."""
PASSED_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "PATH")
PASSED_PREFIXES = ("CUDA_", "NVIDIA_", "OPENBLAS_")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
NO_ROOM = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""Errors that say nothing of what was to be started: at another time it may work."""
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


class LocalEngine:
    """Starts workers as child processes; each has a folder of its own for temporary files, removed when it ends.

    The run folder is the engine's alone: what a server that was killed left in it is removed first.
    """

    def __init__(
        self, run_folder: Path, environment: Mapping[str, str], *, load_niceness: int = 0, loads_at_once: int = 0
    ) -> None:
        """`loads_at_once`: how many workers may begin to load at one time; 0 is no bound."""
        self._run_folder = run_folder
        self._load_niceness = load_niceness
        self._priority: Priority = priorities_here() if load_niceness else Priorities()
        self._environment = {
            name: value
            for name, value in environment.items()
            if name in PASSED_VARIABLES or name.startswith(PASSED_PREFIXES)
        }
        for left in run_folder.iterdir():
            shutil.rmtree(left, ignore_errors=True)
        self._worker_path = _worker_only_path(run_folder)
        self._turns = Turns(loads_at_once)

    async def start(self, spec: ReplicaSpec, replica_id: str, unwanted: asyncio.Event | None = None) -> LocalWorker:
        """A worker that has not loaded yet. Raises LoadError(ENVIRONMENT_BROKEN) or WorkerLost."""
        command = self._command(spec)
        turn = await self._turns.take(unwanted or asyncio.Event())
        if turn is None:
            raise WorkerLost("it was not wanted any more")
        try:
            return await self._start(spec, replica_id, command, turn)
        except BaseException as error:
            turn.end()
            if not isinstance(error, OSError):
                raise
            reason = f"{command[0]} cannot be started: {error.strerror or error}"
            if error.errno in NO_ROOM:
                raise WorkerLost(reason) from error
            key = "`command`" if spec.command else "`python` under [environment]"
            raise LoadError(Code.ENVIRONMENT_BROKEN, f"{reason}.", fix=f"Correct {key} in model.toml.") from error

    def _command(self, spec: ReplicaSpec) -> tuple[str, ...]:
        """What is started, its first word a path. Raises LoadError(ENVIRONMENT_BROKEN) when that is not there."""
        program, *arguments = spec.command or (PYTHON, "-m", "salver_worker")
        if program == PYTHON:
            return (interpreter(spec.python), *arguments)
        path = shutil.which(program, path=self._environment.get("PATH"))
        if path is None:
            raise LoadError(
                Code.ENVIRONMENT_BROKEN,
                f"The program {program} is not there or cannot be run.",
                fix="Correct `command` in model.toml, or install the program.",
            )
        return (path, *arguments)

    async def _start(self, spec: ReplicaSpec, replica_id: str, command: Sequence[str], turn: Turn) -> LocalWorker:
        """Raises OSError; nothing is left then of what had been made."""
        with contextlib.ExitStack() as undo:
            folder = Path(tempfile.mkdtemp(prefix=f"{_UNFIT.sub('-', replica_id)[:40]}-", dir=self._run_folder))
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            (folder / "tmp").mkdir()
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            with theirs:
                output, pipe = Output.open(lambda line: _tell(spec.id, line))
                undo.callback(output.close)
                with pipe:
                    begin = functools.partial(self._begin, spec, folder, command, theirs.fileno(), pipe)
                    process = await started(begin)
            undo.pop_all()
        control = ControlLink(ours, asyncio.get_running_loop())
        return LocalWorker(spec, replica_id, process, control, output, folder, self._priority, turn)

    def _begin(
        self, spec: ReplicaSpec, folder: Path, command: Sequence[str], control: int, output: BinaryIO
    ) -> subprocess.Popen[bytes]:
        """Blocks until the program runs. `control` is its end of the link, `output` takes what it prints."""
        process = subprocess.Popen(  # noqa: S603  models are programs
            [*command, "--control-fd", str(control)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(control,),
            cwd=_home(spec) if spec.command else folder,
            env=self._variables(spec, folder),
            start_new_session=True,
        )
        self._priority.lower(process.pid, self._load_niceness)
        return process

    def _variables(self, spec: ReplicaSpec, folder: Path) -> dict[str, str]:
        paths = (str(self._worker_path), spec.variables.get("PYTHONPATH"))
        return {
            **self._environment,
            **dict.fromkeys(THREAD_VARIABLES, str(spec.threads)),
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONNOUSERSITE": "1",
            "PYTHONUNBUFFERED": "1",
            **spec.variables,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        }


class LocalWorker:
    """One worker process and its control link."""

    def __init__(
        self,
        spec: ReplicaSpec,
        replica_id: str,
        process: Child,
        control: ControlLink,
        output: Output,
        folder: Path,
        priority: Priority,
        turn: Turn,
    ) -> None:
        self._turn = turn
        self._priority = priority
        self.id = replica_id
        self.pid: int | None = process.pid
        self._spec = spec
        self._process = process
        self._control = control
        self._output = output
        self._folder = folder
        self._has_ended = False
        self.measures: tuple[Measure, ...] = ()
        self._end = asyncio.get_running_loop().create_task(self._see_it_end())

    @property
    def log_tail(self) -> tuple[str, ...]:
        return tuple(self._output.tail)

    async def load(self) -> Ready:
        try:
            return await self._load()
        finally:
            self._turn.end()

    async def _load(self) -> Ready:
        spec = self._spec
        options: dict[str, Any] = {"threads": spec.threads, "warm_up_rounds": spec.warm_up_rounds}
        if spec.records_example:
            options["record_example"] = True
        verb, header = await self._control.call(
            frames.LOAD,
            {
                "protocol": frames.PROTOCOL_VERSION,
                "model": spec.id.model,
                "version": spec.id.version,
                "runtime": spec.runtime,
                "path": spec.path,
                "folder": spec.folder,
                "manifest": spec.manifest,
                "options": options,
                "batch_rows": spec.batching.max_batch_rows,
            },
        )
        try:
            if verb == frames.READY:
                while not self._priority.restore(self._process.pid):  # noqa: ASYNC110  the kernel tells nobody when
                    await asyncio.sleep(AGAIN_S)
                return msgspec.convert(header, Ready)
            failure = msgspec.convert(header, Failure)
        except msgspec.ValidationError as error:
            message = f"The worker broke the protocol: {error}."
            raise LoadFailed(Failure(code=Code.LOAD_FAILED.value, message=message)) from error
        raise LoadFailed(failure)

    async def attach(self, link_number: int, slab_fd: int, slab_bytes: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                await self._control.tell(
                    frames.ATTACH,
                    {"link": link_number, "slab_bytes": slab_bytes},
                    descriptors=[theirs.fileno(), slab_fd] if slab_bytes else [theirs.fileno()],
                )
            except BaseException:
                ours.close()
                raise
        return ours

    async def ping(self) -> int:
        _, header = await self._control.call(frames.PING)
        with contextlib.suppress(msgspec.ValidationError):
            self.measures = msgspec.convert(header.get("measures", ()), tuple[Measure, ...], strict=False)
        return int(header.get("rss", 0))

    async def cancel(self, link_number: int, batch_id: int) -> None:
        with contextlib.suppress(WorkerLost):
            await self._control.tell(frames.CANCEL, {"link": link_number}, id=batch_id)

    async def stop(self, grace_s: float) -> None:
        try:
            async with asyncio.timeout(grace_s):
                with contextlib.suppress(WorkerLost):
                    await self._control.tell(frames.STOP)
                await self.wait()
        except TimeoutError:
            log.warning("worker_killed", extra={"replica": self.id, "reason": f"it did not stop in {grace_s:g} s"})
            self.kill()
            await self.wait()

    def kill(self) -> None:
        """The worker leads a session of its own, so its group is the worker and all that its code started."""
        if not self._has_ended:  # later the number may be somebody else's
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def wait(self) -> str:
        return await asyncio.shield(self._end)

    async def _see_it_end(self) -> str:
        code = await self._process.wait()
        self.kill()  # whatever it started must not outlive it
        self._has_ended = True
        self._turn.end()
        self._control.close()
        await self._output.wait(LAST_WORDS_S)
        self._output.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        return _how_it_ended(code)


def _tell(version: ModelVersion, line: str) -> None:
    log.info("worker_output", extra={"model": version.model, "version": version.version, "line": line})


def _home(spec: ReplicaSpec) -> str:
    """Where a model's own program starts: its arguments name files of the model."""
    return spec.path if os.path.isdir(spec.path) else os.path.dirname(spec.path)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it exited with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (often: out of memory)" if name == "SIGKILL" else ""
    return f"it was ended by {name}{hint}"


def _worker_only_path(run_folder: Path) -> Path:
    """A folder that holds the worker package and nothing else of ours, for any interpreter's module path."""
    path = run_folder / "worker-path"
    path.mkdir()
    (path / "salver_worker").symlink_to(Path(salver_worker.__file__).parent, target_is_directory=True)
    return path
