"""What should be served under a name: how each operation changes it, and what may be asked for. Pure.

A change takes a record and gives the changed one; the one it was given stays as it is. None of them looks at what runs.
The operations check what was asked first, keep the change through the store, then tell the reconciler. The laws, which
the tests prove:

- After `promoted(record, version)` the label `stable` is on the version and no route is in the way.
- `rolled_back` undoes promotions one by one, latest first, and skips versions that are gone.
- After `without_version` nothing in the record refers to the version, but for a policy that names it.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec

from salver.errors import Code, RequestError
from salver.models.naming import NAME_RULE, is_name
from salver.models.routing import HEADER, PRINCIPAL
from salver.store.base import ModelRecord
from salver.types import STABLE, ModelRoute, PolicyKind, Scale, VersionPolicy

MAX_HISTORY = 50
"""How many promotions can be rolled back."""

MAX_REPLICAS = 1000
"""Of each version: a slip of the finger must not take the machine down."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


# Changes


def revised(record: ModelRecord, *, at: float, by: str) -> ModelRecord:
    """The record as the next revision, to be kept: who changed it, and when in seconds since the epoch."""
    return msgspec.structs.replace(record, revision=record.revision + 1, updated_at=at, updated_by=by)


def promoted(record: ModelRecord, version: int, *, answered: int | None = None) -> ModelRecord:
    """`version` answers requests that name none. The route ends: it would go on sending them elsewhere.

    `answered` is what answered them before, where no version had the label `stable`: a rollback goes back to it.
    """
    before = record if STABLE in record.labels or answered is None else _with_stable(record, answered)
    return msgspec.structs.replace(_with_stable(before, version), route=None, policy=_stable_answers(record.policy))


def rolled_back(record: ModelRecord, known: Collection[int]) -> ModelRecord:
    """The version that was `stable` before is so again, and the route ends.

    Raises RequestError(CONFLICT) when there is no such version.
    """
    stable = record.labels.get(STABLE)
    history = list(record.stable_history)
    while history:
        earlier = history.pop()
        if earlier in known and earlier != stable:
            labels = {**record.labels, STABLE: earlier}
            policy = _stable_answers(record.policy)
            return msgspec.structs.replace(
                record, labels=labels, stable_history=tuple(history), route=None, policy=policy
            )
    raise RequestError(
        Code.CONFLICT,
        f"The model {record.name!r} has no earlier stable version to go back to.",
        fix="Promote the version that should answer.",
    )


def labelled(record: ModelRecord, label: str, version: int | None) -> ModelRecord:
    """The label is on `version`, or nowhere for None. What was `stable` is remembered for a rollback."""
    if label == STABLE:
        return _with_stable(record, version)
    return msgspec.structs.replace(record, labels=_with_label(record, label, version))


def routed(record: ModelRecord, route: ModelRoute | None) -> ModelRecord:
    """Requests that name no version go as the route says; None: to the default version."""
    return msgspec.structs.replace(record, route=route)


def scaled(record: ModelRecord, scale: Scale) -> ModelRecord:
    return msgspec.structs.replace(record, scale=scale)


def with_policy(record: ModelRecord, policy: VersionPolicy) -> ModelRecord:
    """Which versions are loaded is as `policy` says; which of them answers by default stays as it is."""
    kept = msgspec.structs.replace(policy, highest_answers=record.policy.highest_answers)
    return msgspec.structs.replace(record, policy=kept)


def scaled_version(record: ModelRecord, version: int, replicas: int) -> ModelRecord:
    """The version has so many replicas, whatever others have; with 0 it is not loaded."""
    by_version = {**record.scale.by_version, version: replicas}
    return scaled(record, msgspec.structs.replace(record.scale, by_version=by_version))


def unloaded(record: ModelRecord) -> ModelRecord:
    """Nothing of the model is loaded. All else stays, for when it is loaded again."""
    return msgspec.structs.replace(record, is_unloaded=True)


def loaded(record: ModelRecord) -> ModelRecord:
    return msgspec.structs.replace(record, is_unloaded=False)


def without_version(record: ModelRecord, version: int) -> ModelRecord:
    """The version is gone, and with it its labels, its place in the route and its place in the history.

    A policy keeps naming it: who named versions one by one did not ask for others.
    """
    labels = {label: number for label, number in record.labels.items() if number != version}
    history = tuple(number for number in record.stable_history if number != version)
    by_version = {number: replicas for number, replicas in record.scale.by_version.items() if number != version}
    route = record.route
    if route is not None and version in route.weights:
        weights = {number: weight for number, weight in route.weights.items() if number != version}
        route = msgspec.structs.replace(route, weights=weights) if weights else None
    scale = msgspec.structs.replace(record.scale, by_version=by_version)
    return msgspec.structs.replace(record, labels=labels, stable_history=history, route=route, scale=scale)


def _stable_answers(policy: VersionPolicy) -> VersionPolicy:
    """Whoever promotes a version wants it to answer."""
    return msgspec.structs.replace(policy, highest_answers=False)


