"""GRPCInferenceService: the operations of the REST addresses, as methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import ParseDict

from salver.errors import Code, SalverError
from salver.operations import models, server, statistics
from salver.operations.base import Answer, Request
from salver.operations.methods import Method, OrdinaryMethod, PredictMethod, StreamMethod
from salver.types import ModelStatus
from salver.wire.openinference import metadata, repository
from salver.wire.openinference.base import OpenInferenceSettings
from salver.wire.openinference.errors import Subject, Unsupported
from salver.wire.openinference.grpcerrors import grpc_error
from salver.wire.openinference.grpcinfer import GrpcInferRoute, GrpcStreamRoute, Plans
from salver.wire.openinference.grpcmessages import parse, settings_message, version_of
from salver.wire.openinference.infer import NAME
from salver.wire.openinference.modelconfig import model_config
from salver.wire.openinference.pb import inference_pb2 as pb
from salver.wire.openinference.refusals import NO_REPOSITORY_NAME
from salver.wire.openinference.request import NO_SHARED_MEMORY
from salver.wire.openinference.serversettings import TRACE_OFF, check_trace, log_settings, wanted_kinds
from salver.wire.openinference.statistics import statistics_document

SERVICE = "/inference.GRPCInferenceService/"
SHARED_MEMORY = tuple(
    f"{kind}SharedMemory{verb}" for kind in ("System", "Cuda") for verb in ("Status", "Register", "Unregister")
)
Write = Callable[[Any, Any], Any]


class OpenInferenceGrpcWire:
    """The methods of one service."""

    name = NAME

    def __init__(self, settings: OpenInferenceSettings | None = None) -> None:
        self._settings = settings or OpenInferenceSettings()
        plans = Plans()
        self._methods: tuple[Method, ...] = (
            PredictMethod(path=SERVICE + "ModelInfer", open=lambda request: GrpcInferRoute(plans, request)),
            StreamMethod(path=SERVICE + "ModelStreamInfer", open=lambda request: GrpcStreamRoute(plans, request)),
            row("ServerLive", server.LIVE.name, lambda _: server.GetHealth(), write_live),
            row("ServerReady", server.READY.name, lambda _: server.GetHealth(), write_ready),
            row("ServerMetadata", server.DESCRIBE.name, lambda _: server.Describe(), self._write_server),
            model_row("ModelReady", write_model_ready, error=not_ready),
            model_row("ModelMetadata", write_metadata),
            model_row("ModelConfig", write_config),
            row("ModelStatistics", statistics.OF_ONE.name, read_statistics, write_statistics, model=name_of),
            row("RepositoryIndex", models.LIST.name, read_index, write_index),
            row("RepositoryModelLoad", models.LOAD.name, read_load, write_loaded, model=model_name, error=load_error),
            row("RepositoryModelUnload", models.UNLOAD.name, read_unload, write_unloaded, model=model_name),
            row("LogSettings", server.SET_LOGGING.name, read_logging, write_logging),
            row("TraceSetting", server.LOGGING.name, read_trace, write_trace),
            *(unsupported(name) for name in SHARED_MEMORY),
        )

    @property
    def methods(self) -> tuple[Method, ...]:
        return self._methods

    def error(self, error: SalverError) -> Answer:
        return grpc_error(error)

    def _write_server(self, result: server.ServerDescription, _: Any) -> Any:
        version = self._settings.v2_server_version or result.version
        return pb.ServerMetadataResponse(**metadata.server_metadata(self._settings.v2_server_name, version))


def row(
    method: str,
    operation: str,
    read: Callable[[Any], Any],
    write: Write,
    *,
    model: Callable[[Any], str] = lambda _: "",
    error: Callable[[SalverError, Any], Answer] | None = None,
) -> OrdinaryMethod:
    kind = getattr(pb, method + "Request")
    return OrdinaryMethod(
        path=SERVICE + method,
        operation=operation,
        open=lambda request: parse(kind, request.body),
        read=read,
        write=lambda result, asked: write(result, asked).SerializeToString(),
        model=model,
        error=error or named_error,
    )


def model_row(
    method: str, write: Write, *, error: Callable[[SalverError, Any], Answer] | None = None
) -> OrdinaryMethod:
    return row(method, models.GET.name, read_model, write, model=name_of, error=error)


def unsupported(method: str) -> OrdinaryMethod:
    """A method of the original whose messages are not even read."""

    def refuse(_: Request) -> Any:
        raise Unsupported(NO_SHARED_MEMORY)

    return OrdinaryMethod(
        path=SERVICE + method,
        operation=server.DESCRIBE.name,
        open=refuse,
        read=lambda _: server.Describe(),
        write=lambda *_: b"",
    )


# What a message is about


def name_of(asked: Any) -> str:
    return str(asked.name)


def model_name(asked: Any) -> str:
    return str(asked.model_name)


def subject_of(asked: Any) -> Subject:
    """Must not raise: an error's text is made of it."""
    name = getattr(asked, "name", "") or getattr(asked, "model_name", "")
    version = getattr(asked, "version", "")
    return Subject(name, version_of(version) if version.isascii() and version.isdigit() else None)


