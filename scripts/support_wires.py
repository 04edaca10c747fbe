#!/usr/bin/env python3
"""The wires that answer each protocol's calls, made as `salver.app` makes them: the one place to add a wire to."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from salver.operations.inference import PREDICT
from salver.operations.methods import Method
from salver.types import ModelStatus, ModelVersion, VersionState, VersionStatus
from salver.wire.base import Wire
from salver.wire.native.rest import NativeWire
from salver.wire.openinference.metrics import OpenInferenceMetricsWire
from salver.wire.openinference.rest import OpenInferenceWire
from salver.wire.tfserving.rest import TfServingWire
from salver.wire.torchserve.base import TorchServeSettings
from salver.wire.torchserve.dialect import TORCHSERVE
from salver.wire.torchserve.inference import MmsWire
from salver.wire.torchserve.management import MmsManagementWire
from salver.wire.torchserve.metrics import MetricsWire
from salver.wire.torchserve.wires import handler_grpc_wires

MAX_BODY_BYTES = 1024
INFERENCE, MANAGEMENT, METRICS = "", "management", "metrics"
"""The ports of a protocol that has several."""

SERVED = {
    "m": ModelStatus(
        name="m",
        versions=(
            VersionStatus(
                id=ModelVersion("m", 1),
                state=VersionState.READY,
                runtime="mar",
                source="m.mar",
                environment="",
                replicas_wanted=1,
                own_name="1.0",
            ),
        ),
        default_version=1,
    )
}
"""The model of the calls, where a wire needs to know which versions there are."""

_GRPC = {"tfserving": "salver.wire.tfserving.grpc:TfServingGrpcWire"}
"""Classes of wires over gRPC, by the protocol that they belong to."""


def http_wires() -> dict[str, dict[str, Wire]]:
    """By protocol and port."""
    mms: dict[str, Wire] = {INFERENCE: MmsWire(lambda: None), MANAGEMENT: MmsManagementWire()}
    torchserve: dict[str, Wire] = {
        INFERENCE: MmsWire(lambda: None, TORCHSERVE, lambda: SERVED, has_open_inference=True),
        MANAGEMENT: MmsManagementWire(TORCHSERVE, lambda: SERVED),
        METRICS: MetricsWire(name="torchserve-metrics", has_measures=True),
    }
    return {
        "tfserving": {INFERENCE: TfServingWire(max_body_bytes=MAX_BODY_BYTES, monitoring_path="/monitoring")},
        "mms": mms,
        "torchserve": torchserve,
        "openinference": {
            INFERENCE: OpenInferenceWire(max_body_bytes=MAX_BODY_BYTES),
            METRICS: OpenInferenceMetricsWire(),
        },
        "native": {INFERENCE: NativeWire(MAX_BODY_BYTES)},
    }


def grpc_methods() -> Mapping[str, dict[str, str]]:
    """By protocol, the operation of each method's path."""
    found: dict[str, dict[str, str]] = {}
    for protocol, place in _GRPC.items():
        module, _, name = place.partition(":")
        try:
            wire = getattr(importlib.import_module(module), name)(max_body_bytes=MAX_BODY_BYTES)
        except ModuleNotFoundError:
            continue  # a release without this wire
        found[protocol] = {method.path: _operation(method) for method in wire.methods}
    found["torchserve"] = {method.path: _operation(method) for method in _torchserve_methods()}
    return found


def _torchserve_methods() -> Sequence[Method]:
    return [method for wire in handler_grpc_wires(TorchServeSettings(), lambda: SERVED) for method in wire.methods]


def _operation(method: Any) -> str:
    """What is no ordinary method is a prediction."""
    return getattr(method, "operation", PREDICT.name)
