"""What models and versions may come and go. Pure. ``desired.py`` has what else may be asked for."""

from __future__ import annotations

from collections.abc import Collection

from salver.errors import Code, RequestError
from salver.models.naming import NAME_RULE, is_name
from salver.models.versions import MAX_VERSION
from salver.store.base import ModelRecord


def next_version(known: Collection[int]) -> int:
    """The number of a version that came without one. Raises RequestError(CONFLICT) when there is none above."""
    highest = max(known, default=0)
    if highest >= MAX_VERSION:
        raise RequestError(
            Code.CONFLICT, f"There is no version above {highest}.", fix="Give the new version a number that is free."
        )
    return highest + 1


def check_name(name: str) -> None:
    """Raises RequestError(INVALID_INPUT) for what cannot name a model."""
    if not is_name(name):
        raise RequestError(
            Code.INVALID_INPUT,
            f"{name[:128]!r} is no name for a model: it must be {NAME_RULE}.",
            fix="Choose another name.",
        )


def check_first(name: str, known: Collection[int]) -> None:
    """Raises RequestError(CONFLICT) when there is such a model already."""
    if known:
        raise RequestError(
            Code.CONFLICT,
            f"Model {name} is already registered.",
            fix="Publish a new version of it, or delete it first.",
        )


def check_own_name(model: str, own_name: str, known: Collection[str]) -> None:
    """Raises RequestError(CONFLICT) when a version is called so already."""
    if own_name in known:
        raise RequestError(
            Code.CONFLICT,
            f"Model version {own_name} is already registered for model {model}",
            fix="Give the archive another version, or delete the one that is there.",
        )


def check_number(version: int) -> None:
    """Raises RequestError(INVALID_INPUT) for what cannot number a version."""
    if not 0 <= version <= MAX_VERSION:
        raise RequestError(
            Code.INVALID_INPUT, f"{version} is no version.", fix="Give a whole number from 0, or leave it out."
        )


def check_revision(record: ModelRecord, seen: int | None) -> None:
    """Raises RequestError(CONFLICT) when somebody changed the model after `seen`; None: whoever did."""
    if seen is not None and seen != record.revision:
        raise RequestError(
            Code.CONFLICT,
            f"The model {record.name!r} was changed meanwhile: its revision is {record.revision}, "
            f"and this change is meant for {seen}.",
        )


def check_unused(record: ModelRecord, version: int) -> None:
    """Raises RequestError(CONFLICT) when a label, the route or the policy names the version: somebody relies on it."""
    users = [f"the label {label}" for label, number in sorted(record.labels.items()) if number == version]
    users += ["the route"] if record.route is not None and version in record.route.weights else []
    users += ["the policy"] if version in record.policy.versions else []
    if users:
        raise RequestError(
            Code.CONFLICT,
            f"Version {version} of the model {record.name!r} is named by {' and '.join(users)}.",
            fix="Let them name another version first, or delete the whole model.",
        )
