"""The model repository extension: what is there, and the wish to load or unload it. Pure."""

from __future__ import annotations

from typing import Any

from salver.errors import Code, LoadError, RequestError
from salver.operations import models
from salver.operations.base import Request
from salver.types import ModelStatus, VersionState, VersionStatus
from salver.wire.jsonbody import JsonError, parse_json
from salver.wire.openinference.errors import Unsupported, invalid, shown
from salver.wire.openinference.loadconfig import NO_FILES, wanted_changes
from salver.wire.openinference.metadata import SERVING

LOAD_WAIT_S = 120.0
"""Triton answers once the model is loaded."""
STATES: dict[VersionState, str] = {
    VersionState.QUEUED: "LOADING",
    VersionState.BUILDING: "LOADING",
    VersionState.STARTING: "LOADING",
    VersionState.READY: "READY",
    VersionState.DEGRADED: "READY",
    VersionState.CRASHLOOP: "UNAVAILABLE",
    VersionState.FAILED: "UNAVAILABLE",
    VersionState.DRAINING: "UNLOADING",
    VersionState.STOPPED: "UNAVAILABLE",
    VersionState.UNLOADED: "UNAVAILABLE",
}
UNLOADED = "unloaded"


def index(found: models.ModelList, *, is_ready_only: bool) -> list[dict[str, str]]:
    """One entry for each version; a model of which nothing is loaded has only a name."""
    return [
        entry
        for model in found
        for entry in (map(_entry, reversed(model.versions)) if model.versions else [{"name": model.name}])
        if not is_ready_only or entry.get("state") == "READY"
    ]


def _entry(version: VersionStatus) -> dict[str, str]:
    entry = {"name": version.id.model, "version": str(version.id.version), "state": STATES[version.state]}
    reason = UNLOADED if version.state in (VersionState.STOPPED, VersionState.UNLOADED) else version.reason
    return entry | ({"reason": reason} if reason and version.state not in SERVING else {})


def wants_ready_only(request: Request) -> bool:
    """Raises RequestError(INVALID_INPUT)."""
    wanted = _object(request).get("ready", False)
    if type(wanted) is not bool:
        raise invalid("Unable to parse 'ready': it must be true or false")
    return wanted


def read_load(request: Request) -> models.LoadModel:
    """Raises RequestError(INVALID_INPUT)."""
    return wanted_load(request.path_params["model"], _parameters(request))


def wanted_load(model: str, parameters: dict[str, Any]) -> models.LoadModel:
    """Raises RequestError(INVALID_INPUT)."""
    for name in parameters:
        if name.startswith("file:"):
            raise Unsupported(NO_FILES)
        if name != "config":
            raise invalid(f"unexpected error on creating Triton parameter: '{shown(name)}'")
    changes = wanted_changes(model, parameters["config"]) if "config" in parameters else {}
    return models.LoadModel(model=model, wait_s=LOAD_WAIT_S, **changes)


def read_unload(request: Request) -> models.UnloadModel:
    """Raises RequestError(INVALID_INPUT)."""
    return wanted_unload(request.path_params["model"], _parameters(request))


def wanted_unload(model: str, parameters: dict[str, Any]) -> models.UnloadModel:
    """Raises RequestError(INVALID_INPUT)."""
    for name in parameters:
        if name != "unload_dependents":  # nothing here depends on another model
            raise invalid(f"unexpected error on creating Triton parameter: '{shown(name)}'")
    return models.UnloadModel(model=model, wait_s=0.0)


def check_loaded(outcome: models.Outcome) -> None:
    """Raises SalverError when what was to be loaded does not serve."""
    name = outcome.model
    if not outcome.is_settled:
        raise RequestError(Code.OVERLOADED, f"'{name}' is still being loaded", fix="", retry_after_s=LOAD_WAIT_S)
    version = _default(outcome.now)
    if version is None or (version.state not in SERVING and version.state is not VersionState.UNLOADED):
        why = "" if version is None or not version.reason else f": {version.reason}"
        raise LoadError(Code.LOAD_FAILED, f"failed to load '{name}', no version is available{why}", fix="")


def not_in_repository(model: str) -> RequestError:
    return invalid(f"failed to load '{shown(model)}', failed to poll from model repository")


def _default(model: ModelStatus | None) -> VersionStatus | None:
    """The version that answers for the name; UNLOADED when it sleeps until somebody asks."""
    versions = () if model is None else model.versions
    default = None if model is None else model.default_version
    return next((entry for entry in versions if entry.id.version == default), next(iter(versions), None))


def _parameters(request: Request) -> dict[str, Any]:
    parameters = _object(request).get("parameters", {})
    if type(parameters) is not dict:
        raise invalid("Unable to parse 'parameters': an object is needed")
    return parameters


def _object(request: Request) -> dict[str, Any]:
    """The body's object; nothing is an empty one."""
    if not request.body.strip():
        return {}
    try:
        document = parse_json(request.body)
    except JsonError as error:
        raise invalid(f"failed to parse the request JSON buffer: {error.fault.value}") from error
    if type(document) is not dict:
        raise invalid("failed to parse the request JSON buffer: an object is needed")
    return document
