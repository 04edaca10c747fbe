"""What `salver doctor` looks at: each check gives findings and changes nothing that stays."""

from __future__ import annotations

import enum
import importlib.metadata
import importlib.util
import os
import platform
import resource
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

import salver
from salver.cli.version import version_text
from salver.errors import SalverError
from salver.net.base import NetSettings
from salver.net.holders import holder_of
from salver.processes.base import ProcessSettings
from salver.replicas.environments.programs import has_landlock
from salver.settings import Settings
from salver.store.directory import DataDirectory
from salver_worker.runtimes.specs import SPECS

FREE_ENOUGH = 1024**3
FREE_AT_ALL = 100 * 1024**2
FILES_BESIDE_CONNECTIONS = 200
"""Open files that the server needs for anything but connections: logs, database, workers."""


class State(enum.Enum):
    """How bad a finding is: only what is WRONG keeps a server from working."""

    FINE = "ok"
    NOTE = "note"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True):
    """What one check found, in plain words, and what mends it."""

    subject: str
    state: State
    message: str
    fix: str = ""


def run_checks(settings: Settings) -> Iterator[Finding]:
    """Every check, in the order in which a start would meet its subject."""
    from salver.cli.workercheck import check_worker

    yield check_python()
    yield from check_optional_packages()
    yield from check_data_directory(settings.processes)
    yield from check_state(settings.processes.state_url)
    yield from check_ports(settings.net)
    yield check_open_files(settings.net)
    yield check_clock(time.time(), Path(salver.__file__).stat().st_mtime)
    yield check_cage(has_landlock())
    yield check_worker()


def check_cage(is_there: bool) -> Finding:
    """Whether installers of packages can be kept from other files."""
    if is_there:
        return Finding("cage", State.FINE, "installers of packages have no files but those they need (Landlock)")
    fix = "Use Linux 5.13 or later with Landlock switched on, or build environments elsewhere."
    return Finding("cage", State.NOTE, "installers of packages can read what the server can: no Landlock", fix)


def check_python() -> Finding:
    is_64_bit = sys.maxsize > 2**32
    return Finding(
        "python",
        State.FINE if is_64_bit else State.WRONG,
        f"Salver {version_text()} on Python {platform.python_version()} "
        f"({platform.system()} {platform.machine()}) at {sys.executable}",
        "" if is_64_bit else "Use a 64-bit Python: the numerical libraries have no other builds.",
    )


EXTRAS = ("onnx", "sklearn")
"""The runtimes whose libraries `pip` can install with the server; all others come with the models' environments."""


def check_optional_packages(is_installed: Callable[[str], bool] | None = None) -> Iterator[Finding]:
    """The libraries that runtimes need, by runtime."""
    is_installed = is_installed or _is_installed
    for spec in SPECS:
        missing = [name for name in spec.requirements if not is_installed(name)]
        if missing and spec.name not in EXTRAS:
            text = f"{', '.join(missing)} not installed: a model of {spec.label} gets an environment of its own"
            yield Finding("library", State.FINE, text)
        elif missing:
            yield Finding(
                "library",
                State.NOTE,
                f"{', '.join(missing)} not installed: this interpreter cannot run {spec.label}",
                _how_to_get(spec.name),
            )
        elif spec.requirements:
            versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in spec.requirements)
            yield Finding("library", State.FINE, f"{versions} for {spec.label}")


def _how_to_get(runtime: str) -> str:
    if runtime in (importlib.metadata.metadata("salver").get_all("Provides-Extra") or ()):
        return f"Run `pip install 'salver[{runtime}]'`, or name another interpreter in the model's model.toml."
    return "An environment with it is built for a model that needs it, unless `build_environments` is off."


