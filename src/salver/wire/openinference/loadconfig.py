"""The configuration that a wish to load may bring: what of it can be set while the server runs. Pure."""

from __future__ import annotations

from typing import Any

from salver.errors import RequestError
from salver.types import PolicyKind, VersionPolicy
from salver.wire.jsonbody import JsonError, parse_json
from salver.wire.openinference.errors import Unsupported, invalid, shown

NO_FILES = (
    "loading a model from files of the request is not supported by this server: publish them as a version of the "
    "model, with a key that may do so"
)


def wanted_changes(model: str, text: Any) -> dict[str, Any]:
    """The policy and the number of replicas that a configuration asks for. Raises RequestError.

    What it says of anything else is refused: a version's own artefact and manifest say that, and never change.
    """
    config = _object(model, text)
    changes: dict[str, Any] = {}
    for name, value in config.items():
        if name == "version_policy":
            changes["policy"] = _policy(model, value)
        elif name == "instance_group":
            changes["replicas"] = _replicas(model, value)
        elif name != "name":
            raise Unsupported(
                f"failed to load '{shown(model)}': the configuration's '{shown(name)}' cannot be set by loading. "
                "Publish a version that has it in its model.toml"
            )
        elif value != model:
            raise _failed(model, f"the configuration is of the model '{shown(str(value))}'")
    return changes


def _object(model: str, text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        raise _failed(model, "the configuration must be a string of JSON")
    try:
        config = parse_json(text.encode())
    except (JsonError, UnicodeEncodeError) as error:
        raise _failed(model, "the configuration is not JSON") from error
    if type(config) is not dict:
        raise _failed(model, "the configuration must be an object")
    return config


def _policy(model: str, value: Any) -> VersionPolicy:
    match value:
        case {"latest": dict(latest)}:
            count = _number(latest.get("num_versions", latest.get("numVersions", 1)))
            if count is not None and count > 0:
                return VersionPolicy(kind=PolicyKind.LATEST, count=count)
        case {"all": dict()}:
            return VersionPolicy(kind=PolicyKind.ALL)
        case {"specific": {"versions": list(versions)}} if versions:
            numbers = tuple(number for number in map(_number, versions) if number is not None)
            if len(numbers) == len(versions):
                return VersionPolicy(kind=PolicyKind.SPECIFIC, versions=numbers)
    raise _failed(model, "the configuration's 'version_policy' is none")


def _replicas(model: str, value: Any) -> int:
    groups = value if isinstance(value, list) else []
    counts = [_number(group.get("count", 1)) if isinstance(group, dict) else None for group in groups]
    if not counts or any(count is None or count < 1 for count in counts):
        raise _failed(model, "the configuration's 'instance_group' is none")
    return sum(count for count in counts if count is not None)


def _number(value: Any) -> int | None:
    """A whole number, which the JSON of protobuf may write as a string."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if type(value) is int and 0 <= value < 1 << 62 else None


def _failed(model: str, why: str) -> RequestError:
    return invalid(f"failed to load '{shown(model)}': {why}")
