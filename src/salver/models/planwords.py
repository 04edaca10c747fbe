"""The words of a plan for each thing that can be set: a policy, labels, a route, a scale. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from salver.models.routing import HEADER, PRINCIPAL
from salver.types import ModelRoute, ModelVersion, PolicyKind, Preserve, Scale, VersionPolicy


def named(model: str, version: int) -> str:
    return str(ModelVersion(model, version))


def replicas(count: int) -> str:
    return "1 replica" if count == 1 else f"{count} replicas"


def policy_step(model: str, policy: VersionPolicy) -> str:
    order = (
        "the new one ready before an old one is stopped"
        if policy.preserve is Preserve.AVAILABILITY
        else "an old one stopped before the new one is loaded"
    )
    return f"keep {_picked(model, policy)} loaded, {order}"


def _picked(model: str, policy: VersionPolicy) -> str:
    if policy.kind is PolicyKind.ALL:
        return f"all versions of {model}"
    if policy.kind is PolicyKind.SPECIFIC:
        return joined([named(model, version) for version in sorted(policy.versions)])
    return f"the latest version of {model}" if policy.count == 1 else f"the latest {policy.count} versions of {model}"


def label_steps(model: str, before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    """What becomes of each label, by its name."""
    for label in sorted({*before, *after}):
        had, has = before.get(label), after.get(label)
        if has is None and had is not None:
            yield f"take the label `{label}` off {named(model, had)}"
        elif has is not None and had is None:
            yield f"put the label `{label}` on {named(model, has)}"
        elif has is not None and had is not None and has != had:
            yield f"move the label `{label}` from {named(model, had)} to {named(model, has)}"


def route_step(model: str, route: ModelRoute) -> str:
    total = sum(route.weights.values())
    shares = [
        f"{100 * weight / total:.3g} % to {named(model, version)}" for version, weight in sorted(route.weights.items())
    ]
    return f"send requests that name no version: {joined(shares)}{_stickiness(route.sticky)}"


def _stickiness(sticky: str) -> str:
    if sticky == PRINCIPAL:
        return ", each caller always to the same"
    if sticky.startswith(HEADER):
        return f", each value of the header {sticky.removeprefix(HEADER)} always to the same"
    return ""


def replicas_step(model: str, scale: Scale) -> str:
    """What is told when the number of replicas is set and no version that is loaded gets another number."""
    if scale.replicas is None:
        return f"run as many replicas of each version of {model} as its model.toml says"
    return f"run {replicas(scale.replicas)} of each version of {model}"


def scale_bounds_step(model: str, before: Scale, after: Scale) -> str:
    """Empty when the bounds stay."""
    if (before.min_replicas, before.max_replicas) == (after.min_replicas, after.max_replicas):
        return ""
    upper = "" if after.max_replicas is None else f" and at most {after.max_replicas}"
    return f"let each version of {model} have at least {after.min_replicas}{upper} replicas"


def residency_steps(model: str, before: Scale, after: Scale) -> Iterator[str]:
    """When the model is in memory, as far as that changes."""
    if before.is_on_demand != after.is_on_demand:
        yield (
            f"load {model} when the first request for it comes, and unload it when others need the memory"
            if after.is_on_demand
            else f"load {model} at once, and keep it loaded"
        )
    if before.idle_unload_s != after.idle_unload_s:
        yield (
            f"no longer unload {model} because it is idle"
            if after.idle_unload_s is None
            else f"unload {model} when nobody has asked for it for {after.idle_unload_s:g} s"
        )
    if before.is_pinned != after.is_pinned:
        yield (
            f"keep {model} in memory whatever others need"
            if after.is_pinned
            else f"let {model} make room for others when it is loaded on demand"
        )


def joined(parts: list[str]) -> str:
    """`a, b and c`."""
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last