def _with_stable(record: ModelRecord, version: int | None) -> ModelRecord:
    stable = record.labels.get(STABLE)
    history = record.stable_history
    if stable is not None and stable != version:
        history = (*history, stable)[-MAX_HISTORY:]
    return msgspec.structs.replace(record, labels=_with_label(record, STABLE, version), stable_history=history)


def _with_label(record: ModelRecord, label: str, version: int | None) -> dict[str, int]:
    others = {name: number for name, number in record.labels.items() if name != label}
    return others if version is None else {**others, label: version}


# What may be asked for


def check_version(model: str, version: int, known: Collection[int]) -> None:
    """Raises RequestError(VERSION_NOT_FOUND) when the model has no such version."""
    if version not in known:
        versions = ", ".join(str(number) for number in sorted(known, reverse=True)) or "none"
        message = f"The model {model!r} has no version {version}; it has {versions}."
        raise RequestError(Code.VERSION_NOT_FOUND, message, fix="Name a version that is there, or publish this one.")


def check_label(label: str) -> None:
    """Raises RequestError(INVALID_INPUT) for what may not be a label. Digits alone would be taken for a version."""
    if not is_name(label) or label.isdigit():
        raise _invalid(f"{label!r} is no label: a label is {NAME_RULE}, and not digits alone.", "Choose another label.")


def check_route(model: str, route: ModelRoute, known: Collection[int]) -> None:
    """Raises RequestError(INVALID_INPUT | VERSION_NOT_FOUND)."""
    if not route.weights:
        raise _invalid(
            "A route needs at least one version with a weight.", "Give versions with weights, or clear the route."
        )
    for version, weight in route.weights.items():
        check_version(model, version, known)
        if weight < 1:
            message = f"The weight of version {version} is {weight}; a weight is a whole number above 0."
            raise _invalid(message, "Leave out the version that should get nothing.")
    if route.sticky not in ("", PRINCIPAL) and not _names_header(route.sticky):
        message = f"A route cannot be sticky by {route.sticky!r}."
        raise _invalid(message, "Write `principal`, or `header:` and the name of a header, or leave it out.")


def check_policy(policy: VersionPolicy) -> None:
    """Raises RequestError(INVALID_INPUT)."""
    if policy.kind is PolicyKind.LATEST and policy.count < 1:
        message = f"The policy `latest` needs a count of at least 1, not {policy.count}."
        raise _invalid(message, "To have no version loaded, unload the model.")
    if policy.kind is PolicyKind.SPECIFIC and not policy.versions:
        raise _invalid("The policy `specific` needs the versions to load.", "Name at least one version.")
    if any(version < 0 for version in policy.versions):
        raise _invalid("A version is a whole number, 0 or above.", "Correct the versions of the policy.")


def check_scale(scale: Scale) -> None:
    """Raises RequestError(INVALID_INPUT)."""
    if scale.min_replicas < 1:
        message = f"A version that is loaded has at least 1 replica; min_replicas is {scale.min_replicas}."
        raise _invalid(message, "To have none, unload the model, or let it be loaded on demand.")
    if min(scale.by_version.values(), default=0) < 0:
        raise _invalid("A version has 0 replicas or more.", "To have none, ask for 0.")
    if max(scale.min_replicas, scale.replicas or 0, *scale.by_version.values()) > MAX_REPLICAS:
        message = f"A version may have {MAX_REPLICAS} replicas: each is a process of this machine."
        raise _invalid(message, "Ask for fewer.")
    _check_bounds(scale.min_replicas, scale.replicas, scale.max_replicas)
    if scale.idle_unload_s is not None:
        _check_idle_unload(scale, scale.idle_unload_s)


def _check_bounds(minimum: int, replicas: int | None, maximum: int | None) -> None:
    if maximum is not None and maximum < minimum:
        message = f"max_replicas is {maximum}, below min_replicas, which is {minimum}."
        raise _invalid(message, "Raise max_replicas, or lower min_replicas.")
    if replicas is None:
        return
    if replicas < minimum:
        raise _invalid(
            f"{replicas} replicas are fewer than min_replicas, which is {minimum}.", "Ask for more replicas."
        )
    if maximum is not None and replicas > maximum:
        raise _invalid(
            f"{replicas} replicas are more than max_replicas, which is {maximum}.", "Ask for fewer replicas."
        )


def _check_idle_unload(scale: Scale, idle_unload_s: float) -> None:
    if idle_unload_s <= 0:
        raise _invalid("idle_unload_s is a number of seconds above 0.", "Leave it out to keep what is loaded.")
    if not scale.is_on_demand:
        message = "Only a model that is loaded on demand can be unloaded when it is idle."
        raise _invalid(message, "Set is_on_demand, or leave out idle_unload_s.")
    if scale.is_pinned:
        message = "A model that is pinned is not unloaded when it is idle."
        raise _invalid(message, "Leave out idle_unload_s or is_pinned.")


def _names_header(sticky: str) -> bool:
    return sticky.startswith(HEADER) and _HEADER_NAME.fullmatch(sticky.removeprefix(HEADER)) is not None


def _invalid(message: str, fix: str) -> RequestError:
    return RequestError(Code.INVALID_INPUT, message, fix=fix)
