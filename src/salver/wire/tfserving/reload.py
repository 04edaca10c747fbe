"""`ModelService/HandleReloadConfigRequest`: the whole list of models, replaced from afar."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from salver.errors import RequestError
from salver.operations import models
from salver.operations.base import Request
from salver.operations.methods import OrdinaryMethod
from salver.types import PolicyKind, VersionPolicy
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.pb import serving_pb2

PATH = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
NO_LIST = (
    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
)
NO_PLATFORM = "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform"
TWO_PLATFORMS = "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform"


def reload_method() -> OrdinaryMethod:
    return OrdinaryMethod(
        path=PATH, operation=models.CONFIGURE.name, open=open_reload, read=read_reload, write=write_reload
    )


def open_reload(request: Request) -> serving_pb2.ReloadConfigRequest:
    try:
        return serving_pb2.ReloadConfigRequest.FromString(request.body)
    except DecodeError as error:
        raise invalid("The message is no tensorflow.serving.ReloadConfigRequest.") from error


def read_reload(message: serving_pb2.ReloadConfigRequest) -> models.ConfigureModels:
    """Raises RequestError(INVALID_INPUT) in the original's words."""
    if message.config.WhichOneof("config") != "model_config_list":
        raise invalid(NO_LIST)
    return models.ConfigureModels(models=tuple(_model(each) for each in message.config.model_config_list.config))


def write_reload(_result: models.Configured, _message: serving_pb2.ReloadConfigRequest) -> bytes:
    """An OK status. Metrics that a request asks for are deltas of the original's own counters: there are none here."""
    return serving_pb2.ReloadConfigResponse(status=serving_pb2.StatusProto()).SerializeToString()


def _model(config: serving_pb2.ModelConfig) -> models.ConfiguredModel:
    return models.ConfiguredModel(
        name=config.name,
        base_path=config.base_path,
        platform=_platform(config),
        policy=_policy(config.model_version_policy),
        labels=dict(config.version_labels),
    )


def _platform(config: serving_pb2.ModelConfig) -> str:
    kind = serving_pb2.ModelType.Name(config.model_type) if config.model_type in (0, 1, 2) else "OTHER"
    is_typed = kind != "MODEL_TYPE_UNSPECIFIED"
    if is_typed and config.model_platform:
        raise _refused(TWO_PLATFORMS, config.name)
    if not is_typed and not config.model_platform:
        raise _refused(NO_PLATFORM, config.name)
    return config.model_platform or kind.lower()


def _policy(policy: Any) -> VersionPolicy:
    match policy.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(kind=PolicyKind.ALL, highest_answers=True)
        case "specific":
            versions = tuple(sorted(set(policy.specific.versions)))
            return VersionPolicy(kind=PolicyKind.SPECIFIC, versions=versions, highest_answers=True)
        case "latest":
            return VersionPolicy(count=max(1, policy.latest.num_versions), highest_answers=True)
    return VersionPolicy(highest_answers=True)


def _refused(text: str, name: str) -> RequestError:
    return invalid(f"{text}: {name}")
