"""How a command reaches a running server: the address it is given, or what the data directory says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from salver.cli.failure import CommandFailed
from salver.cli.options import resolution, setting_options
from salver.store.directory import DataDirectory, RunningServer

if TYPE_CHECKING:
    from salver_client import Client

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

CONNECTION_FAILED = "CONNECTION_FAILED"


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is, and the key to call it with. A Unix socket makes this user admin without a key."""

    url: str | None
    socket: str | None
    key: str | None


def server_options(function: Decorated) -> Decorated:
    """Adds `--url`, `--key`, `--data-dir` and `--config`."""
    return _door_options(setting_options("data_dir")(function))


def server_or_state_options(function: Decorated) -> Decorated:
    """Adds `--state-url` too, for a command that works without a server."""
    return _door_options(setting_options("data_dir", "state_url")(function))


def _door_options(function: Decorated) -> Decorated:
    url = click.option("--url", envvar="SALVER_URL", help="Address of the server [found in the data directory].")
    key = click.option("--key", envvar="SALVER_KEY", help="API key [none; this machine's own server may need none].")
    return url(key(function))


@contextmanager
def connected(context: click.Context, url: str | None, key: str | None) -> Iterator[Client]:
    """A client of the server. What it raises comes out as CommandFailed."""
    from salver_client import Client, SalverClientError

    door = find_door(url, key, data_directory(context))
    with Client(door.url, key=door.key) if door.url else Client(socket_path=door.socket, key=door.key) as client:
        try:
            yield client
        except SalverClientError as error:
            if error.code == CONNECTION_FAILED:
                raise _unreachable(door, error.message) from error
            raise CommandFailed(error.message, error.fix) from error


def data_directory(context: click.Context) -> DataDirectory:
    return DataDirectory(resolution(context).settings.processes.data_dir)


def state_location(context: click.Context) -> str | Path:
    """Where the state is kept: the database that the settings name, or the data directory's own file."""
    processes = resolution(context).settings.processes
    return processes.state_url or DataDirectory(processes.data_dir).state


def find_door(url: str | None, key: str | None, directory: DataDirectory) -> Door:
    """The given address, else the running server's. Raises CommandFailed when no server is known."""
    if url:
        return Door(url=url, socket=None, key=key)
    server = running_server(directory)
    if server is None:
        raise CommandFailed(
            f"No server runs on the data directory {directory.path}.",
            "Start one with `salver serve PATH`, or say where it is with --url or --data-dir.",
        )
    if server.socket and key is None and os.access(server.socket, os.W_OK):
        return Door(url=None, socket=server.socket, key=None)
    return Door(url=server.urls[0], socket=None, key=key)


def running_server(directory: DataDirectory) -> RunningServer | None:
    """The server that announced itself in the directory, unless its process is gone."""
    server = directory.running_server()
    return server if server is not None and Path(f"/proc/{server.pid}").exists() else None


def _unreachable(door: Door, message: str) -> CommandFailed:
    if door.url:
        return CommandFailed(message, "Check the address, and that the server runs: `salver doctor` looks for it.")
    return CommandFailed(
        f"Nobody answers at {door.socket}.", "Wait until the server is up, or start it anew with `salver serve PATH`."
    )
