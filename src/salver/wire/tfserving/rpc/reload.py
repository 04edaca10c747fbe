"""`ModelService/HandleReloadConfigRequest`: the whole list of models, replaced from afar. Pure."""

from __future__ import annotations

from salver.errors import Code, RequestError, SalverError
from salver.operations import models
from salver.operations.base import Answer
from salver.operations.methods import GrpcStatus, status_answer
from salver.types import PolicyKind, VersionPolicy
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.rpc.failures import failure
from salver.wire.tfserving.rpc.messages import read

NO_LIST = (
    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
)
NO_PLATFORM = "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform"
TWO_PLATFORMS = "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform"


def open_reload(body: bytes) -> tfs.ReloadConfigRequest:
    """Raises RequestError(INVALID_INPUT)."""
    return read(tfs.ReloadConfigRequest, body)


def read_reload(message: tfs.ReloadConfigRequest) -> models.ConfigureModels:
    """Raises RequestError(INVALID_INPUT) in the original's words."""
    if message.config.WhichOneof("config") != "model_config_list":
        raise invalid(NO_LIST)
    return models.ConfigureModels(models=tuple(_model(each) for each in message.config.model_config_list.config))


def write_reload(_result: models.Configured, _message: tfs.ReloadConfigRequest) -> bytes:
    """An OK status. Metrics that a request asks for are deltas of the original's own counters: there are none here."""
    return tfs.ReloadConfigResponse(status=tfs.StatusProto()).SerializeToString()


def reload_failure(error: SalverError, _message: tfs.ReloadConfigRequest) -> Answer:
    """What does not fit the present state is a precondition to the original."""
    return status_answer(error, GrpcStatus.FAILED_PRECONDITION) if error.code is Code.CONFLICT else failure(error)


def _model(config: tfs.ModelConfig) -> models.ConfiguredModel:
    return models.ConfiguredModel(
        name=config.name,
        base_path=config.base_path,
        platform=_platform(config),
        policy=_policy(config.model_version_policy),
        labels=dict(config.version_labels),
    )


def _platform(config: tfs.ModelConfig) -> str:
    if config.model_type and config.model_platform:
        raise _refused(TWO_PLATFORMS, config.name)
    if not config.model_type and not config.model_platform:
        raise _refused(NO_PLATFORM, config.name)
    return config.model_platform or ("tensorflow" if config.model_type == tfs.TENSORFLOW else "other")


def _policy(policy: tfs.FileSystemStoragePathSourceConfig.ServableVersionPolicy) -> VersionPolicy:
    match policy.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(kind=PolicyKind.ALL, highest_answers=True)
        case "specific":
            versions = tuple(sorted(set(policy.specific.versions)))
            return VersionPolicy(kind=PolicyKind.SPECIFIC, versions=versions, highest_answers=True)
    return VersionPolicy(count=max(1, policy.latest.num_versions), highest_answers=True)


def _refused(text: str, name: str) -> RequestError:
    return invalid(f"{text}: {name}")
