#!/usr/bin/env python3
"""The wires that answer each protocol's calls, made as `salver.app` makes them: the one place to add a wire to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from salver.net.grpc.health import CHECK, WATCH
from salver.operations import server
from salver.operations.inference import PREDICT
from salver.operations.methods import Method, OrdinaryMethod
from salver.types import ModelStatus, ModelVersion, VersionState, VersionStatus
from salver.wire.base import GrpcWire, Wire
from salver.wire.native.rest import NativeWire
from salver.wire.openinference.grpc import OpenInferenceGrpcWire
from salver.wire.openinference.metrics import OpenInferenceMetricsWire
from salver.wire.openinference.rest import OpenInferenceWire
from salver.wire.tfserving.grpc import TfServingGrpcWire
from salver.wire.tfserving.rest import TfServingWire
from salver.wire.torchserve.base import TorchServeSettings
from salver.wire.torchserve.wires import handler_grpc_wires, handler_wires

MAX_BODY_BYTES = 1024
INFERENCE, MANAGEMENT, METRICS = "", "management", "metrics"
"""The ports of a protocol that has several."""
MONITORING = "/monitoring/prometheus/metrics"
"""Where TensorFlow Serving's own metrics are, in these wires."""

_TORCHSERVE = TorchServeSettings(ts_open_inference_protocol=True)
_VERSION = VersionStatus(
    id=ModelVersion("m", 1), state=VersionState.READY, runtime="", source="", environment="", replicas_wanted=1
)
_MODEL = ModelStatus(name="m", versions=(_VERSION,), default_version=1)


def served() -> Mapping[str, ModelStatus]:
    """The one model that the calls are about."""
    return {"m": _MODEL}


def http_wires() -> dict[str, dict[str, Wire]]:
    """By protocol and port."""
    handlers = {wire.name: wire for wire in handler_wires(_TORCHSERVE, lambda: None, served)}
    tfserving = TfServingWire(max_body_bytes=MAX_BODY_BYTES, monitoring_path=MONITORING)
    return {
        "tfserving": {INFERENCE: tfserving},
        "mms": {INFERENCE: handlers["mms"], MANAGEMENT: handlers["mms-management"]},
        "torchserve": {
            INFERENCE: handlers["torchserve"],
            MANAGEMENT: handlers["torchserve-management"],
            METRICS: handlers["torchserve-metrics"],
        },
        "openinference": {
            INFERENCE: OpenInferenceWire(max_body_bytes=MAX_BODY_BYTES),
            METRICS: OpenInferenceMetricsWire(),
        },
        "native": {INFERENCE: NativeWire(MAX_BODY_BYTES)},
    }


def grpc_wires() -> dict[str, tuple[GrpcWire, ...]]:
    """By protocol, those of all its ports."""
    return {
        "tfserving": (TfServingGrpcWire(max_body_bytes=MAX_BODY_BYTES),),
        "openinference": (OpenInferenceGrpcWire(),),
        "torchserve": tuple(
            wire for wire in handler_grpc_wires(_TORCHSERVE, served) if wire.name.startswith("torchserve")
        ),
    }


def grpc_methods(protocol: str) -> Iterator[tuple[GrpcWire, Method]]:
    """Each method of the protocol with the wire that has it."""
    for wire in grpc_wires().get(protocol, ()):
        for method in wire.methods:
            yield wire, method


HEALTH: Mapping[str, str] = {CHECK: server.READY.name, WATCH: server.READY.name}
"""Methods that every port of gRPC has, whatever its protocols, with their operations."""


def operation_of(method: Method) -> str:
    return method.operation if isinstance(method, OrdinaryMethod) else PREDICT.name
