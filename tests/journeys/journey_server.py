"""A server in a process of its own, started as a user starts it, found by its data directory, ended by its pid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests

START_S = 30.0
STOP_S = 20.0
SALVER = ("-m", "salver")
POLL_S = (0.005, 0.03)
"""The first and the longest pause between two looks."""
T = TypeVar("T")


def eventually(condition: Callable[[], T], within_s: float, what: str) -> T:
    """The first true value of `condition`, asked again and again; fails with `what` when the time has passed."""
    deadline = time.monotonic() + within_s
    pause_s, longest_s = POLL_S
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, longest_s)


class Server:
    """One `salver serve`, and all processes that belong to it."""

    def __init__(
        self, paths: tuple[Any, ...], folder: Path, settings: dict[str, Any], program: tuple[str, ...] = SALVER
    ) -> None:
        self.data = Path(settings["data_dir"])
        self._mark = uuid.uuid4().hex
        self._out = folder / f"out-{self._mark[:6]}.txt"
        self._err = folder / f"err-{self._mark[:6]}.txt"
        command = [sys.executable, *program, "serve", *map(str, paths), *flags(settings)]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=plain_environment(self._mark),
                start_new_session=True,  # as in a terminal: Ctrl-C reaches the server and its front ends, not us
            )

    # What it says

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def printed(self) -> str:
        """What the user sees: standard output."""
        return self._out.read_text("utf-8", "replace")

    @property
    def logs(self) -> str:
        """Standard error."""
        return self._err.read_text("utf-8", "replace")

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses that the server announced in its data directory; none before it did."""
        try:
            announced = json.loads((self.data / "server.json").read_text())
        except (OSError, ValueError):
            return ()
        return tuple(announced["urls"]) if announced["pid"] == self.pid else ()

    @property
    def url(self) -> str:
        """The address of all protocols together."""
        return self.urls[0]

    def wait_announced(self, within_s: float = START_S) -> None:
        eventually(lambda: self.urls or self._ended(), within_s, "the server announces itself")
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}\n{self.told()}"

    def wait_ready(self, within_s: float = START_S) -> None:
        """Returns when the readiness address answers 200."""
        self.wait_announced(within_s)
        eventually(lambda: self._ended() or self.is_ready(), within_s, "the server is ready")
        assert self.process.poll() is None, self.told()

    def is_ready(self) -> bool:
        status = self.get("/readyz").status_code
        assert status in (200, 503), self.told()
        return status == 200

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=10, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=30, **options)

    @property
    def admin(self) -> dict[str, str]:
        """The header with the key that the first start printed."""
        line = next(line for line in self.printed.splitlines() if line.startswith("key "))
        return {"Authorization": f"Bearer {line.split()[1]}"}

    def version(self, model: str) -> dict[str, Any]:
        """All that the admin is told of the newest version of a model."""
        answer = self.get(f"/api/v1/models/{model}", headers=self.admin)
        document: dict[str, Any] = answer.json()["versions"][0]
        return document

    def worker_pids(self, model: str) -> list[int]:
        """The processes of the model that are ready to answer."""
        return [each["pid"] for each in self.version(model)["replicas"] if each["state"] == "READY"]

    def wait_for_workers(self, model: str, count: int, within_s: float = START_S) -> list[int]:
        """Their pids, once so many are ready."""
        return eventually(
            lambda: pids if len(pids := self.worker_pids(model)) == count else None,
            within_s,
            f"{count} workers of {model} are ready",
        )

    def metrics(self) -> dict[str, float]:
        """Every series with its value."""
        lines = self.get("/metrics").text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {series: float(value) for series, _, value in pairs}

    def told(self) -> str:
        return f"{self.printed[-4000:]}\n{self.logs[-8000:]}"

    def _ended(self) -> bool:
        return self.process.poll() is not None

    # Its processes

    def processes(self) -> dict[int, str]:
        """Every process of this server that lives, by pid: what its command line says."""
        marks = (f"JOURNEY={self._mark}".encode(), f"HOME={self.data}/run/".encode())
        found = {int(entry.name): entry for entry in Path("/proc").iterdir() if entry.name.isdigit()}
        return {
            pid: command
            for pid, entry in found.items()
            if any(mark in _read(entry / "environ") for mark in marks)
            and (command := _read(entry / "cmdline").replace(b"\0", b" ").decode("utf-8", "replace"))
        }

    def front_end_pids(self) -> list[int]:
        """The processes that answer clients, where there are several."""
        return sorted(pid for pid, command in self.processes().items() if "-m salver.app" in command)

    def resident_bytes(self) -> int:
        """Memory of the server's own process."""
        return int(_read(Path(f"/proc/{self.pid}/statm")).split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # Its end

    def terminate(self, within_s: float = STOP_S) -> int:
        """Ask for an orderly end; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def crash(self) -> None:
        """End the server's own process as nothing else could: it has no chance to do anything."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Ends it if it still runs, and holds it to what every server must keep: status 0, nobody left, no fault."""
        status = self._end_process()
        try:
            eventually(lambda: not self.processes(), 3.0, f"no process is left: {self.processes()}")
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
        assert status == 0, f"the server ended with {status}\n{self.told()}"
        assert not self.faults(), f"the server logged faults of its own\n{self.faults()}"

    def _end_process(self) -> int:
        if self.process.poll() is not None:
            return 0  # the test has ended it, and has looked at the status itself
        try:
            return self.terminate()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -signal.SIGKILL

    def faults(self) -> list[str]:
        """The first lines of the log that only a fault of the server can write: those with a traceback of its own."""
        return [line[:2000] for line in self.logs.splitlines() if _is_fault(line)][:5]


def _is_fault(line: str) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return "Traceback" in line
    return "Traceback" in str(record.get("exception", ""))


@contextmanager
def serving(
    *paths: Any, folder: Path, wait: str = "ready", program: tuple[str, ...] = SALVER, **settings: Any
) -> Iterator[Server]:
    """A running server on `paths`; keywords are settings. `wait`: for "ready", "announced" or "nothing"."""
    chosen = {"port": 0, "data_dir": folder / "data", "access_log": "off", **settings}
    running = Server(paths, folder, chosen, program)
    try:
        if wait == "ready":
            running.wait_ready()
        elif wait == "announced":
            running.wait_announced()
        yield running
    except BaseException as error:
        error.add_note(running.told())
        running.process.kill()
        running.process.wait()
        raise
    finally:
        running.end()


def flags(settings: dict[str, Any]) -> list[str]:
    """Settings as a user writes them on the command line."""
    words: list[str] = []
    for name, value in settings.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            values = value if isinstance(value, (list, tuple)) else (value,)
            words += [word for each in values for word in (flag, str(each))]
    return words


def plain_environment(mark: str = "") -> dict[str, str]:
    """The environment without settings of the machine that runs the tests; `mark` names the processes of one server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SALVER_")}
    return {**kept, "JOURNEY": mark}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
