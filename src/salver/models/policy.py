"""Which versions of a model are loaded, and which one answers when a request names none. Pure.

The laws, which the tests prove:

- A version that is known and has a label, or a place in the route, is wanted, whatever the policy says.
- A further label or a further version in the route never makes a version unwanted.
- `latest` with a count of N picks the N highest versions, and all of them where there are fewer.
- Only known versions are wanted. A label or a route may name one that is gone; nothing can be loaded for it.
- While any version can be loaded and one is wanted, one that can be loaded is. What stands in is never a failed one.
- While any version serves, the default version is one that serves, and it is `stable` when that one does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from salver.store.base import ModelRecord
from salver.types import STABLE, ModelRoute, PolicyKind, Scale, VersionPolicy


def wanted_versions(
    known: Collection[int], policy: VersionPolicy, labels: Mapping[str, int], route: ModelRoute | None
) -> tuple[int, ...]:
    """The versions that should be loaded, highest first: the policy's, those with a label, those in the route."""
    routed = () if route is None else route.weights
    picked = {*policy_versions(known, policy), *labels.values(), *routed}
    return tuple(sorted(picked.intersection(known), reverse=True))


def stand_ins(
    wanted: Collection[int], failed: Collection[int], known: Collection[int], record: ModelRecord
) -> tuple[int, ...]:
    """What is loaded besides for wanted versions that have failed, so that somebody answers; also after a restart.

    For `stable` it is the version that was stable last, else the nearest below. Else `latest` has as many that have not
    failed as it counts. Whatever the policy, something is loaded while anything can be: the nearest below, or above.
    """
    able = set(known).difference(failed)
    stable = record.labels.get(STABLE)
    found: Collection[int] = ()
    if stable is not None and stable in failed:
        earlier = [version for version in record.stable_history if version in able]
        found = earlier[-1:] or _nearest(able, stable)
    elif record.policy.kind is PolicyKind.LATEST:
        found = policy_versions(able, record.policy)
    elif wanted and able.isdisjoint(wanted):
        found = _nearest(able, max(wanted))
    return tuple(sorted(set(found).difference(wanted), reverse=True))


def _nearest(able: Collection[int], version: int) -> list[int]:
    """The nearest below, else the lowest above; none where there is none."""
    below = [number for number in able if number < version]
    return [max(below)] if below else sorted(able)[:1]


def policy_versions(known: Collection[int], policy: VersionPolicy) -> tuple[int, ...]:
    """What the policy alone picks from the known versions, highest first."""
    highest_first = sorted(set(known), reverse=True)
    if policy.kind is PolicyKind.LATEST:
        return tuple(highest_first[: policy.count])
    if policy.kind is PolicyKind.SPECIFIC:
        return tuple(version for version in highest_first if version in policy.versions)
    return tuple(highest_first)


def answering_labels(policy: VersionPolicy, labels: Mapping[str, int]) -> Mapping[str, int]:
    """The labels that say which version is the default one: none, where it is the highest whatever they say."""
    return {} if policy.highest_answers else labels


def default_version(known: Collection[int], serving: Collection[int], labels: Mapping[str, int]) -> int | None:
    """The version that answers a request that names none, where no route says otherwise; None: there is no version.

    It is `stable`. Until that one serves, the nearest one below it that does stands in, else the nearest above: so a
    promotion leaves the old version in place until the new one is ready, and lets no newer trial answer meanwhile.
    A model without this label answers with the highest version that serves, and so does one whose policy says so:
    `labels` are the `answering_labels`. When none serves it is `stable` all the
    same, else the highest known version: the one whose state tells what is the matter.
    """
    stable = labels.get(STABLE)
    if stable is None:
        return max(serving, default=max(known, default=None))
    if serving:
        at_most = [version for version in serving if version <= stable]
        return max(at_most) if at_most else min(serving)
    return stable if stable in known else max(known, default=None)


def replica_count(scale: Scale, version: int, by_manifest: int) -> int:
    """How many replicas a version has: as was set for it alone, else for all within the bounds that were set, else as
    its model.toml says. Of one that is not to be loaded it is what a later loading begins with."""
    own = scale.by_version.get(version)
    if own:
        return own
    wanted = by_manifest if scale.replicas is None else scale.replicas
    at_least = max(wanted, scale.min_replicas)
    return at_least if scale.max_replicas is None else min(at_least, scale.max_replicas)