def named_error(error: SalverError, asked: Any) -> Answer:
    return grpc_error(error, subject_of(asked))


def not_ready(error: SalverError, asked: Any) -> Answer:
    """The original says of a model that it does not know that it is not ready."""
    if error.code in (Code.MODEL_NOT_FOUND, Code.VERSION_NOT_FOUND):
        return Answer(0, pb.ModelReadyResponse(ready=False).SerializeToString(), None)
    return named_error(error, asked)


def load_error(error: SalverError, asked: Any) -> Answer:
    if error.code is Code.MODEL_NOT_FOUND:
        return grpc_error(repository.not_in_repository(asked.model_name))
    return named_error(error, asked)


# Health and metadata


def write_live(result: server.HealthReport, _: Any) -> Any:
    return pb.ServerLiveResponse(live=result.is_live)


def write_ready(result: server.HealthReport, _: Any) -> Any:
    return pb.ServerReadyResponse(ready=result.is_ready)


def read_model(asked: Any) -> models.GetModel:
    return models.GetModel(asked.name, version_of(asked.version))


def write_model_ready(result: ModelStatus, asked: Any) -> Any:
    return pb.ModelReadyResponse(ready=metadata.is_ready(result, version_of(asked.version)))


def write_metadata(result: ModelStatus, asked: Any) -> Any:
    return ParseDict(metadata.model_metadata(result, version_of(asked.version)), pb.ModelMetadataResponse())


def write_config(result: ModelStatus, asked: Any) -> Any:
    config = model_config(result, version_of(asked.version))
    return ParseDict({"config": config}, pb.ModelConfigResponse())


# Statistics


def read_statistics(asked: Any) -> statistics.GetStatistics:
    return statistics.GetStatistics(asked.name, version_of(asked.version))


def write_statistics(result: statistics.Statistics, _: Any) -> Any:
    return ParseDict(statistics_document(result), pb.ModelStatisticsResponse())


# The repository


def check_repository(asked: Any) -> None:
    if asked.repository_name:
        raise Unsupported(NO_REPOSITORY_NAME)


def read_index(asked: Any) -> models.ListModels:
    check_repository(asked)
    return models.ListModels()


def write_index(result: models.ModelList, asked: Any) -> Any:
    entries = repository.index(result, is_ready_only=asked.ready)
    return pb.RepositoryIndexResponse(models=[pb.RepositoryIndexResponse.ModelIndex(**entry) for entry in entries])


def _repository_parameters(asked: Any) -> dict[str, Any]:
    check_repository(asked)
    given = {name: (value.WhichOneof("parameter_choice"), value) for name, value in asked.parameters.items()}
    return {name: getattr(value, chosen) for name, (chosen, value) in given.items() if chosen is not None}


def read_load(asked: Any) -> models.LoadModel:
    return repository.wanted_load(asked.model_name, _repository_parameters(asked))


def write_loaded(result: models.Outcome, _: Any) -> Any:
    repository.check_loaded(result)
    return pb.RepositoryModelLoadResponse()


def read_unload(asked: Any) -> models.UnloadModel:
    return repository.wanted_unload(asked.model_name, _repository_parameters(asked))


def write_unloaded(*_: Any) -> Any:
    return pb.RepositoryModelUnloadResponse()


# Settings


def read_logging(asked: Any) -> server.SetLogging:
    given = {name: (value.WhichOneof("parameter_choice"), value) for name, value in asked.settings.items()}
    return wanted_kinds({name: getattr(value, chosen) for name, (chosen, value) in given.items() if chosen is not None})


def write_logging(result: server.LogLevel, _: Any) -> Any:
    return settings_message(pb.LogSettingsResponse, log_settings(result))


def read_trace(asked: Any) -> server.GetLogging:
    """A setting without values is to be as at the start; lists of one value are that value, but for the level."""
    given = {name: list(setting.value) for name, setting in asked.settings.items()}
    check_trace(
        {
            name: None if not values else values if isinstance(TRACE_OFF.get(name), list) else values[0]
            for name, values in given.items()
        }
    )
    return server.GetLogging()


def write_trace(*_: Any) -> Any:
    return settings_message(pb.TraceSettingResponse, TRACE_OFF)
