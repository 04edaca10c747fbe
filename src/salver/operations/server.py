"""Operations about the server itself."""

from __future__ import annotations

from typing import Literal

import msgspec

from salver.operations.base import Home, Operation, Scope

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

OPERATIONS = (LIVE, READY, DESCRIBE, METRICS)


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


class GetMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `server.metrics`. The result is the page as bytes."""

    form: Literal["salver", "torchserve"] = "salver"
    """Whose names the page has."""
    names: tuple[str, ...] = ()
    """Of TorchServe's page: what is shown; empty: all."""
    has_measures: bool = True
    """Of TorchServe's page: whether it has what the code of models measured."""
