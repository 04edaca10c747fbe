"""The methods of GRPCInferenceService in TorchServe's package.

From its ``OpenInferenceProtocolImpl``, which reads everything but predictions from memory, and declares
ServerMetadata without answering it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from salver.errors import Code, RequestError, SalverError
from salver.operations import models, server
from salver.operations.base import Answer
from salver.operations.methods import GrpcStatus, Method, OrdinaryMethod, PredictMethod
from salver.types import ModelStatus, PayloadKind, Signature, TensorSpec, VersionStatus
from salver.wire.openinference.grpcmessages import parse
from salver.wire.openinference.pb import inference_pb2 as pb
from salver.wire.torchserve.dialect import Dialect
from salver.wire.torchserve.errors import Subject, row_of, text_of
from salver.wire.torchserve.grpcerrors import described, failure
from salver.wire.torchserve.kserve import EXTENSIONS, NAME
from salver.wire.torchserve.listing import default_version
from salver.wire.torchserve.oip.route import OipRoute
from salver.wire.torchserve.versions import Directory, name_of, number_of

SERVICE = "/org.pytorch.serve.grpc.openinference.GRPCInferenceService"
UNKNOWN = (Code.MODEL_NOT_FOUND, Code.VERSION_NOT_FOUND)
NO_SIGNATURE = Signature(inputs=(), outputs=())


def oip_methods(wire: str, dialect: Dialect, served: Directory) -> Sequence[Method]:
    """All six, for the wire of this name."""

    def not_found(error: SalverError, asked: Any) -> Answer:
        """Only of models and versions that are not there this service says so by its status."""
        about = Subject(asked.name, asked.version)
        if error.code not in UNKNOWN:
            return failure(error, about, dialect)
        row = row_of(error, dialect)
        return described(GrpcStatus.NOT_FOUND, text_of(error, row, about), row.type)

    def model_row(method: str, parameter: str, write: Callable[[ModelStatus, Any], Any]) -> OrdinaryMethod:
        return OrdinaryMethod(
            path=f"{SERVICE}/{method}",
            operation=models.GET.name,
            open=lambda request: named(parse(getattr(pb, f"{method}Request"), request.body), parameter),
            read=lambda asked: models.GetModel(asked.name),
            write=lambda result, asked: write(result, asked).SerializeToString(),
            model=lambda asked: str(asked.name),
            error=not_found,
        )

    return (
        _server_row("ServerLive", server.LIVE.name, server.GetHealth, write_live),
        _server_row("ServerReady", server.READY.name, server.GetHealth, write_ready),
        _server_row("ServerMetadata", server.DESCRIBE.name, server.Describe, write_server),
        model_row("ModelReady", "name", write_model_ready),
        model_row("ModelMetadata", "model_name", write_metadata),
        PredictMethod(path=f"{SERVICE}/ModelInfer", open=lambda request: OipRoute(request, wire, dialect, served)),
    )


def _server_row(method: str, operation: str, read: Callable[[], Any], write: Callable[[Any], Any]) -> OrdinaryMethod:
    return OrdinaryMethod(
        path=f"{SERVICE}/{method}",
        operation=operation,
        open=lambda request: parse(getattr(pb, f"{method}Request"), request.body),
        read=lambda _: read(),
        write=lambda result, _: write(result).SerializeToString(),
    )


def named(message: Any, parameter: str) -> Any:
    """The message, if it names a model. Raises RequestError(INVALID_INPUT) in the original's words."""
    if not message.name:
        raise RequestError(Code.INVALID_INPUT, f"Parameter {parameter} is required.", fix="")
    return message


def write_live(result: server.HealthReport) -> Any:
    return pb.ServerLiveResponse(live=result.is_live)


def write_ready(result: server.HealthReport) -> Any:
    return pb.ServerReadyResponse(ready=result.is_ready)


def write_server(result: server.ServerDescription) -> Any:
    return pb.ServerMetadataResponse(name=NAME, version=result.version, extensions=EXTENSIONS)


def write_model_ready(result: ModelStatus, asked: Any) -> Any:
    """As many workers as are wanted; of a version without any, that is none."""
    version = version_of(result, asked.version)
    return pb.ModelReadyResponse(ready=version.replicas_ready >= version.replicas_wanted)


def write_metadata(result: ModelStatus, asked: Any) -> Any:
    """All versions, whichever is asked for. The original knows no tensors of handlers, and neither do we."""
    info = version_of(result, asked.version).info
    signature = info.signature() if info is not None and info.payload is PayloadKind.TENSORS else None
    signature = signature or NO_SIGNATURE
    return pb.ModelMetadataResponse(
        name=result.name,
        versions=[name_of(version) for version in reversed(result.versions)],
        inputs=map(_tensor, signature.inputs),
        outputs=map(_tensor, signature.outputs),
    )


def _tensor(spec: TensorSpec) -> Any:
    return pb.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=spec.shape)


def version_of(model: ModelStatus, text: str) -> VersionStatus:
    """The version that is named, or the default one. Raises RequestError(VERSION_NOT_FOUND)."""
    number = number_of(model, text) if text else None
    found = next((version for version in model.versions if version.id.version == number), None)
    found = found or (None if text else default_version(model))
    if found is None:
        raise RequestError(Code.VERSION_NOT_FOUND, "There is no such version.")
    return found
