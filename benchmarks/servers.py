"""Starts what is measured, each as its users start it, and stops it with everything that it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.errors import MeasureError
from benchmarks.fastapi_service import FOLDER_VARIABLE
from benchmarks.models import model_path
from benchmarks.workloads import Workload

START_S = 60.0
STOP_S = 15.0
POLL_S = 0.05


@dataclass(frozen=True)
class Running:
    """A server that answers a workload. `log` is the access log to keep short, if it writes one."""

    pid: int
    url: str
    log: Path | None = None


Start = Callable[[Workload, Path, Path], AbstractContextManager[Running]]
"""Given the workload, the folder of the models, and an empty folder for whatever the server writes."""


@dataclass(frozen=True)
class Contender:
    """Something that can be measured. Prototypes serve some of the workloads only."""

    name: str
    start: Start
    is_prototype: bool = False

    def can_serve(self, workload: Workload) -> bool:
        return workload.prototype_path is not None or not self.is_prototype


def salver(*, has_access_log: bool) -> Start:
    """`salver serve` with its default settings; the access log goes to a file, or nowhere."""

    @contextmanager
    def start(workload: Workload, models: Path, folder: Path) -> Iterator[Running]:
        log = folder / "access.log" if has_access_log else None
        data = folder / "data"
        command = [sys.executable, "-m", "salver", "serve", str(models / workload.model), "--port", "0"]
        command += ["--data-dir", str(data), "--access-log", str(log or "off")]
        with _process(command, folder) as process:
            _wait(process, folder, (data / "server.json").exists)
            url = json.loads((data / "server.json").read_text())["urls"][0]
            _wait(process, folder, lambda: _answers(f"{url}/readyz"))
            yield Running(process.pid, url + workload.salver_path, log)

    return start


@contextmanager
def fastapi(workload: Workload, models: Path, folder: Path) -> Iterator[Running]:
    """uvicorn with uvloop and httptools, one process, no access log."""
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        "benchmarks.fastapi_service:create_app",
        "--port",
        str(port),
    ]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    root = str(Path(__file__).resolve().parent.parent)
    with _process(command, folder, {FOLDER_VARIABLE: str(models), "PYTHONPATH": root}) as process:
        url = f"http://127.0.0.1:{port}"
        _wait(process, folder, lambda: _answers(f"{url}/openapi.json"))
        yield Running(process.pid, url + workload.fastapi_path)


def prototype(prototypes: Path) -> Start:
    """The prototype of `arch.py`: a gateway that puts batches together, and one worker process."""

    @contextmanager
    def start(workload: Workload, models: Path, folder: Path) -> Iterator[Running]:
        for name in ("iris", "mlp", "img"):
            (folder / f"{name}.onnx").symlink_to(model_path(models, name))
        port = _free_port()
        variables = {"PROTO_DATA": str(folder), "PYTHONPATH": str(prototypes), **dict(workload.prototype_variables)}
        command = [sys.executable, str(prototypes / "arch.py"), str(port), "wgate"]
        with _process(command, folder, variables) as process:
            _wait(process, folder, lambda: _is_open(port))
            yield Running(process.pid, f"http://127.0.0.1:{port}{workload.prototype_path}")

    return start


@contextmanager
def _process(
    command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process group of its own, whose words go to a file; it is ended with all that is in it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SALVER_")}
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], folder: Path, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            words = (folder / "output.txt").read_text("utf-8", "replace")
            raise MeasureError(f"{process.args!r} did not start: {words[-2000:]}")
        time.sleep(POLL_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
