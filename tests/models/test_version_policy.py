"""Which versions are wanted, and which one answers when nobody says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.models.policy import (
    answering_labels,
    default_version,
    policy_versions,
    replica_count,
    stand_ins,
    wanted_versions,
)
from salver.store.base import ModelRecord
from salver.types import STABLE, ModelRoute, PolicyKind, Scale, VersionPolicy

versions = st.integers(0, 12)
known_versions = st.frozensets(versions, max_size=8)
label_maps = st.dictionaries(st.sampled_from([STABLE, "canary", "best"]), versions)
routes = st.none() | st.builds(
    ModelRoute, weights=st.dictionaries(versions, st.integers(1, 100), min_size=1, max_size=4)
)
policies = st.builds(
    VersionPolicy,
    kind=st.sampled_from(PolicyKind),
    count=st.integers(1, 5),
    versions=st.lists(versions, max_size=4).map(tuple),
)
LATEST = VersionPolicy()


# Wanted


@pytest.mark.parametrize(
    ("policy", "picked"),
    [
        (VersionPolicy(), (9,)),
        (VersionPolicy(count=2), (9, 5)),
        (VersionPolicy(count=7), (9, 5, 3, 1)),
        (VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1, 5, 8)), (5, 1)),
        (VersionPolicy(kind=PolicyKind.ALL), (9, 5, 3, 1)),
    ],
)
def test_a_policy_picks_the_latest_the_named_or_all(policy: VersionPolicy, picked: tuple[int, ...]) -> None:
    assert policy_versions((3, 9, 1, 5), policy) == picked
    assert wanted_versions((3, 9, 1, 5), policy, {}, None) == picked


def test_a_label_and_a_place_in_the_route_keep_a_version_loaded() -> None:
    route = ModelRoute(weights={3: 90, 9: 10})
    assert wanted_versions((1, 3, 5, 9), LATEST, {STABLE: 1}, route) == (9, 3, 1)


@given(known_versions, policies, label_maps, routes)
def test_only_known_versions_are_wanted_each_once_and_highest_first(known, policy, labels, route) -> None:
    wanted = wanted_versions(known, policy, labels, route)
    assert set(wanted) <= known
    assert list(wanted) == sorted(set(wanted), reverse=True)


@given(known_versions, policies, label_maps, routes)
def test_a_version_with_a_label_or_in_the_route_is_never_dropped(known, policy, labels, route) -> None:
    held = {*labels.values(), *(route.weights if route else ())}
    assert held & known <= set(wanted_versions(known, policy, labels, route))


@given(known_versions, policies, label_maps, routes, st.text(), versions)
def test_one_more_label_makes_no_version_unwanted(known, policy, labels, route, label, version) -> None:
    before = wanted_versions(known, policy, labels, route)
    assert set(before) <= set(wanted_versions(known, policy, {f"{label}+": version, **labels}, route))


@given(known_versions, policies, label_maps, routes, versions)
def test_one_more_version_in_the_route_makes_none_unwanted(known, policy, labels, route, version) -> None:
    wider = ModelRoute(weights={version: 1, **(route.weights if route else {})})
    before = wanted_versions(known, policy, labels, route)
    assert set(before) <= set(wanted_versions(known, policy, labels, wider))


@given(known_versions, st.integers(1, 10), label_maps, routes)
def test_latest_never_picks_fewer_than_its_count_while_there_are_as_many(known, count, labels, route) -> None:
    wanted = wanted_versions(known, VersionPolicy(count=count), labels, route)
    assert len(wanted) >= min(count, len(known))
    assert wanted[:count] == tuple(sorted(known, reverse=True)[:count])


# The default


@pytest.mark.parametrize(
    ("serving", "labels", "default"),
    [
        ((1, 3), {}, 3),
        ((), {}, 5),
        ((1, 3, 5), {STABLE: 3}, 3),
        ((), {STABLE: 3}, 3),
        ((), {STABLE: 9}, 5),
        ((1, 3), {"canary": 1}, 3),
    ],
)
def test_the_default_is_stable_else_the_highest(serving, labels, default) -> None:
    assert default_version((1, 3, 5), serving, labels) == default


def test_the_old_version_answers_until_the_one_that_was_promoted_is_ready() -> None:
    """And the trial of a newer one takes no more than the route gives it."""
    assert default_version((3, 4, 5), (3, 5), {STABLE: 4}) == 3
    assert default_version((3, 4, 5), (3, 4, 5), {STABLE: 4}) == 4


def test_the_nearest_version_answers_until_the_one_that_was_rolled_back_to_is_ready() -> None:
    assert default_version((3, 4, 5), (4, 5), {STABLE: 3}) == 4


def test_a_model_without_versions_has_no_default() -> None:
    assert default_version((), (), {}) is None
    assert default_version((), (), {STABLE: 1}) is None


@given(known_versions, label_maps, st.data())
def test_while_any_version_serves_the_default_is_one_that_does(known, labels, data) -> None:
    serving = data.draw(st.frozensets(st.sampled_from(sorted(known)))) if known else frozenset()
    default = default_version(known, serving, labels)
    assert (default is None) == (not known)
    if serving:
        assert default in serving
    if labels.get(STABLE) in serving:
        assert default == labels[STABLE]


# What stands in


ALL = VersionPolicy(kind=PolicyKind.ALL)
SPECIFIC = VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(9,))


@pytest.mark.parametrize(
    ("wanted", "failed", "fields", "versions"),
    [
        ((5,), (), {}, ()),
        ((5,), (5,), {}, (4,)),
        ((5,), (5, 4), {}, (3,)),
        ((5, 4), (5,), {"policy": VersionPolicy(count=2)}, (3,)),
        ((5, 4), (5,), {"policy": SPECIFIC}, ()),
        ((5,), (5,), {"policy": SPECIFIC}, (4,)),
        ((1,), (1,), {"policy": SPECIFIC}, (2,)),
        ((5, 3), (3,), {"labels": {STABLE: 3}}, (2,)),
        ((5, 3), (3,), {"labels": {STABLE: 3}, "stable_history": (2, 1)}, (1,)),
        ((5, 3), (3, 1), {"labels": {STABLE: 3}, "stable_history": (2, 1)}, (2,)),
        ((5,), (5,), {"labels": {STABLE: 5}, "stable_history": (2,)}, (2,)),
        ((5,), (1, 2, 3, 4, 5), {}, ()),
        ((5, 4, 3, 2, 1), (5,), {"policy": ALL}, ()),
        ((), (5,), {"policy": SPECIFIC}, ()),
    ],
)
def test_for_what_has_failed_other_versions_stand_in(wanted, failed, fields, versions) -> None:
    record = ModelRecord(name="m", updated_at=0.0, updated_by="", **fields)
    assert stand_ins(wanted, failed, (1, 2, 3, 4, 5), record) == versions


# Replicas


@pytest.mark.parametrize(
    ("scale", "count"),
    [
        (Scale(), 2),
        (Scale(replicas=5), 5),
        (Scale(min_replicas=3), 3),
        (Scale(max_replicas=1), 1),
        (Scale(replicas=9, max_replicas=4), 4),
        (Scale(min_replicas=2, max_replicas=4), 2),
    ],
)
def test_replicas_are_as_set_else_as_the_manifest_says_within_the_bounds(scale: Scale, count: int) -> None:
    assert replica_count(scale, 1, by_manifest=2) == count


@given(st.sets(st.integers(1, 9), min_size=1), st.integers(1, 9))
def test_where_the_highest_answers_no_label_leads_away_from_it(serving: set[int], stable: int) -> None:
    labels = answering_labels(VersionPolicy(highest_answers=True), {STABLE: stable})
    assert default_version(serving, serving, labels) == max(serving)
    assert answering_labels(VersionPolicy(), {STABLE: stable}) == {STABLE: stable}
