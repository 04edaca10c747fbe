"""What an environment is, what is asked of one, the seams behind which they are built and kept, and the settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Literal, Protocol, TypeAlias

import msgspec

from salver.errors import Code, LoadError

PYTHON = "python"
"""The one kind of environment that is built today: an interpreter, with packages of the Python index beside it. Another
kind, R with its libraries, brings a resolver and an installer of its own; requests, locks, shelf, operations stay."""

Tell: TypeAlias = Callable[[str], None]
"""Hears how far a build is, as a clause such as `installing 12 packages`."""


class EnvironmentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Environments: the interpreters and the packages that models run with."""

    build_environments: bool = True
    """Build environments that models need; without it only those that are built already are used."""
    always_build_environments: bool = False
    """Build an environment also where the server's own packages satisfy what a model asks for."""
    infer_environments: Literal["missing", "different", "never"] = "missing"
    """When a model that asks for no packages gets an environment of its own: when the server lacks its library; also
    when the server's is of a different series than the one that saved it; or never."""
    interpreters: tuple[str, ...] = ()
    """Paths of interpreters that models may ask for by version; those named pythonX.Y on the PATH are known as well."""
    r_interpreters: tuple[str, ...] = ()
    """Each Rscript that models of R may run in: the first of the series that renv.lock names; unset: the PATH's."""
    r_libraries: tuple[str, ...] = ()
    """Folders of R packages that models of R find before those of R's own library."""
    environments_dir: str = ""
    """Folder of the environments and of what was downloaded for them; unset: `environments` in the data directory."""
    wheels_dir: str = ""
    """Folder of wheels that are used besides those of the package index."""
    offline: bool = False
    """Ask no package index: only `wheels_dir`, and what was downloaded before."""
    package_index: str = ""
    """Address of the package index; unset: as uv and pip are set up on this machine."""
    extra_package_indexes: tuple[str, ...] = ()
    """Further package indexes, asked before that one."""
    allow_source_packages: bool = False
    """Also install packages that come as source; building them runs code of theirs as the server's user."""
    build_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 1800.0
    """Longest time that resolving and installing the packages of one environment may take together."""
    builds_at_once: Annotated[int, msgspec.Meta(ge=1)] = 2
    """How many environments are built at the same time; others wait."""
    environments_max_gb: Annotated[int, msgspec.Meta(ge=0)] = 64
    """Most that the folder of environments may hold, in units of 1024 x 1024 x 1024 bytes; 0 sets no bound."""
    environments_min_free_mb: Annotated[int, msgspec.Meta(ge=0)] = 512
    """What must stay free on its disk, in MiB; a build that would take it is ended."""


class EnvironmentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a version wants to run in. Two that want the same get the same lock."""

    kind: str = PYTHON
    python: str = ""
    """A version (`3.8`), a range (`>=3.9,<3.12`), a path or a command; empty: the server's own."""
    requirements: tuple[str, ...] = ()
    """As PEP 508 has them, each once, in order."""
    constraints: tuple[str, ...] = ()
    lock: str = ""
    """The text of a lock that came with the version; then nothing is resolved."""
    origin: str = ""
    """Where it was read, for people."""
    is_inferred: bool = False
    """Whether nobody asked for it: it was read from the artefact."""

    @property
    def digest(self) -> str:
        """SHA-256 of what counts."""
        parts = [self.kind, self.python, *self.requirements, "", *self.constraints, "", self.lock]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def label(self) -> str:
        """For people: `numpy, six (requirements.txt), Python 3.8`."""
        names = ", ".join(self.requirements[:4]) or "a given lock"
        more = f" and {len(self.requirements) - 4} more" if len(self.requirements) > 4 else ""
        python = f", Python {self.python}" if self.python else ""
        return f"{names}{more} ({self.origin}){python}" if self.origin else f"{names}{more}{python}"


class Pin(msgspec.Struct, frozen=True):
    """One package of a lock."""

    name: str
    version: str
    marker: str = ""
    """Where it is installed, as PEP 508 has it; empty: everywhere."""


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """Exact versions with hashes and no address, in the form of a requirements file."""

    text: str
    pins: tuple[Pin, ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python that is there: the real one, neither a virtual environment nor a launcher."""

    path: str
    version: str
    """All of it, `3.8.18`."""
    platform: str
    """Implementation and machine: what wheels depend on besides the version."""

    @property
    def series(self) -> str:
        return ".".join(self.version.split(".")[:2])

    @property
    def identity(self) -> str:
        return f"{self.path} {self.version} {self.platform}"


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """One environment that is built and whole."""

    id: str
    """Of its lock and its interpreter: equal for all versions that want the same."""
    kind: str = PYTHON
    python: str
    """The version of its interpreter."""
    interpreter: str
    lock_digest: str
    packages: tuple[Pin, ...]
    size_bytes: int
    """Of its files; those that it shares with other environments lie on the disk once."""
    built_at: float
    build_s: float


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A version's environment, ready to start workers in."""

    python: str
    """The path of the interpreter to start."""
    environment: Environment

    @property
    def label(self) -> str:
        built = self.environment
        return f"Python {built.python}, {counted(len(built.packages), 'package')}, environment {built.id[:12]}"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


class BuildFailed(LoadError):
    """Why an environment could not be built; `lines` are the last words of whoever tried."""

    def __init__(self, message: str, *, fix: str | None = None, lines: tuple[str, ...] = ()) -> None:
        super().__init__(Code.ENVIRONMENT_BROKEN, message, fix=fix)
        self.lines = lines


class Environments(Protocol):
    """Where versions get their environments from."""

    async def prepare(self, request: EnvironmentRequest, tell: Tell) -> Prepared:
        """The environment, built if need be. Raises BuildFailed. Whoever stops waiting ends a build that nobody else
        waits for."""

    async def stop(self) -> None:
        """End what is being built."""


class LockBook(Protocol):
    """Keeps locks for ever, by the digest of what was asked for. Blocks for the disk."""

    def lock(self, request_digest: str) -> str | None: ...

    def keep(self, request_digest: str, text: str) -> str:
        """Keep a lock, unless there is one already; returns the one that is kept."""
