"""How an operation changes what should be served, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from salver.errors import Code, RequestError
from salver.models import desired
from salver.store.base import ModelRecord
from salver.types import STABLE, ModelRoute, PolicyKind, Preserve, Scale, VersionPolicy

ROUTE = ModelRoute(weights={3: 90, 4: 10})


def record(**fields: object) -> ModelRecord:
    plain = {"name": "iris", "updated_at": 1.0, "updated_by": "key:a"}
    return ModelRecord(**(plain | fields))  # type: ignore[arg-type]


def stable(version: int, *history: int, **fields: object) -> ModelRecord:
    return record(labels={STABLE: version}, stable_history=history, **fields)


# Changes


def test_a_change_that_is_kept_is_the_next_revision_with_who_and_when() -> None:
    changed = desired.revised(record(revision=4), at=9.0, by="key:b")
    assert changed == record(revision=5, updated_at=9.0, updated_by="key:b")


def test_to_promote_moves_stable_remembers_the_old_one_and_ends_the_route() -> None:
    assert desired.promoted(stable(3, 1, route=ROUTE), 4) == stable(4, 1, 3)


def test_to_promote_what_is_stable_already_only_ends_the_route() -> None:
    assert desired.promoted(stable(3, 1, route=ROUTE), 3) == stable(3, 1)


def test_the_first_promotion_remembers_what_answered_before_without_a_label() -> None:
    assert desired.promoted(record(), 4) == stable(4)
    assert desired.promoted(record(), 4, answered=3) == stable(4, 3)
    assert desired.promoted(record(), 4, answered=4) == stable(4)
    assert desired.promoted(stable(2), 4, answered=3) == stable(4, 2)


def test_a_change_leaves_the_record_that_it_was_given_alone() -> None:
    before = stable(3)
    desired.promoted(before, 4)
    desired.labelled(before, "canary", 4)
    assert before == stable(3)


def test_to_roll_back_undoes_promotions_one_by_one_and_ends_the_route() -> None:
    later = desired.rolled_back(stable(4, 1, 3, route=ROUTE), (1, 3, 4))
    assert later == stable(3, 1)
    assert desired.rolled_back(later, (1, 3, 4)) == stable(1)


def test_to_roll_back_skips_what_is_gone_and_what_is_stable_now() -> None:
    assert desired.rolled_back(stable(4, 1, 2, 4), (1, 4)) == stable(1)


def test_to_roll_back_works_after_the_label_was_taken_off() -> None:
    assert desired.rolled_back(desired.labelled(stable(3), STABLE, None), (3, 4)) == stable(3)


@pytest.mark.parametrize("before", [record(), stable(3), stable(3, 3), stable(3, 9)])
def test_to_roll_back_without_an_earlier_version_is_refused(before: ModelRecord) -> None:
    with pytest.raises(RequestError, match="'iris' has no earlier stable version") as caught:
        desired.rolled_back(before, (3, 4))
    assert caught.value.code is Code.CONFLICT


def test_the_history_has_an_end() -> None:
    changed = record()
    for version in range(desired.MAX_HISTORY + 10):
        changed = desired.promoted(changed, version)
    assert len(changed.stable_history) == desired.MAX_HISTORY
    assert changed.stable_history[-1] == desired.MAX_HISTORY + 8


def test_a_label_is_put_moved_and_taken_off() -> None:
    put = desired.labelled(record(), "canary", 4)
    assert put.labels == {"canary": 4}
    assert desired.labelled(put, "canary", 5).labels == {"canary": 5}
    assert desired.labelled(put, "canary", None).labels == {}
    assert desired.labelled(record(), "canary", None) == record()


def test_the_label_stable_can_be_moved_by_hand_and_rolled_back() -> None:
    assert desired.labelled(stable(3, route=ROUTE), STABLE, 4) == stable(4, 3, route=ROUTE)


def test_what_is_set_is_set_and_nothing_else() -> None:
    policy, scale = VersionPolicy(count=2), Scale(replicas=2)
    assert desired.routed(record(), ROUTE) == record(route=ROUTE)
    assert desired.routed(record(route=ROUTE), None) == record()
    assert desired.scaled(record(), scale) == record(scale=scale)
    assert desired.with_policy(record(), policy) == record(policy=policy)
    assert desired.unloaded(record()) == record(is_unloaded=True)
    assert desired.loaded(record(is_unloaded=True)) == record()


def test_a_version_that_is_gone_leaves_its_labels_its_route_and_the_history() -> None:
    policy = VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(3, 4))
    before = record(labels={STABLE: 3, "canary": 4}, stable_history=(4, 1), route=ROUTE, policy=policy)
    after = desired.without_version(before, 4)
    assert after == stable(3, 1, route=ModelRoute(weights={3: 90}), policy=policy)
    assert desired.without_version(after, 3) == record(stable_history=(1,), policy=policy)
    assert desired.without_version(record(route=ROUTE), 9) == record(route=ROUTE)


# What may be asked for


def refusal(check: Callable[[], None], code: Code = Code.INVALID_INPUT) -> str:
    with pytest.raises(RequestError) as caught:
        check()
    assert caught.value.code is code
    assert caught.value.fix != code.fix
    return caught.value.message


def test_a_version_that_is_not_there_is_refused_with_those_that_are() -> None:
    desired.check_version("iris", 3, (3, 4))
    assert (
        refusal(lambda: desired.check_version("iris", 7, (3, 4)), Code.VERSION_NOT_FOUND)
        == "The model 'iris' has no version 7; it has 4, 3."
    )
    assert refusal(lambda: desired.check_version("iris", 7, ()), Code.VERSION_NOT_FOUND).endswith("it has none.")


@pytest.mark.parametrize("label", ["stable", "canary-2", "v1", "2.0", "A_b"])
def test_a_label_is_a_name(label: str) -> None:
    desired.check_label(label)


@pytest.mark.parametrize("label", ["", "7", "007", "-a", "a b", "a/b", "é", "x" * 129])
def test_what_is_no_name_or_could_be_a_version_is_no_label(label: str) -> None:
    assert "is no label" in refusal(lambda: desired.check_label(label))


@pytest.mark.parametrize("sticky", ["", "principal", "header:X-User", "header:x"])
def test_a_route_with_weights_of_known_versions_is_taken(sticky: str) -> None:
    desired.check_route("iris", ModelRoute(weights={3: 1, 4: 1_000_000}, sticky=sticky), (3, 4))


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (ModelRoute(weights={}), "at least one version"),
        (ModelRoute(weights={3: 0}), "The weight of version 3 is 0"),
        (ModelRoute(weights={3: 1, 4: -1}), "The weight of version 4 is -1"),
        (ModelRoute(weights={3: 1}, sticky="cookie"), "cannot be sticky by 'cookie'"),
        (ModelRoute(weights={3: 1}, sticky="header:"), "cannot be sticky by 'header:'"),
        (ModelRoute(weights={3: 1}, sticky="header:X User"), "cannot be sticky by"),
    ],
)
def test_a_route_that_means_nothing_is_refused(route: ModelRoute, words: str) -> None:
    assert words in refusal(lambda: desired.check_route("iris", route, (3, 4)))


def test_a_route_to_a_version_that_is_not_there_is_refused() -> None:
    route = ModelRoute(weights={3: 1, 9: 1})
    assert "no version 9" in refusal(lambda: desired.check_route("iris", route, (3, 4)), Code.VERSION_NOT_FOUND)


@pytest.mark.parametrize(
    "policy",
    [
        VersionPolicy(),
        VersionPolicy(kind=PolicyKind.ALL, count=0),
        VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(0, 9), preserve=Preserve.RESOURCES),
    ],
)
def test_a_policy_that_can_be_followed_is_taken(policy: VersionPolicy) -> None:
    desired.check_policy(policy)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (VersionPolicy(count=0), "a count of at least 1, not 0"),
        (VersionPolicy(kind=PolicyKind.SPECIFIC), "needs the versions"),
        (VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1, -1)), "0 or above"),
    ],
)
def test_a_policy_that_picks_nothing_is_refused(policy: VersionPolicy, words: str) -> None:
    assert words in refusal(lambda: desired.check_policy(policy))


@pytest.mark.parametrize(
    "scale",
    [
        Scale(),
        Scale(replicas=3, min_replicas=3, max_replicas=3),
        Scale(replicas=3),
        Scale(max_replicas=2),
        Scale(is_on_demand=True, idle_unload_s=300),
        Scale(is_on_demand=True, is_pinned=True),
    ],
)
def test_a_scale_within_its_bounds_is_taken(scale: Scale) -> None:
    desired.check_scale(scale)


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (Scale(min_replicas=0), "min_replicas is 0"),
        (Scale(replicas=1001), "may have 1000 replicas"),
        (Scale(min_replicas=10**9), "may have 1000 replicas"),
        (Scale(min_replicas=3, max_replicas=2), "max_replicas is 2, below min_replicas, which is 3"),
        (Scale(replicas=1, min_replicas=2), "1 replicas are fewer"),
        (Scale(replicas=5, max_replicas=4), "5 replicas are more"),
        (Scale(is_on_demand=True, idle_unload_s=0), "above 0"),
        (Scale(idle_unload_s=300), "loaded on demand"),
        (Scale(is_on_demand=True, is_pinned=True, idle_unload_s=300), "pinned"),
    ],
)
def test_a_scale_that_contradicts_itself_is_refused(scale: Scale, words: str) -> None:
    assert words in refusal(lambda: desired.check_scale(scale))


def test_whoever_promotes_wants_that_version_to_answer() -> None:
    record = ModelRecord(name="m", policy=VersionPolicy(highest_answers=True), updated_at=0.0, updated_by="")
    promoted = desired.promoted(record, 1, answered=2)
    assert not promoted.policy.highest_answers
    back = desired.rolled_back(promoted, (1, 2))
    assert (back.labels, back.policy.highest_answers) == ({STABLE: 2}, False)


def test_a_policy_for_what_is_loaded_leaves_what_answers() -> None:
    record = ModelRecord(name="m", policy=VersionPolicy(highest_answers=True), updated_at=0.0, updated_by="")
    changed = desired.with_policy(record, VersionPolicy(kind=PolicyKind.ALL))
    assert changed.policy == VersionPolicy(kind=PolicyKind.ALL, highest_answers=True)
