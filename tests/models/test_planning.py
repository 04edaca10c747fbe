"""What a change says that it will do."""

from __future__ import annotations

import msgspec
import pytest

from salver.models import desired
from salver.models.planning import ModelState, Plan, plan
from salver.store.base import ModelRecord
from salver.types import STABLE, ModelRoute, PolicyKind, Preserve, Scale, VersionFailure, VersionPolicy

ROUTE = ModelRoute(weights={3: 90, 4: 10})
BROKEN = VersionFailure(code="LOAD_FAILED", message="No module named 'x'.")


def state(*known: int, serving: tuple[int, ...] | None = None, **fields: object) -> ModelState:
    """A model whose wanted versions serve, unless it is said which do; fields of the record and of the state alike."""
    own = {name: fields.pop(name) for name in ("failures", "replicas", "examples") if name in fields}
    record = ModelRecord(**({"name": "iris", "updated_at": 1.0, "updated_by": "key:a"} | fields))  # type: ignore[arg-type]
    found = ModelState(name="iris", record=record, known=known, **own)  # type: ignore[arg-type]
    return msgspec.structs.replace(found, serving=found.loadable if serving is None else serving)


def changed(before: ModelState, record: ModelRecord | None = None, **fields: object) -> ModelState:
    return msgspec.structs.replace(before, record=record or before.record, **fields)


def steps(before: ModelState | None, after: ModelState | None) -> list[str]:
    """The steps of a change that needs no warning."""
    told = plan(before, after)
    assert told.warnings == ()
    return list(told.steps)


# Nothing


def test_what_changes_nothing_has_no_plan() -> None:
    before = state(3, 4, serving=())
    assert plan(before, before) == Plan()
    assert plan(None, None) == Plan()


def test_a_revision_is_no_change_nor_is_what_happens_to_run() -> None:
    before = state(3, 4)
    after = changed(before, desired.revised(before.record, at=9.0, by="key:b"), serving=(3,))
    assert plan(before, after) == Plan()


# Publish


def test_a_first_version_is_kept_loaded_verified_and_then_answers() -> None:
    assert steps(None, state(1, examples=(1,), replicas={1: 2})) == [
        "keep iris/1 in the repository",
        "load iris/1 (2 replicas), verify its example, then answer requests that name no version with it",
    ]


def test_a_new_version_is_ready_before_the_old_one_is_stopped() -> None:
    before = state(2)
    assert steps(before, changed(before, known=(2, 3))) == [
        "keep iris/3 in the repository",
        "load iris/3 (1 replica), then answer requests that name no version with it",
        "drain and stop iris/2",
    ]


def test_to_preserve_resources_the_old_version_is_stopped_first() -> None:
    before = state(2, policy=VersionPolicy(preserve=Preserve.RESOURCES))
    told = plan(before, changed(before, known=(2, 3)))
    assert [step.split()[0] for step in told.steps] == ["keep", "drain", "load"]
    assert told.warnings == ("no version of iris would answer requests until another one is loaded",)


def test_a_version_beside_a_stable_one_does_not_answer_requests_without_a_version() -> None:
    before = state(2, labels={STABLE: 2})
    assert steps(before, changed(before, known=(2, 3))) == [
        "keep iris/3 in the repository",
        "load iris/3 (1 replica)",
    ]


def test_a_version_that_nothing_picks_is_kept_and_not_loaded() -> None:
    before = state(2, policy=VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(2,)))
    assert plan(before, changed(before, known=(2, 3))) == Plan(
        steps=("keep iris/3 in the repository",),
        warnings=("iris/3 would not be loaded: no policy, label or route picks it",),
    )
    before = state(2, is_unloaded=True)
    assert plan(before, changed(before, known=(2, 3))).warnings == (
        "iris/3 would not be loaded: the model is unloaded",
    )


def test_a_version_of_a_model_on_demand_waits_for_its_first_request() -> None:
    before = state(2, scale=Scale(is_on_demand=True))
    assert plan(before, changed(before, known=(2, 3))) == Plan(
        steps=(
            "keep iris/3 in the repository",
            "load iris/3 (1 replica) when the first request for it comes",
            "answer requests that name no version with iris/3",
            "drain and stop iris/2",
        ),
        warnings=("the first requests for iris would wait until a version is loaded",),
    )


# Promote and roll back


def test_to_promote_a_version_that_serves_switches_to_it() -> None:
    before = state(2, 3, labels={STABLE: 2})
    assert steps(before, changed(before, desired.promoted(before.record, 3))) == [
        "move the label `stable` from iris/2 to iris/3",
        "answer requests that name no version with iris/3",
        "drain and stop iris/2",
    ]


def test_to_promote_ends_a_route() -> None:
    before = state(3, 4, labels={STABLE: 3}, route=ROUTE)
    assert steps(before, changed(before, desired.promoted(before.record, 4))) == [
        "move the label `stable` from iris/3 to iris/4",
        "end the route of iris",
        "answer requests that name no version with iris/4",
        "drain and stop iris/3",
    ]


