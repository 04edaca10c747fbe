"""What a running server tells whoever started it, in the order of its life. The command line turns them into text."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from salver.types import VersionInfo, VersionStatus


class ModelFound(msgspec.Struct, frozen=True, kw_only=True):
    """A version was found at a path given to the server; it is not loaded yet. `label` says what its files are."""

    name: str
    version: int
    runtime: str
    source: str
    environment: str
    label: str = ""
    notes: tuple[str, ...] = ()
    """What the user should know: a name that was changed, a file beside it that is not used."""


class Noted(msgspec.Struct, frozen=True):
    """Something of what was given that is not served, and need not be: the user may have meant otherwise."""

    text: str


class EnvironmentBuilding(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of a version are being installed; `status` says how far that is."""

    status: VersionStatus


class ModelReady(msgspec.Struct, frozen=True, kw_only=True):
    """A version is loaded, warmed and answers."""

    status: VersionStatus
    info: VersionInfo


class ModelFailed(msgspec.Struct, frozen=True, kw_only=True):
    """A version could not go live; `status` has the reason, the fix and the end of its log."""

    status: VersionStatus


class FirstRunKey(msgspec.Struct, frozen=True, kw_only=True):
    """The admin key that the first start on a data directory makes. It is told this once and stored nowhere."""

    key: str


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """One address the server listens on, and the names of the wires that answer there."""

    url: str
    wires: tuple[str, ...]


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """The ports are open. `addresses` starts with the one that answers every wire."""

    addresses: tuple[Address, ...]
    data_dir: str


class Stopping(msgspec.Struct, frozen=True, kw_only=True):
    """The server takes no new work and finishes what it has; `reason` is a clause, such as `SIGTERM was received`."""

    reason: str


class Stopped(msgspec.Struct, frozen=True):
    """The last event."""


ServerEvent: TypeAlias = (
    ModelFound | Noted | EnvironmentBuilding | ModelReady | ModelFailed | FirstRunKey | Listening | Stopping | Stopped
)
