"""Each operation on a model as a pure function."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from salver.errors import Code, RequestError
from salver.models import edits
from salver.models.admission import check_name, check_number, check_revision, check_unused, next_version
from salver.models.planning import ModelState
from salver.store.base import ModelRecord
from salver.types import ModelRoute, PolicyKind, Scale, VersionFailure, VersionPolicy

RECORD = ModelRecord(name="m", updated_at=1.0, updated_by="somebody")
FAILURE = VersionFailure(code="LOAD_FAILED", message="no weights")
STATE = ModelState(name="m", record=RECORD, known=(3, 2, 1), serving=(3,))


def with_record(**fields: object) -> ModelState:
    return replace(STATE, record=replace(RECORD, **fields))


def refused(edit: edits.MakeEdit, state: ModelState = STATE) -> Code:
    with pytest.raises(RequestError) as error:
        edit(state)
    assert error.value.fix
    return error.value.code


def test_a_promotion_remembers_what_answered_before_it() -> None:
    edit = edits.promote(2)(STATE)
    assert (edit.record.labels, edit.record.stable_history, edit.version) == ({"stable": 2}, (3,), 2)
    back = edits.roll_back(replace(STATE, record=edit.record))
    assert (back.record.labels, back.version) == ({"stable": 3}, 3)


def test_a_version_that_is_not_there_is_not_promoted() -> None:
    assert refused(edits.promote(9)) is Code.VERSION_NOT_FOUND


def test_there_is_no_way_back_before_a_promotion() -> None:
    assert refused(edits.roll_back) is Code.CONFLICT


def test_there_is_no_way_back_to_a_version_that_has_failed() -> None:
    record = replace(STATE.record, labels={"stable": 1}, stable_history=(3, 2))
    back = edits.roll_back(replace(STATE, record=record, failures={2: FAILURE}))
    assert back.version == 3


def test_a_label_names_a_version_until_it_is_taken_away() -> None:
    edit = edits.label("canary", 3)(STATE)
    assert (edit.record.labels, edit.version) == ({"canary": 3}, 3)
    assert edits.label("canary", None)(replace(STATE, record=edit.record)).record.labels == {}


@pytest.mark.parametrize(
    ("name", "version", "code"),
    [
        ("canary", 9, Code.VERSION_NOT_FOUND),
        ("no label", 1, Code.INVALID_INPUT),
        ("7", 1, Code.INVALID_INPUT),
        ("canary", None, Code.LABEL_NOT_FOUND),
    ],
)
def test_a_label_that_makes_no_sense_is_refused(name: str, version: int | None, code: Code) -> None:
    assert refused(edits.label(name, version)) is code


def test_a_route_comes_and_goes() -> None:
    wanted = ModelRoute(weights={1: 1, 2: 3}, sticky="principal")
    assert edits.route(wanted)(STATE).record.route == wanted
    assert edits.route(None)(with_record(route=wanted)).record.route is None
    assert refused(edits.route(ModelRoute(weights={9: 1}))) is Code.VERSION_NOT_FOUND


def test_a_scale_is_made_of_the_present_one() -> None:
    state = with_record(scale=Scale(replicas=2, is_pinned=True))
    edit = edits.scale(lambda scale: replace(scale, replicas=3))(state)
    assert edit.record.scale == Scale(replicas=3, is_pinned=True)
    assert refused(edits.scale(lambda scale: replace(scale, min_replicas=0))) is Code.INVALID_INPUT


def test_a_policy_names_versions_that_are_there() -> None:
    wanted = VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1, 3))
    assert edits.policy(wanted)(STATE).record.policy == wanted
    assert refused(edits.policy(VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(9,)))) is Code.VERSION_NOT_FOUND
    assert refused(edits.policy(VersionPolicy(count=0))) is Code.INVALID_INPUT


def test_loading_tries_again_what_has_failed() -> None:
    state = replace(with_record(is_unloaded=True), failures={3: FAILURE, 2: FAILURE})
    every, one, fine = (edits.load(version)(state) for version in (None, 2, 1))
    assert not every.record.is_unloaded
    assert (every.retry, one.retry, fine.retry) == ((3, 2), (2,), ())
    assert refused(edits.load(9)) is Code.VERSION_NOT_FOUND


def test_loading_may_set_the_policy_and_the_replicas() -> None:
    policy = VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1, 3))
    edit = edits.load(None, wanted=policy, replicas=4)(with_record(is_unloaded=True))
    assert (edit.record.policy, edit.record.scale.replicas, edit.record.is_unloaded) == (policy, 4, False)
    wrong = VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(9,))
    assert refused(edits.load(None, wanted=wrong)) is Code.VERSION_NOT_FOUND


def test_an_unloaded_model_stays_as_it_was_set() -> None:
    state = with_record(labels={"stable": 1})
    assert edits.unload(state).record == replace(state.record, is_unloaded=True)


def test_a_version_goes_and_the_last_one_takes_the_model_with_it() -> None:
    edit = edits.delete(1)(with_record(stable_history=(1, 2)))
    assert (edit.remove, edit.is_end, edit.record.stable_history) == ((1,), False, (2,))
    last = edits.delete(3)(replace(STATE, known=(3,)))
    assert (last.remove, last.is_end) == ((3,), True)
    whole = edits.delete(None)(STATE)
    assert (whole.remove, whole.is_end) == ((3, 2, 1), True)
    assert refused(edits.delete(9)) is Code.VERSION_NOT_FOUND


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({"labels": {"canary": 1, "other": 2}}, "the label canary"),
        ({"route": ModelRoute(weights={1: 1})}, "the route"),
        ({"policy": VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1,))}, "the policy"),
    ],
)
def test_a_version_that_somebody_relies_on_does_not_go(fields: dict[str, object], user: str) -> None:
    with pytest.raises(RequestError, match=user) as error:
        edits.delete(1)(with_record(**fields))
    assert error.value.code is Code.CONFLICT
    check_unused(with_record(**fields).record, 3)


def test_a_version_without_a_number_gets_the_next_one() -> None:
    assert next_version(()) == 1
    assert next_version((7, 3)) == 8


def test_names_and_numbers_are_checked() -> None:
    check_name("iris-v1.2")
    check_number(0)
    for check in (lambda: check_name("../iris"), lambda: check_number(-1), lambda: check_number(2**63)):
        with pytest.raises(RequestError) as error:
            check()
        assert error.value.code is Code.INVALID_INPUT


def test_a_change_that_was_overtaken_is_refused() -> None:
    check_revision(RECORD, None)
    check_revision(RECORD, 1)
    with pytest.raises(RequestError, match="its revision is 1") as error:
        check_revision(RECORD, 0)
    assert error.value.code is Code.CONFLICT