def test_to_end_a_route_names_what_answers_then_even_if_it_did_before_the_route() -> None:
    before = state(3, 4, labels={STABLE: 3}, route=ROUTE)
    assert steps(before, changed(before, desired.routed(before.record, None))) == [
        "end the route of iris",
        "answer requests that name no version with iris/3",
    ]


def test_to_promote_a_version_that_failed_warns_and_stops_nothing() -> None:
    before = state(3, 7, labels={STABLE: 3}, failures={7: BROKEN})
    assert plan(before, changed(before, desired.promoted(before.record, 7))) == Plan(
        steps=("move the label `stable` from iris/3 to iris/7",),
        warnings=(
            "iris/3 would go on answering: nothing that is wanted then can be loaded",
            "version 7 has failed before: No module named 'x'.",
        ),
    )


def test_to_promote_a_version_that_failed_leaves_its_stand_in_where_resources_are_preserved() -> None:
    before = state(3, 7, labels={STABLE: 3}, failures={7: BROKEN}, policy=VersionPolicy(preserve=Preserve.RESOURCES))
    told = plan(before, changed(before, desired.promoted(before.record, 7)))
    assert told.steps == ("move the label `stable` from iris/3 to iris/7",)
    assert told.warnings[0] == "iris/3 would go on answering: nothing that is wanted then can be loaded"


def test_to_roll_back_loads_the_earlier_version_before_the_later_one_stops() -> None:
    before = state(2, 3, labels={STABLE: 3}, stable_history=(2,))
    assert steps(before, changed(before, desired.rolled_back(before.record, before.known))) == [
        "load iris/2 (1 replica), then answer requests that name no version with it",
        "move the label `stable` from iris/3 to iris/2",
    ]


# Labels and routes


def test_a_label_keeps_a_version_loaded_and_frees_it() -> None:
    before = state(2, 3)
    after = changed(before, desired.labelled(before.record, "canary", 2))
    assert steps(before, after) == ["load iris/2 (1 replica)", "put the label `canary` on iris/2"]
    assert plan(msgspec.structs.replace(after, serving=(2, 3)), before) == Plan(
        steps=("take the label `canary` off iris/2", "drain and stop iris/2"),
        warnings=("requests that name the label `canary` would be refused then",),
    )


def test_a_version_that_is_still_starting_is_stopped_without_a_drain() -> None:
    before = state(2, 3, labels={"canary": 2}, serving=(3,))
    after = changed(before, desired.labelled(before.record, "canary", None))
    assert plan(before, after).steps[-1] == "stop iris/2"


@pytest.mark.parametrize("fields", [{"failures": {2: BROKEN}}, {"scale": Scale(is_on_demand=True)}])
def test_a_version_that_does_not_run_need_not_be_stopped(fields: dict[str, object]) -> None:
    before = state(2, 3, labels={"canary": 2}, serving=(3,), **fields)
    after = changed(before, desired.labelled(before.record, "canary", None))
    assert plan(before, after).steps == ("take the label `canary` off iris/2",)


def test_a_version_that_is_wanted_again_while_it_serves_is_kept() -> None:
    before = state(2, 3, serving=(2, 3))
    after = changed(before, desired.labelled(before.record, "canary", 2))
    assert steps(before, after) == ["keep iris/2, which serves", "put the label `canary` on iris/2"]


@pytest.mark.parametrize(
    ("sticky", "words"),
    [
        ("", ""),
        ("principal", ", each caller always to the same"),
        ("header:X-User", ", each value of the header X-User always to the same"),
    ],
)
def test_a_route_tells_its_shares(sticky: str, words: str) -> None:
    before = state(3, 4, 5, policy=VersionPolicy(count=3))
    route = ModelRoute(weights={4: 1, 3: 1, 5: 1}, sticky=sticky)
    assert steps(before, changed(before, desired.routed(before.record, route))) == [
        f"send requests that name no version: 33.3 % to iris/3, 33.3 % to iris/4 and 33.3 % to iris/5{words}"
    ]


def test_a_change_beside_a_route_does_not_tell_the_route_again() -> None:
    before = state(3, 4, route=ROUTE)
    assert steps(before, changed(before, known=(3, 4, 5))) == [
        "keep iris/5 in the repository",
        "load iris/5 (1 replica)",
    ]


def test_a_route_to_a_version_that_failed_warns() -> None:
    before = state(3, 4, policy=VersionPolicy(count=2), failures={4: BROKEN})
    told = plan(before, changed(before, desired.routed(before.record, ROUTE)))
    assert told.warnings == ("version 4 has failed before: No module named 'x'.",)
    assert plan(before, changed(before, desired.routed(before.record, ModelRoute(weights={3: 1})))).warnings == ()


# Policy and scale


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (
            VersionPolicy(count=2),
            "the latest 2 versions of iris loaded, the new one ready before an old one is stopped",
        ),
        (VersionPolicy(kind=PolicyKind.ALL), "all versions of iris loaded, the new one ready before"),
        (
            VersionPolicy(preserve=Preserve.RESOURCES),
            "the latest version of iris loaded, an old one stopped before the new one is loaded",
        ),
        (VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(3, 2)), "iris/2 and iris/3 loaded"),
    ],
)
def test_a_policy_tells_what_it_keeps(policy: VersionPolicy, words: str) -> None:
    before = state(2, 3)
    told = steps(before, changed(before, desired.with_policy(before.record, policy)))
    assert told[0].startswith(f"keep {words}")
    assert told[1:] in ([], ["load iris/2 (1 replica)"])


def test_a_policy_may_name_versions_that_are_not_there_with_a_warning() -> None:
    before = state(3)
    policy = VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(3, 9))
    assert plan(before, changed(before, desired.with_policy(before.record, policy))).warnings == (
        "the policy names iris/9, which is not there",
    )


@pytest.mark.parametrize(
    ("scale", "told"),
    [
        (Scale(replicas=3), ["run 3 replicas of iris/3 instead of 2"]),
        (Scale(replicas=2), ["run 2 replicas of each version of iris"]),
        (Scale(max_replicas=4), ["let each version of iris have at least 1 and at most 4 replicas"]),
        (
            Scale(min_replicas=3),
            ["let each version of iris have at least 3 replicas", "run 3 replicas of iris/3 instead of 2"],
        ),
        (
            Scale(is_on_demand=True, idle_unload_s=300),
            [
                "load iris when the first request for it comes, and unload it when others need the memory",
                "unload iris when nobody has asked for it for 300 s",
            ],
        ),
        (Scale(is_pinned=True), ["keep iris in memory whatever others need"]),
    ],
)
def test_a_scale_tells_what_changes(scale: Scale, told: list[str]) -> None:
    before = state(2, 3, replicas={3: 2})
    assert steps(before, changed(before, desired.scaled(before.record, scale))) == told


def test_a_scale_that_is_taken_back_tells_so() -> None:
    before = state(3, scale=Scale(replicas=1, is_on_demand=True, idle_unload_s=300, is_pinned=True))
    assert steps(before, changed(before, desired.scaled(before.record, Scale()))) == [
        "load iris at once, and keep it loaded",
        "no longer unload iris because it is idle",
        "let iris make room for others when it is loaded on demand",
        "run as many replicas of each version of iris as its model.toml says",
    ]


# Unload, load, delete


def test_to_unload_stops_all_and_warns() -> None:
    before = state(2, 3, policy=VersionPolicy(count=2))
    assert plan(before, changed(before, desired.unloaded(before.record))) == Plan(
        steps=("load nothing of iris until somebody asks for that", "drain and stop iris/3", "drain and stop iris/2"),
        warnings=("no version of iris would answer requests then",),
    )


def test_to_load_brings_all_back() -> None:
    before = state(2, 3, is_unloaded=True)
    assert steps(before, changed(before, desired.loaded(before.record))) == [
        "let iris be loaded again",
        "load iris/3 (1 replica), then answer requests that name no version with it",
    ]


def test_to_load_a_version_that_failed_tries_it_again() -> None:
    before = state(2, failures={2: BROKEN})
    assert steps(before, changed(before, failures={})) == [
        "load iris/2 again (1 replica), then answer requests that name no version with it"
    ]


def test_to_delete_a_version_falls_back_to_another() -> None:
    before = state(2, 3)
    after = changed(before, desired.without_version(before.record, 3), known=(2,))
    assert plan(before, after) == Plan(
        steps=(
            "load iris/2 (1 replica), then answer requests that name no version with it",
            "drain and stop iris/3",
            "remove iris/3 from the repository",
        ),
        warnings=("no version of iris would answer requests if none of the others can be loaded",),
    )


def test_to_delete_a_version_beside_one_that_serves_needs_no_warning() -> None:
    before = state(2, 3, policy=VersionPolicy(count=2))
    after = changed(before, desired.without_version(before.record, 3), known=(2,))
    assert steps(before, after) == [
        "answer requests that name no version with iris/2",
        "drain and stop iris/3",
        "remove iris/3 from the repository",
    ]


def test_to_delete_the_last_version_that_can_be_loaded_warns() -> None:
    before = state(2, 3, failures={2: BROKEN})
    after = changed(before, desired.without_version(before.record, 3), known=(2,))
    assert plan(before, after) == Plan(
        steps=("drain and stop iris/3", "remove iris/3 from the repository"),
        warnings=(
            "no version of iris would answer requests then",
            "version 2 has failed before: No module named 'x'.",
        ),
    )


def test_to_delete_a_model_leaves_nothing_and_warns() -> None:
    before = state(2, 3, labels={"canary": 3})
    assert plan(before, None) == Plan(
        steps=(
            "drain and stop iris/3",
            "remove iris/3 from the repository",
            "remove iris/2 from the repository",
            "forget the labels, the route and the settings of iris",
        ),
        warnings=("no version of iris would answer requests then",),
    )


def test_to_delete_a_model_that_never_answered_needs_no_warning() -> None:
    assert steps(state(2, is_unloaded=True), None) == [
        "remove iris/2 from the repository",
        "forget the labels, the route and the settings of iris",
    ]
