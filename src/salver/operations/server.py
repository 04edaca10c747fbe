"""Operations about the server itself."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from salver.operations.base import Home, Operation, Scope

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")

LIVE = Operation(
    name="server.live", summary="Whether the server runs at all.", permission=None, scope=Scope.SERVER, home=Home.FRONT
)
READY = Operation(
    name="server.ready",
    summary="Whether every wanted model has a live, warmed replica and the server is not stopping.",
    permission=None,
    scope=Scope.SERVER,
    home=Home.FRONT,
)
DESCRIBE = Operation(
    name="server.describe",
    summary="The addresses and protocols that this port answers.",
    permission=None,
    scope=Scope.SERVER,
    home=Home.FRONT,
)
METRICS = Operation(
    name="server.metrics",
    summary="Counters and gauges in the Prometheus text format.",
    permission="metrics.read",
    scope=Scope.SERVER,
    home=Home.CONTROL,
)
LOGGING = Operation(
    name="server.logging",
    summary="The least grave event that is logged.",
    permission="metrics.read",
    scope=Scope.SERVER,
    home=Home.FRONT,
)
SET_LOGGING = Operation(
    name="server.set_logging",
    summary="Choose the least grave event that is logged, until the server ends.",
    permission="server.configure",
    scope=Scope.SERVER,
    home=Home.CONTROL,
    changes_state=True,
)

COUNTS = Operation(
    name="server.counts",
    summary="What was counted, as numbers, for protocols whose dashboards have names of their own for them.",
    permission="metrics.read",
    scope=Scope.SERVER,
    home=Home.CONTROL,
)

OPERATIONS = (LIVE, READY, DESCRIBE, METRICS, COUNTS, LOGGING, SET_LOGGING)


class GetHealth(msgspec.Struct, frozen=True):
    """Parameters of `server.live` and `server.ready`. The result is a HealthReport."""


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """`reasons` has one line for each thing that keeps the server from being ready. Counts are of replicas."""

    is_live: bool
    is_ready: bool
    reasons: tuple[str, ...] = ()
    replicas_ready: int = 0
    replicas_wanted: int = 0


class Describe(msgspec.Struct, frozen=True):
    """Parameters of `server.describe`. The result is a ServerDescription."""


class ServerDescription(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    wires: tuple[str, ...]


class GetLogging(msgspec.Struct, frozen=True):
    """Parameters of `server.logging`. The result is a LogLevel."""


class SetLogging(msgspec.Struct, frozen=True):
    """Parameters of `server.set_logging`. The result is a LogLevel, in force in every process of the server."""

    kinds: dict[Level, bool]
    """Whether events of a kind are to be logged; of the others, what is so now."""

    def over(self, level: Level) -> Level:
        """The level after the change of another: that of the least grave kind that is on. Errors always are."""
        present = {kind: number >= LEVELS.index(level) for number, kind in enumerate(LEVELS)}
        return next((kind for kind in LEVELS if self.kinds.get(kind, present[kind])), LEVELS[-1])


class LogLevel(msgspec.Struct, frozen=True):
    level: Level


class GetMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `server.metrics`. The result is the page as bytes."""

    form: Literal["salver", "torchserve"] = "salver"
    """Whose names the page has."""
    names: tuple[str, ...] = ()
    """Of TorchServe's page: what is shown; empty: all."""
    has_measures: bool = True
    """Of TorchServe's page: whether it has what the code of models measured."""
    declared: tuple[str, ...] | None = None
    """Of that, what may be shown; None: all."""


class GetCounts(msgspec.Struct, frozen=True):
    """Parameters of `server.counts`. The result is a Counts."""


class CallCount(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one operation, model, version and protocol; `codes` counts by outcome, `OK` or a Code's value."""

    operation: str
    model: str
    version: int
    wire: str
    codes: dict[str, int]
    buckets: tuple[int, ...]
    """By duration, as `Counts.bounds_s`; one more has the rest."""
    seconds: float
    rows: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Since the start, of all front ends; `page` is the result of `server.metrics`."""

    calls: tuple[CallCount, ...]
    bounds_s: tuple[float, ...]
    page: bytes
