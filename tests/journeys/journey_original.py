"""A server started with the command line of the one that it stands in for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from journey_server import STOP_S, Server, plain_environment

SALVER = (sys.executable, "-m", "salver")


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


class OriginalServer(Server):
    """As any server, but for its command line; `data_dir` is given by its variable."""

    def __init__(self, line: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.data = folder / "data"
        self._mark = uuid.uuid4().hex
        self._out = folder / f"out-{self._mark[:6]}.txt"
        self._err = folder / f"err-{self._mark[:6]}.txt"
        surroundings = {
            "SALVER_HOST": "127.0.0.1",
            "SALVER_DATA_DIR": str(self.data),
            "SALVER_QUIET_S": "0",
            "SALVER_ACCESS_LOG": "off",
        }
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                line,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**plain_environment(self._mark), **surroundings, **environment},
                start_new_session=True,
            )


@contextmanager
def original(
    *arguments: str,
    folder: Path,
    command: str = "tensorflow-model-server",
    line: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[OriginalServer]:
    """The server that a command line starts, once it has announced itself."""
    running = OriginalServer(line or (*SALVER, command, *arguments), folder, environment or {})
    try:
        running.wait_announced()
        yield running
    except BaseException as error:
        error.add_note(running.told())
        if running.process.poll() is None:
            os.kill(running.pid, signal.SIGKILL)
            running.process.wait(STOP_S)
        raise
    finally:
        running.end()


def refused(
    *arguments: str,
    folder: Path,
    command: str = "tensorflow-model-server",
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """The status and the words of a command that cannot start."""
    surroundings = {"SALVER_HOST": "127.0.0.1", "SALVER_DATA_DIR": str(folder / "data"), **(environment or {})}
    surroundings = {name: value for name, value in surroundings.items() if value}
    done = subprocess.run(
        [*SALVER, command, *arguments],
        cwd=folder,
        env={**plain_environment(), **surroundings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr
