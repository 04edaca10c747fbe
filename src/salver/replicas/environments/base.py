"""What an environment is, what is asked of one, the seams behind which they are built and kept, and the settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Protocol, TypeAlias

import msgspec

from salver.errors import Code, LoadError

PYTHON = "python"
"""An interpreter, with packages of the Python index beside it."""
R = "r"
"""A library of R packages, beside those that R has."""
LANGUAGES = {PYTHON: "Python", R: "R"}
"""The kinds of environments, as people call what runs in them."""

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
    r_repositories: tuple[str, ...] = ()
    """Addresses, https:// or file://, that are asked in order for packages of a renv.lock; unset: none is installed."""
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
    install_cage: Literal["where_possible", "required", "off"] = "where_possible"
    """Keep all files from installers that they do not need, by Landlock of Linux 5.13 and later: where the kernel can,
    always (nothing is installed where it cannot), or not at all."""
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
    """A version (`3.8`), a range (`>=3.9,<3.12`), a path or a command; empty: the server's own. Of R its version."""
    requirements: tuple[str, ...] = ()
    """As PEP 508 has them, each once, in order."""
    constraints: tuple[str, ...] = ()
    lock: str = ""
    """The text of a lock that came with the version; then nothing is resolved. Of R the renv.lock, also where it says
    the versions alone."""
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
        python = f", {LANGUAGES.get(self.kind, self.kind)} {self.python}" if self.python else ""
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
    """A Python that is there: the real one, neither a virtual environment nor a launcher. Or an Rscript."""

    path: str
    version: str
    """All of it, `3.8.18`."""
    platform: str
    """Implementation and machine: what packages depend on besides the version."""

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
    """The version of its interpreter: Python's, or R's."""
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
    """The path of the interpreter to start; empty: the version's own."""
    variables: dict[str, str] = {}
    """With which it is started, over those of the version."""
    environment: Environment | None
    """None: nothing had to be installed."""
    label: str
    """For people."""


def label_of(environment: Environment) -> str:
    packages = counted(len(environment.packages), "package")
    return f"{LANGUAGES[environment.kind]} {environment.python}, {packages}, environment {environment.id[:12]}"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


class BuildFailed(LoadError):
    """Why an environment could not be built; `lines` are the last words of whoever tried."""

    def __init__(self, message: str, *, fix: str | None = None, lines: tuple[str, ...] = ()) -> None:
        super().__init__(Code.ENVIRONMENT_BROKEN, message, fix=fix)
        self.lines = lines


class EnvironmentKind(Protocol):
    """How environments of one kind are resolved and installed. What fails raises BuildFailed or LoadError."""

    language: str
    """For people: `Python`."""

    async def find(self, request: EnvironmentRequest) -> Interpreter:
        """What the environment is to be for."""

    def read(self, text: str, origin: str) -> Lock:
        """A lock of its text."""

    async def known(self, request: EnvironmentRequest, kept: Lock | None, interpreter: Interpreter) -> Lock | None:
        """The lock, where nothing has to be resolved for it; `kept` is the one of an earlier time."""

    async def resolve(
        self, request: EnvironmentRequest, kept: Lock | None, interpreter: Interpreter, folder: Path, tell: Tell
    ) -> Lock: ...

    def pins(self, lock: Lock, interpreter: Interpreter) -> tuple[Pin, ...]:
        """Those that are installed."""

    async def install(self, lock: Lock, interpreter: Interpreter, folder: Path, tell: Tell) -> Path:
        """The environment, made inside `folder`."""

    def start_in(self, place: Path | None, interpreter: Interpreter) -> tuple[str, dict[str, str]]:
        """The interpreter to start in an environment that lies in this folder, or where there is none, and variables;
        an empty one is the version's own."""

    async def finish(self, place: Path) -> None:
        """What can be done when the environment is in use already."""

    async def forget(self, packages: Iterable[str], folder: Path) -> None:
        """Remove what was downloaded of these packages; environments keep their files."""


Kinds: TypeAlias = Mapping[str, EnvironmentKind]
"""By the kind of a request."""


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

    def replace(self, request_digest: str, text: str) -> None:
        """Keep a lock instead of the one that is kept."""
