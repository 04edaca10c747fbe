"""A model in versions at a real server: written, published by the client, and asked under load."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from journey_load import Load, steady_load
from journey_models import SEVEN, write_model
from journey_server import Server, eventually, serving

from salver_client import Client, How, Outcome

MODEL = "seven"
SLOW = "sleep 0.05"
LONG = How(wait_s=60)
AT_ONCE = How(wait_s=0)


class Toml(str):
    """A value as model.toml has it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def write_version(folder: Path, version: int, *, head: str = "", name: str = MODEL, **manifest: Any) -> Path:
    """A model that says its version in each answer; `head` is run when it is loaded."""
    code = SEVEN.replace("    pid: int\n", "    pid: int\n    version: int\n")
    code = head + code.replace("os.getpid())\n", f"os.getpid(), {version})\n")
    return write_model(folder, code, name=name, **manifest)


class Versions:
    """A server, the client that changes its models, and the versions that can be pushed."""

    def __init__(self, server: Server, client: Client, folder: Path) -> None:
        self.server = server
        self.client = client
        self._folder = folder

    def write(self, version: int, *, name: str = MODEL, **more: Any) -> Path:
        return write_version(self._folder / f"{name}-{version}-{len(more)}", version, name=name, **more)

    def push(self, version: int, *, name: str = MODEL, promote: bool = False, how: How = LONG, **more: Any) -> Outcome:
        path = self.write(version, name=name, **more)
        return self.client.push(path, name, version=version, promote=promote, how=how)

    def states(self, name: str = MODEL) -> dict[int, str]:
        """Of the versions that live, or should."""
        return {each.version: each.state for each in self.client.model(name).versions}

    def wait_for(self, states: dict[int, str], name: str = MODEL) -> float:
        """The time when the versions were in these states, and there was no other."""
        eventually(lambda: self.states(name) == states, 30.0, f"{name} is {states}, not {self.states(name)}")
        return time.monotonic()


@contextlib.contextmanager
def versions(folder: Path, *paths: Any, **settings: Any) -> Iterator[Versions]:
    """A server that knows no model but those on `paths`."""
    with (
        serving(*paths, folder=folder, **settings) as server,
        Client(socket_path=str(server.data / "server.sock"), timeout=120) as client,
    ):
        yield Versions(server, client, folder)


@contextlib.contextmanager
def loads(server: Server, model: str = MODEL) -> Iterator[tuple[Load, Load]]:
    """Quick requests over all protocols, and some that are in flight for a while."""
    with (
        steady_load(server.url, model, clients=4) as quick,
        steady_load(server.url, model, clients=1, act=SLOW) as slow,
    ):
        yield quick, slow


def nothing_was_lost(*loads: Load) -> int:
    """How many requests there were: all of them answered, and rightly."""
    kinds: Counter[str] = sum((load.kinds() for load in loads), Counter())
    assert set(kinds) == {"right"}, kinds
    return kinds.total()


def answered(load: Load, count: int, within_s: float = 60.0) -> None:
    """Returns when so many more requests have their answers."""
    before = len(load.outcomes)
    eventually(lambda: len(load.outcomes) >= before + count, within_s, "requests are answered")


def state_changes(server: Server) -> list[tuple[str, str, str]]:
    """Every change of a version's state that the server logged: of what, from, to."""
    found = []
    for line in server.logs.splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if record.get("event") == "version_state":
                found.append((record["version"], record["from"], record["to"]))
    return found
