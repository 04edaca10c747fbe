"""The original archivers and servers, each in an environment of its own that is made for the tests."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

INSTALL_S = 900.0
RUN_S = 120.0
START_S = 120.0


class Ran(NamedTuple):
    """What one run of a command gave."""

    code: int
    told: str


class Sandbox:
    """The only way to run an original program.

    TorchServe's archivers begin by deleting `<temporary folder>/<name of the model>`, whatever that is, so each program
    gets a temporary folder and a home that are this test's own, and no other variables.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._temporary = folder / "temporary"
        self._temporary.mkdir(parents=True)

    def variables(self, commands: Path | None = None) -> dict[str, str]:
        path = os.environ["PATH"] if commands is None else f"{commands}:{os.environ['PATH']}"
        kept = {name: os.environ[name] for name in ("LANG", "JAVA_HOME") if name in os.environ}
        own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._temporary))
        logs = dict.fromkeys(("LOG_LOCATION", "METRICS_LOCATION"), str(self._folder / "logs"))
        return {**kept, **own, **logs, "PATH": path, "HOME": str(self._folder)}

    def run(self, folder: Path, *command: str) -> Ran:
        """The command in the folder, which is made where it is not there."""
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            command,
            cwd=folder,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_S,
        )
        return Ran(done.returncode, done.stderr)

    def made(self, folder: Path, *command: str) -> Path:
        """The folder after the command has done its work in it."""
        ran = self.run(folder, *command)
        assert ran.code == 0, ran.told
        return folder

    @contextmanager
    def server(self, command: Path, store: Path, *line: str) -> Iterator[str]:
        """The real server in the foreground; gives the address of its predictions."""
        is_torchserve = command.name == "torchserve"
        ports = free_ports(5)
        properties = self._folder / "config.properties"
        properties.write_text(_config(ports, store, is_torchserve=is_torchserve))
        option = ("--ts-config", str(properties), "--ncs") if is_torchserve else ("--mms-config", str(properties))
        with (self._folder / "server.txt").open("wb") as output:
            process = subprocess.Popen(
                [str(command), "--foreground", *option, "--model-store", str(store), *line],
                cwd=self._folder,
                env=self.variables(command.parent),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield f"http://127.0.0.1:{ports[0]}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def told(self) -> str:
        return (self._folder / "server.txt").read_text("utf-8", "replace")[-3000:]


def _config(ports: list[int], store: Path, *, is_torchserve: bool) -> str:
    values: dict[str, Any] = {
        "inference_address": f"http://127.0.0.1:{ports[0]}",
        "management_address": f"http://127.0.0.1:{ports[1]}",
        "model_store": store,
        "default_workers_per_model": 1,
    }
    if is_torchserve:
        values |= {
            "metrics_address": f"http://127.0.0.1:{ports[2]}",
            "grpc_inference_port": ports[3],
            "grpc_management_port": ports[4],
            "disable_token_authorization": "true",
        }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def installed(folder: Path, *packages: str) -> Path:
    """The folder of the commands that come with the packages. Skips, loudly, where they cannot be installed."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    python = folder / "bin" / "python"
    try:
        for command in (
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *packages, "setuptools<81"],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or b""
        pytest.skip(f"NOT INSTALLED: {' '.join(packages)}: {error} {told[-300:]!r}")
    return folder / "bin"


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at the moment, all different; MMS takes none above 32767."""
    with contextlib.ExitStack() as stack:
        free: list[int] = []
        while len(free) < count:
            with contextlib.suppress(OSError):
                port = random.randrange(15_000, 32_000)
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                free.append(port)
        return free


def members(archive: Path) -> dict[str, bytes]:
    """Every file of an archive or a folder, by its name there."""
    if archive.is_dir():
        return {str(path.relative_to(archive)): path.read_bytes() for path in archive.rglob("*") if path.is_file()}
    if archive.name.endswith(".tar.gz"):
        with tarfile.open(archive) as tar:
            opened = {entry.name: tar.extractfile(entry) for entry in tar if entry.isfile()}
            return {name: file.read() for name, file in opened.items() if file is not None}
    with zipfile.ZipFile(archive) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def compressions(archive: Path) -> set[int]:
    with zipfile.ZipFile(archive) as packed:
        return {entry.compress_type for entry in packed.infolist()}


def comparable(archive: Path) -> dict[str, Any]:
    """The members, manifests as what they say; the moment of packing is no part of it."""
    found: dict[str, Any] = dict(members(archive))
    for name in [name for name in found if name.endswith("MANIFEST.json")]:
        manifest = json.loads(found[name])
        assert manifest.pop("createdOn", "01/01/2026 00:00:00").count("/") == 2
        found[name] = manifest
    return found


def answer_of(url: str, model: str, body: bytes, sandbox: Sandbox) -> requests.Response:
    """The first answer that is no error, once the server and the model's worker are there; the last one otherwise."""
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(requests.ConnectionError):
            answer = requests.post(f"{url}/predictions/{model}", body, timeout=30)
            if answer.status_code == 200 or time.monotonic() > deadline:
                return answer
        assert time.monotonic() < deadline, sandbox.told()
        time.sleep(0.2)
