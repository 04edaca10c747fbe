"""A model's state and signatures as this protocol tells them."""

from __future__ import annotations

from typing import Any

import orjson

from salver.errors import Code, RequestError
from salver.operations.base import Answer
from salver.types import ModelStatus, Signature, TensorSpec, VersionInfo, VersionState, VersionStatus
from salver.wire.tfserving.addresses import Address
from salver.wire.tfserving.datatypes import ENUM_NAMES
from salver.wire.tfserving.errors import Headers, error_answer
from salver.wire.tfserving.texts import missing_text

STATES: dict[VersionState, str] = {
    VersionState.QUEUED: "START",
    VersionState.BUILDING: "LOADING",
    VersionState.STARTING: "LOADING",
    VersionState.READY: "AVAILABLE",
    VersionState.DEGRADED: "AVAILABLE",
    VersionState.CRASHLOOP: "END",
    VersionState.FAILED: "END",
    VersionState.DRAINING: "UNLOADING",
    VersionState.STOPPED: "END",
    VersionState.UNLOADED: "START",
}
BROKEN = (VersionState.CRASHLOOP, VersionState.FAILED)


def status_answer(model: ModelStatus, address: Address, headers: Headers) -> Answer:
    """Every version that there is, in the order of the operation's answer: highest first."""
    if not model.versions:
        return not_found(address, headers)
    versions = [_version_status(version) for version in model.versions]
    return Answer(200, orjson.dumps({"model_version_status": versions}), headers=headers)


def metadata_answer(model: ModelStatus, address: Address, headers: Headers) -> Answer:
    """The signatures of the version that is meant, once it has loaded."""
    info = meant_version(model)
    if info is None:
        return not_found(address, headers)
    signatures = {name: told or _signature_def(info.signatures[name]) for name, told in told_signatures(info).items()}
    document = {
        "model_spec": {"name": info.id.model, "signature_name": "", "version": str(info.id.version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }
    return Answer(200, orjson.dumps(document), headers=headers)


def not_found(address: Address, headers: Headers) -> Answer:
    error = RequestError(Code.MODEL_NOT_FOUND, f"There is no model named {address.model!r}.")
    return error_answer(error, missing_text(error.code, address), headers)


def meant_version(model: ModelStatus) -> VersionInfo | None:
    """The one version that the answer is about, or the default one of several."""
    wanted = model.default_version if len(model.versions) > 1 else None
    found = (version.info for version in model.versions if wanted is None or version.id.version == wanted)
    return next(found, None)


def told_signatures(info: VersionInfo) -> dict[str, dict[str, Any] | None]:
    """Each signature with what its model itself says of it, as JSON of a SignatureDef; None: it says nothing."""
    return info.signature_defs or dict.fromkeys(info.signatures)


def _version_status(version: VersionStatus) -> dict[str, Any]:
    is_broken = version.state in BROKEN
    return {
        "version": str(version.id.version),
        "state": STATES[version.state],
        "status": {"error_code": "UNKNOWN" if is_broken else "OK", "error_message": status_text(version)},
    }


def status_text(version: VersionStatus) -> str:
    """Why a version is broken; nothing for any other."""
    return " ".join(filter(None, (version.reason, version.fix))) if version.state in BROKEN else ""


def _signature_def(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": {spec.name: _tensor_info(spec) for spec in signature.inputs},
        "outputs": {spec.name: _tensor_info(spec) for spec in signature.outputs},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    return {
        "dtype": ENUM_NAMES[spec.datatype],
        "tensor_shape": {"dim": [{"size": str(size), "name": ""} for size in spec.shape], "unknown_rank": False},
        "name": f"{spec.name}:0",
    }
