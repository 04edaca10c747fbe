"""Runs the commands of a page as a reader would, one block after the other, and compares what they print.

A block of `sh` that begins with `salver serve` is started and left running, on a free port; others run to their end. A
block of `text` behind one is what it must print, but for what differs from start to start.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
USUAL_PORT = ":8080"
READY_WITHIN_S = 30.0
STOPPED_WITHIN_S = 20.0
DIFFERS = (
    (re.compile(r"msk_\S+"), "msk_..."),
    (re.compile(r"data in \S+,"), "data in ~/.salver,"),
    (re.compile(r"Salver \d+(\.\d+)+"), "Salver 0"),
    (re.compile(r'"request_id":"[^"]+"'), '"request_id":"..."'),
    (re.compile(r"(\d\.\d)\d{4,}"), r"\1"),
)
"""What is another at each start or on another machine: keys, folders, releases, ids, the last digits of fractions."""


class Step(NamedTuple):
    """A block of commands, and what they must print; None when the page does not show it."""

    commands: str
    printed: str | None


def steps(text: str) -> list[Step]:
    """The blocks of commands in a page, or a part of one."""
    blocks: list[tuple[str, str]] = BLOCK.findall(text)
    followers = [*blocks[1:], ("", "")]
    return [
        Step(body, follower if kind == "text" else None)
        for (language, body), (kind, follower) in zip(blocks, followers, strict=True)
        if language == "sh"
    ]


def same(text: str) -> str:
    """The text without what differs from start to start, and without the line that names chosen settings."""
    for pattern, word in DIFFERS:
        text = pattern.sub(word, text)
    return "".join(f"{line.rstrip()}\n" for line in text.strip().splitlines() if not line.startswith("settings "))


class Reader:
    """Somebody with a shell in a folder, and at most one server running."""

    def __init__(self, folder: Path, home: Path, **environment: str) -> None:
        self._folder = folder
        self._home = home
        self._given = environment
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._out = home / "server.txt"

    def follow(self, text: str) -> list[tuple[str, str]]:
        """Run every block; what was printed and what should have been, for each block where the page says."""
        compared = []
        try:
            for step in steps(text):
                is_server = step.commands.startswith("salver serve")
                printed = self._serve(step.commands) if is_server else self._run(step.commands)
                if step.printed is not None:
                    compared.append((same(printed), same(step.printed)))
        finally:
            self._stop()
        return compared

    def _run(self, commands: str) -> str:
        done = subprocess.run(
            ["bash", "-e", "-c", commands.replace(USUAL_PORT, f":{self._port}")],
            cwd=self._folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout.replace(f":{self._port}", USUAL_PORT)

    def _serve(self, command: str) -> str:
        with self._out.open("wb") as out, (self._home / "log.txt").open("wb") as log:
            self._server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )
        give_up_at = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            assert self._server.poll() is None, (self._home / "log.txt").read_text()
            assert time.monotonic() < give_up_at, self._out.read_text()
            time.sleep(0.02)
        return self._out.read_text().replace(f":{self._port}", USUAL_PORT)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=5) as answer:
                is_ready: bool = answer.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False
        return is_ready and "# mms" in self._out.read_text()  # the last thing that a start prints

    def _stop(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait(STOPPED_WITHIN_S)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SALVER_")}
        return kept | {
            "HOME": str(self._home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SALVER_PORT": str(self._port),
            "SALVER_DATA_DIR": str(self._home / "data"),
            "SALVER_ACCESS_LOG": "off",
            "NO_COLOR": "1",
            **self._given,
        }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
