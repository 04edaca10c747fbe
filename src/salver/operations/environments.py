"""Operations about environments: the interpreters with packages that models run in."""

from __future__ import annotations

import msgspec

from salver.operations.base import Home, Operation, Scope
from salver.types import ModelVersion

LIST = Operation(
    name="environments.list",
    summary="List the environments that are built: interpreter, packages, size, and the versions that use them.",
    permission="environments.list",
    scope=Scope.SERVER,
    home=Home.CONTROL,
)
GET = Operation(
    name="environments.get",
    summary="Tell all about one environment, its lock included.",
    permission="environments.list",
    scope=Scope.SERVER,
    home=Home.CONTROL,
)
LOCK = Operation(
    name="environments.lock",
    summary="Resolve requirements to exact versions with hashes; the lock is kept, and those requirements approved.",
    permission="environments.build",
    scope=Scope.SERVER,
    home=Home.CONTROL,
    changes_state=True,
)
BUILD = Operation(
    name="environments.build",
    summary="Build an environment before a model needs it, which approves it for whoever may publish.",
    permission="environments.build",
    scope=Scope.SERVER,
    home=Home.CONTROL,
    changes_state=True,
)
PRUNE = Operation(
    name="environments.prune",
    summary="Remove the environments that no version of a model uses.",
    permission="environments.prune",
    scope=Scope.SERVER,
    home=Home.CONTROL,
    changes_state=True,
)

OPERATIONS = (LIST, GET, LOCK, BUILD, PRUNE)
MAX_LINES = 5000


class Package(msgspec.Struct, frozen=True):
    """One package, in exactly one version."""

    name: str
    version: str


class EnvironmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One environment that is built."""

    id: str
    kind: str
    python: str
    packages: int
    size_bytes: int
    built_at: float
    build_s: float
    lock_digest: str
    used_by: tuple[ModelVersion, ...] = ()
    """Versions that run in it, or would if they were loaded."""


class EnvironmentDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One environment, and what is in it."""

    row: EnvironmentRow
    interpreter: str
    packages: tuple[Package, ...]
    lock: str


class ListEnvironments(msgspec.Struct, frozen=True):
    """Parameters of `environments.list`. Its result is a tuple of EnvironmentRow, the oldest first."""


class GetEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `environments.get`. Its result is an EnvironmentDetail. Errors: INVALID_INPUT."""

    id: str
    """Its beginning is enough where only one begins so."""


class WantedEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be locked or built, as a model would ask for it."""

    kind: str = "python"
    """Of R only a lock is asked for, which is a renv.lock, with or without hashes."""
    python: str = ""
    """A version, a range of them, or empty for the server's own."""
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    lock: str = ""
    """A lock, instead of requirements."""


class LockEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `environments.lock`; its result is a LockedEnvironment. Errors: INVALID_INPUT, and
    ENVIRONMENT_BROKEN when they cannot be resolved.
    """

    wanted: WantedEnvironment


class LockedEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """A lock: text without addresses, the same for everybody who asks for the same."""

    lock: str
    digest: str
    packages: tuple[Package, ...]


class BuildEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `environments.build`. Its result is a BuiltEnvironment. Errors as of `environments.lock`."""

    wanted: WantedEnvironment
    is_plan: bool = False


class BuiltEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or would be."""

    is_plan: bool
    steps: tuple[str, ...]
    environment: EnvironmentRow | None = None
    """None: it is not built."""


class PruneEnvironments(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `environments.prune`. Its result is a PrunedEnvironments."""

    is_plan: bool = False


class PrunedEnvironments(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be, and what stays."""

    is_plan: bool
    removed: tuple[EnvironmentRow, ...]
    kept: tuple[EnvironmentRow, ...]
    size_bytes: int
    """Of the files that were removed; those shared with other environments stay on the disk."""
