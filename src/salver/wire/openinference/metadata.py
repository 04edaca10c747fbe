"""What the protocol tells of the server and its models. Pure."""

from __future__ import annotations

from typing import Any

from salver.errors import Code, RequestError
from salver.types import (
    ModelStatus,
    PayloadKind,
    PolicyKind,
    Signature,
    TensorSpec,
    VersionInfo,
    VersionState,
    VersionStatus,
)
from salver.wire.openinference.bodies import SPEC

EXTENSIONS = (
    "classification",
    "sequence",
    "model_repository",
    "model_repository(unload_dependents)",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "logging",
)
SERVING = (VersionState.READY, VersionState.DEGRADED)
BODY_SIGNATURE = Signature(inputs=(SPEC,), outputs=(SPEC,))
NO_SIGNATURE = Signature(inputs=(), outputs=())
PLATFORMS = {"onnx": "onnxruntime_onnx"}
"""Triton's names of runtimes; the others are called as they are here."""
CONFIG_TYPES = {"BYTES": "TYPE_STRING"}


def server_metadata(name: str, version: str) -> dict[str, Any]:
    return {"name": name, "version": version, "extensions": EXTENSIONS}


def is_ready(model: ModelStatus, version: int | None) -> bool:
    """Whether the version answers; without one, whether the model does."""
    return any(entry.state in SERVING for entry in _meant(model, version))


def model_metadata(model: ModelStatus, version: int | None) -> dict[str, Any]:
    """Raises RequestError(MODEL_NOT_READY)."""
    info = _info(model, version)
    signature = _signature(info)
    ready = sorted(entry.id.version for entry in model.versions if entry.state in SERVING)
    return {
        "name": model.name,
        "versions": [str(number) for number in (ready if version is None else [version])],
        "platform": _platform(info),
        "inputs": [_tensor(spec) for spec in signature.inputs],
        "outputs": [_tensor(spec) for spec in signature.outputs],
    }


def model_config(model: ModelStatus, version: int | None) -> dict[str, Any]:
    """The model in the form of Triton's configuration, as far as there is something to tell.

    Raises RequestError(MODEL_NOT_READY).
    """
    info = _info(model, version)
    signature = _signature(info)
    specs = (*signature.inputs, *signature.outputs)
    has_batch = info.has_batch_dimension and all(len(spec.shape) > 1 for spec in specs)
    (entry,) = [entry for entry in model.versions if entry.id == info.id]
    config = {
        "name": model.name,
        "platform": _platform(info),
        "backend": "onnxruntime" if info.runtime == "onnx" else info.runtime,
        "version_policy": _policy(model),
        "max_batch_size": info.batching.max_batch_rows if has_batch else 0,
        "input": [_config_tensor(spec, has_batch=has_batch) for spec in signature.inputs],
        "output": [_config_tensor(spec, has_batch=has_batch) for spec in signature.outputs],
        "instance_group": [{"name": model.name, "kind": "KIND_AUTO", "count": entry.replicas_wanted}],
    }
    if has_batch:
        delay_us = round(info.batching.max_batch_delay_s * 1_000_000)
        config["dynamic_batching"] = {"max_queue_delay_microseconds": delay_us}
    return config


def _meant(model: ModelStatus, version: int | None) -> list[VersionStatus]:
    wanted = model.default_version if version is None else version
    return [entry for entry in model.versions if entry.id.version == wanted]


def _info(model: ModelStatus, version: int | None) -> VersionInfo:
    """The version that is meant, once it has loaded."""
    found = next((entry.info for entry in _meant(model, version) if entry.state in SERVING), None)
    if found is None:
        raise RequestError(Code.MODEL_NOT_READY, f"The model {model.name!r} is not ready.", retry_after_s=1.0)
    return found


def _signature(info: VersionInfo) -> Signature:
    return BODY_SIGNATURE if info.payload is PayloadKind.BODY else info.signature() or NO_SIGNATURE


def _platform(info: VersionInfo) -> str:
    return PLATFORMS.get(info.runtime, info.runtime)


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _config_tensor(spec: TensorSpec, *, has_batch: bool) -> dict[str, Any]:
    """Triton leaves the dimension that counts rows out of the dimensions of a model with batches."""
    return {
        "name": spec.name,
        "data_type": CONFIG_TYPES.get(spec.datatype, f"TYPE_{spec.datatype}"),
        "dims": spec.shape[1:] if has_batch else spec.shape,
    }


def _policy(model: ModelStatus) -> dict[str, Any]:
    policy = model.policy
    if policy.kind is PolicyKind.LATEST:
        return {"latest": {"num_versions": policy.count}}
    return {"all": {}} if policy.kind is PolicyKind.ALL else {"specific": {"versions": policy.versions}}
