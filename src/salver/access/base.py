"""The settings of who may do what, and what a door must tell about a caller."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec


class AccessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call without a key."""

    anonymous: Literal["loopback", "all", "none"] = "loopback"
    """Who may predict and read models without a key: loopback (only callers on this machine), all, none."""


class Caller(Protocol):
    """What a door knows of who asks. The values of ``operations/base.py: Credentials`` fit."""

    @property
    def token(self) -> str | None:
        """The key as it was sent; None when none was."""

    @property
    def peer(self) -> str:
        """The address of the other end, for logs."""

    @property
    def is_loopback(self) -> bool: ...

    @property
    def local_uid(self) -> int | None:
        """The user id at the other end of the server's own Unix socket; None at every other door."""
