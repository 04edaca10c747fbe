"""Workers as processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import msgspec

import salver_worker
from salver.errors import Code, LoadError
from salver.replicas.base import Failure, LoadFailed, Ready, ReplicaSpec, WorkerLost
from salver.replicas.control import ControlLink
from salver_worker import frames

log = logging.getLogger("salver.worker")

LOG_LINES = 50
MAX_LINE_BYTES = 64 * 1024
PASSED_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "PATH")
PASSED_PREFIXES = ("CUDA_", "NVIDIA_", "OPENBLAS_")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class LocalEngine:
    """Starts workers as child processes; each has a folder of its own for temporary files, removed when it ends."""

    def __init__(self, run_folder: Path, environment: Mapping[str, str]) -> None:
        self._run_folder = run_folder
        self._environment = {
            name: value
            for name, value in environment.items()
            if name in PASSED_VARIABLES or name.startswith(PASSED_PREFIXES)
        }
        self._worker_path = _worker_only_path(run_folder)

    async def start(self, spec: ReplicaSpec, replica_id: str) -> LocalWorker:
        """A worker that has not loaded yet. Raises LoadError(ENVIRONMENT_BROKEN) if its interpreter does not start."""
        folder = self._run_folder / replica_id.replace("/", "-")
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                spec.python,
                "-m",
                "salver_worker",
                "--control-fd",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=MAX_LINE_BYTES,
                pass_fds=(theirs.fileno(),),
                cwd=folder,
                env=self._variables(spec, folder),
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise LoadError(
                Code.ENVIRONMENT_BROKEN,
                f"The interpreter {spec.python} cannot be started: {error.strerror}.",
                fix="Correct `python` under [environment] in model.toml.",
            ) from error
        finally:
            theirs.close()
        return LocalWorker(spec, replica_id, process, ControlLink(ours, asyncio.get_running_loop()), folder)

    def _variables(self, spec: ReplicaSpec, folder: Path) -> dict[str, str]:
        return {
            **self._environment,
            **dict.fromkeys(THREAD_VARIABLES, str(spec.threads)),
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": str(self._worker_path),
            "PYTHONNOUSERSITE": "1",
            "PYTHONUNBUFFERED": "1",
            **spec.variables,
        }


class LocalWorker:
    """One worker process and its control link."""

    def __init__(
        self,
        spec: ReplicaSpec,
        replica_id: str,
        process: asyncio.subprocess.Process,
        control: ControlLink,
        folder: Path,
    ) -> None:
        self.id = replica_id
        self.pid: int | None = process.pid
        self._spec = spec
        self._process = process
        self._control = control
        self._folder = folder
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._output = asyncio.get_running_loop().create_task(self._read_output())

    @property
    def log_tail(self) -> tuple[str, ...]:
        return tuple(self._lines)

    async def load(self) -> Ready:
        spec = self._spec
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
                "options": {"threads": spec.threads},
                "batch_rows": spec.batching.max_batch_rows,
            },
        )
        if verb == frames.READY:
            return msgspec.convert(header, Ready)
        raise LoadFailed(msgspec.convert(header, Failure))

    async def attach(self, link_number: int, slab_fd: int, slab_bytes: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        try:
            await self._control.tell(
                frames.ATTACH,
                {"link": link_number, "slab_bytes": slab_bytes},
                descriptors=[theirs.fileno(), slab_fd] if slab_bytes else [theirs.fileno()],
            )
        except WorkerLost:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    async def ping(self) -> int:
        _, header = await self._control.call(frames.PING)
        return int(header.get("rss", 0))

    async def cancel(self, link_number: int, batch_id: int) -> None:
        with contextlib.suppress(WorkerLost):
            await self._control.tell(frames.CANCEL, {"link": link_number}, id=batch_id)

    async def stop(self, grace_s: float) -> None:
        with contextlib.suppress(WorkerLost):
            await self._control.tell(frames.STOP)
        try:
            await asyncio.wait_for(self._process.wait(), grace_s)
        except TimeoutError:
            log.warning("worker_killed", extra={"replica": self.id, "reason": f"it did not stop in {grace_s:g} s"})
            self.kill()
        await self.wait()

    def kill(self) -> None:
        """The worker leads a session of its own, so its group is the worker and all that its code started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def wait(self) -> str:
        code = await self._process.wait()
        self.kill()  # whatever it started must not outlive it
        self._control.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._output), 1.0)
        self._output.cancel()
        shutil.rmtree(self._folder, ignore_errors=True)
        return _how_it_ended(code)

    async def _read_output(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            try:
                raw = await stream.readline()
            except ValueError:  # a line above the limit: what was read of it is gone, go on with the next
                continue
            if not raw:
                return
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            self._lines.append(line)
            log.info(
                "worker_output",
                extra={"model": self._spec.id.model, "version": self._spec.id.version, "line": line},
            )


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
    path.mkdir(parents=True, exist_ok=True)
    link = path / "salver_worker"
    target = Path(salver_worker.__file__).parent
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    link.symlink_to(target, target_is_directory=True)
    return path
