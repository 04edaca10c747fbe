"""The wires of both servers: inference, management and metrics, each in either dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from salver.wire.base import GrpcWire, Wire
from salver.wire.torchserve.base import TorchServeSettings
from salver.wire.torchserve.dialect import DIALECTS, MMS, TORCHSERVE, Dialect
from salver.wire.torchserve.inference import MmsWire
from salver.wire.torchserve.management import MmsManagementWire
from salver.wire.torchserve.metrics import MetricsWire
from salver.wire.torchserve.versions import Directory


def names(settings: TorchServeSettings) -> tuple[tuple[str, Dialect], ...]:
    """`mms` and its likes are in the dialect of the settings, `torchserve` and its likes are TorchServe's always."""
    return ((MMS.name, DIALECTS[settings.dialect]), (TORCHSERVE.name, TORCHSERVE))


def handler_wires(
    settings: TorchServeSettings,
    only_model: Callable[[], str | None],
    served: Directory,
    declared: tuple[str, ...] | None = None,
) -> Iterator[Wire]:
    """`declared` are the only metrics of handlers that are shown; None: all."""
    has_open_inference = settings.ts_open_inference_protocol
    has_measures = settings.handler_metrics == "prometheus"
    for name, dialect in names(settings):
        yield MmsWire(only_model, dialect, served, name=name, has_open_inference=has_open_inference)
        yield management_wire(name, dialect, settings, served)
        yield MetricsWire(name=f"{name}-metrics", has_measures=has_measures, declared=declared)


def management_wire(name: str, dialect: Dialect, settings: TorchServeSettings, served: Directory) -> MmsManagementWire:
    return MmsManagementWire(
        dialect,
        served,
        name=f"{name}-management",
        is_allowed=settings.model_control == "explicit",
        default_workers=settings.default_workers_per_model,
    )


def handler_grpc_wires(settings: TorchServeSettings, served: Directory) -> Iterator[GrpcWire]:
    from salver.wire.torchserve.grpc import (  # protobuf, where there is such a door
        TorchServeGrpcWire,
        TorchServeManagementGrpcWire,
    )

    for name, dialect in names(settings):
        yield TorchServeGrpcWire(name, dialect, served, has_open_inference=settings.ts_open_inference_protocol)
        yield TorchServeManagementGrpcWire(management_wire(name, dialect, settings, served), dialect)
