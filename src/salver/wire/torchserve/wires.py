"""The wires of both servers: inference, management and metrics, each in either dialect."""

from __future__ import annotations

from collections.abc import Callable

from salver.wire.base import Wire
from salver.wire.torchserve.base import TorchServeSettings
from salver.wire.torchserve.dialect import DIALECTS, MMS, TORCHSERVE, Dialect
from salver.wire.torchserve.inference import MmsWire
from salver.wire.torchserve.management import MmsManagementWire
from salver.wire.torchserve.metrics import MetricsWire
from salver.wire.torchserve.versions import Directory


def handler_wires(
    settings: TorchServeSettings, only_model: Callable[[], str | None], served: Directory
) -> tuple[Wire, ...]:
    """`mms` and its likes are in the dialect of the settings, `torchserve` and its likes are TorchServe's always."""

    def wires(name: str, dialect: Dialect) -> tuple[Wire, ...]:
        return (
            MmsWire(only_model, dialect, served, name=name, has_open_inference=settings.ts_open_inference_protocol),
            MmsManagementWire(
                dialect,
                served,
                name=f"{name}-management",
                is_allowed=settings.model_control == "explicit",
                default_workers=settings.default_workers_per_model,
            ),
            MetricsWire(name=f"{name}-metrics", has_measures=settings.handler_metrics == "prometheus"),
        )

    return (*wires(MMS.name, DIALECTS[settings.dialect]), *wires(TORCHSERVE.name, TORCHSERVE))
