"""What a package is to whoever made it, and what goes into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from salver_client.changes import How
from salver_client.errors import SalverClientError

if TYPE_CHECKING:
    from salver_client.client import Client
    from salver_client.results import Outcome

FAILED = "PACKAGING_FAILED"


def failed(message: str, fix: str) -> SalverClientError:
    """Why there is no package."""
    return SalverClientError(FAILED, message, fix=fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package on this machine. `digest` is its address: the same for the same content, wherever it was made.

    `signature` is None, and `is_proved` False, when it was not run here: a server does that before it goes live.
    """

    path: Path
    name: str
    digest: str
    is_locked: bool
    is_proved: bool
    requirements: tuple[str, ...] = ()
    signature: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()

    def push(
        self,
        to: Client | str | None = None,
        *,
        key: str | None = None,
        version: int | None = None,
        promote: bool = False,
        how: How | None = None,
    ) -> Outcome:
        """Publish it to a client's server, or to the one at an address; without one to this machine's."""
        from salver_client.client import DEFAULT_URL, Client

        how = how or How()
        if isinstance(to, Client):
            return to.push(self, version=version, promote=promote, how=how)
        with Client(to or DEFAULT_URL, key) as client:
            return client.push(self, version=version, promote=promote, how=how)


def pushed(what: str | Path | Package, model: str | None) -> tuple[str | Path, str]:
    """The file or folder to publish, and the model's name. Raises SalverClientError when nobody says it."""
    if isinstance(what, Package):
        return what.path, model or what.name
    if model is None:
        raise SalverClientError(
            "INVALID_INPUT", f"Nobody says what the model of {what} is called.", fix="Give `model`."
        )
    return what, model


@dataclass(slots=True)
class Draft:
    """A package in the making: its files lie in `folder`; `modules` are what must be importable where it runs.

    `options` is what the runtime is told, `inputs` the names of the model's inputs, as far as they are known.
    """

    folder: Path
    name: str
    artifact: str | None = None
    handler: str | None = None
    modules: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[str] = ()