def check_data_directory(settings: ProcessSettings) -> Iterator[Finding]:
    """Who uses it, whether it can be written, and the space there. It is not made when it does not exist."""
    directory = DataDirectory(settings.data_dir)
    existing = next(path for path in (directory.path, *directory.path.parents) if path.exists())
    if directory.path.exists():
        yield _usable(directory)
    elif os.access(existing, os.W_OK | os.X_OK):
        yield Finding("data directory", State.FINE, f"{directory.path} will be made at the first start")
    else:
        yield Finding(
            "data directory",
            State.WRONG,
            f"{directory.path} cannot be made: {existing} may not be written to",
            "Choose another folder with --data-dir.",
        )
    yield check_space(existing, shutil.disk_usage(existing).free)


def check_space(path: Path, free: int) -> Finding:
    """Whether there is room for the state and the logs."""
    text = f"{free / 1024**3:.1f} GiB free at {path}"
    if free >= FREE_ENOUGH:
        return Finding("disk space", State.FINE, text)
    state = State.NOTE if free >= FREE_AT_ALL else State.WRONG
    return Finding("disk space", state, text, "Free some space, or choose a folder on another disk with --data-dir.")


def check_state(url: str) -> Iterator[Finding]:
    """Whether the database that keeps the state can be reached; nothing to say of the data directory's own."""
    if not url:
        return
    from salver.store.backup import has_state
    from salver.store.databases import database_at

    try:
        database = database_at(url)
        is_new = not has_state(database)
    except SalverError as error:
        yield Finding("state", State.WRONG, error.message, error.fix)
    else:
        later = "; its tables will be made at the first start" if is_new else ""
        yield Finding("state", State.FINE, f"{database.name} can be reached{later}")


def check_ports(settings: NetSettings) -> Iterator[Finding]:
    """Whether each port the server would open is free, or who has it."""
    from salver.processes.doors import flag_of, wanted_doors

    for door in wanted_doors(settings):
        if not door.path:
            yield check_port(door.host, door.port, flag_of(settings, door))


def check_port(host: str, port: int, flag: str) -> Finding:
    if port == 0:
        return Finding("port", State.FINE, "the system will choose a free one")
    try:
        _try_port(host, port)
    except OSError as error:
        holder = holder_of(port)
        reason = f"is taken by {holder}" if holder else f"cannot be opened: {error.strerror or error}"
        fix = "Stop that program" if holder else "Choose another address with --host"
        return Finding("port", State.WRONG, f"{host}:{port} {reason}", f"{fix}, or change {flag}.")
    return Finding("port", State.FINE, f"{host}:{port} is free")


def check_open_files(settings: NetSettings) -> Finding:
    """Whether this user may open as many files as connections are allowed."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY or allowed >= settings.max_connections + FILES_BESIDE_CONNECTIONS:
        return Finding("open files", State.FINE, f"{'no limit' if allowed < 0 else allowed} for this user")
    return Finding(
        "open files",
        State.NOTE,
        f"this user may open {allowed} files, less than the {settings.max_connections} connections that are allowed",
        f"Run `ulimit -n {settings.max_connections + FILES_BESIDE_CONNECTIONS}` first, or lower --max-connections.",
    )


def check_clock(now: float, installed_at: float) -> Finding:
    """Keys expire by the wall clock, and the audit log has its times."""
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now >= installed_at - 86_400:
        return Finding("clock", State.FINE, text)
    return Finding(
        "clock",
        State.WRONG,
        f"it says {text}, and Salver was installed after that",
        "Set the clock, for example with NTP; the expiry of keys depends on it.",
    )


def _usable(directory: DataDirectory) -> Finding:
    try:
        directory.prepare()
    except SalverError as error:
        return Finding("data directory", State.WRONG, error.message, error.fix)
    from salver.cli.connection import running_server

    server = running_server(directory)
    if server is not None:
        where = f"process {server.pid} at {', '.join(server.urls)}"
        return Finding("data directory", State.NOTE, f"{directory.path} is in use by a running server, {where}")
    return Finding("data directory", State.FINE, f"{directory.path} can be used")


def _try_port(host: str, port: int) -> None:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
