"""The settings of what the server tells about itself."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Logs. Metrics need no setting."""

    access_log: str = "-"
    """One JSON line per request: `-` to standard error, a file's path, or `off`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least grave event that is logged: debug, info, warning, error."""


class Named(Protocol):
    @property
    def name(self) -> str: ...


class Identified(Protocol):
    @property
    def id(self) -> str: ...


class CallLabels(Protocol):
    """What many calls have in common. The values of ``operations/base.py: Call`` fit."""

    @property
    def operation(self) -> Named: ...
    @property
    def principal(self) -> Identified: ...

    model: str
    version: int
    wire: str
    peer: str


class CallFacts(Protocol):
    """What each call has of its own."""

    @property
    def model(self) -> str:
        """The name that was asked for."""

    @property
    def version(self) -> int:
        """0 when none was found."""

    request_id: str
    started_at: float
    queued_at: float
    """0.0 for what waits in no queue."""
    queued_s: float
    rows: int
