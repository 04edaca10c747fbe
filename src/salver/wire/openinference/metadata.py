"""What the protocol tells of the server and its models. Pure."""

from __future__ import annotations

from typing import Any

from salver.errors import Code, RequestError
from salver.types import (
    ModelStatus,
    PayloadKind,
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
PLATFORMS = {"onnx": "onnxruntime_onnx", "torch": "pytorch_libtorch"}
"""Triton's names of runtimes; the others are called as they are here."""


def server_metadata(name: str, version: str) -> dict[str, Any]:
    return {"name": name, "version": version, "extensions": EXTENSIONS}


def is_ready(model: ModelStatus, version: int | None) -> bool:
    """Whether the version answers; without one, whether the model does."""
    return any(entry.state in SERVING for entry in meant_by(model, version))


def model_metadata(model: ModelStatus, version: int | None) -> dict[str, Any]:
    """Raises RequestError(MODEL_NOT_READY)."""
    info = info_of(model, version)
    signature = signature_of(info)
    ready = sorted(entry.id.version for entry in model.versions if entry.state in SERVING)
    return {
        "name": model.name,
        "versions": [str(number) for number in (ready if version is None else [version])],
        "platform": platform_of(info),
        "inputs": [_tensor(spec) for spec in signature.inputs],
        "outputs": [_tensor(spec) for spec in signature.outputs],
    }


def meant_by(model: ModelStatus, version: int | None) -> list[VersionStatus]:
    wanted = model.default_version if version is None else version
    return [entry for entry in model.versions if entry.id.version == wanted]


def info_of(model: ModelStatus, version: int | None) -> VersionInfo:
    """The version that is meant, once it has loaded."""
    found = next((entry.info for entry in meant_by(model, version) if entry.state in SERVING), None)
    if found is None:
        raise RequestError(Code.MODEL_NOT_READY, f"The model {model.name!r} is not ready.", retry_after_s=1.0)
    return found


def signature_of(info: VersionInfo) -> Signature:
    return BODY_SIGNATURE if info.payload is PayloadKind.BODY else info.signature() or NO_SIGNATURE


def platform_of(info: VersionInfo) -> str:
    return PLATFORMS.get(info.runtime, info.runtime)


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}
