"""What is to be done so that a model becomes what it should be, case by case and in any order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from salver.models.lifeline import (
    Action,
    Drain,
    Forget,
    Life,
    Point,
    Rest,
    Scale,
    Signpost,
    Situation,
    Start,
    Wake,
    decide,
)
from salver.models.policy import default_version
from salver.models.wanted import WantedModel, all_wanted
from salver.replicas.base import ReplicaSpec
from salver.types import (
    BatchSettings,
    ModelRoute,
    ModelVersion,
    Preserve,
    VersionFailure,
    VersionPolicy,
    VersionState,
)

FAILURE = VersionFailure(code="LOAD_FAILED", message="There are no weights.")
RESOURCES = VersionPolicy(preserve=Preserve.RESOURCES)
QUEUED, STARTING, READY = VersionState.QUEUED, VersionState.STARTING, VersionState.READY
FAILED, UNLOADED = VersionState.FAILED, VersionState.UNLOADED
DRAINING, STOPPED = VersionState.DRAINING, VersionState.STOPPED


def spec(version: int, path: str = "/a", replicas: int = 1) -> ReplicaSpec:
    return ReplicaSpec(
        id=ModelVersion("m", version),
        runtime="echo",
        path=path,
        folder="/",
        python="python3",
        replicas=replicas,
        batching=BatchSettings(),
    )


def wanted(*versions: int | ReplicaSpec, **fields: Any) -> WantedModel:
    specs = tuple(each if isinstance(each, ReplicaSpec) else spec(each) for each in versions)
    return WantedModel(name="m", specs=specs, known=(1, 2, 3), **fields)


def serving(version: int | ReplicaSpec, number: int = 0, **fields: Any) -> Life:
    return life(version, number, **{"state": READY, "is_serving": True, "has_served": True, **fields})


def life(version: int | ReplicaSpec, number: int = 0, state: VersionState = STARTING, **fields: Any) -> Life:
    form = version if isinstance(version, ReplicaSpec) else spec(version)
    return Life(number=number or form.id.version, spec=form, state=state, **fields)


def to_do(want: WantedModel, *lives: Life, default: int | None = None, **signpost: Any) -> tuple[Action, ...]:
    """What is to be done when every front end knows the signpost that stands."""
    stands = Signpost(default=default, **signpost)
    return decide(Situation(wanted=want, lives=lives, signpost=stands, told=stands))


# Starting


def test_what_is_wanted_is_started_and_the_highest_version_is_the_default() -> None:
    assert to_do(wanted(1, 2)) == (Point(Signpost(default=2)), Start(spec(1)), Start(spec(2)))


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert to_do(wanted(1), serving(1), default=1) == ()
    assert to_do(wanted(1), life(1), default=1) == ()
    assert to_do(WantedModel(name="m")) == ()


def test_what_failed_before_is_shown_and_not_started() -> None:
    want = wanted(1, failures={1: FAILURE})
    assert to_do(want, default=1) == (Rest(spec(1), FAILURE),)
    assert to_do(want, life(1, state=FAILED, is_failure_kept=True), default=1) == ()
    assert to_do(want, life(1, state=UNLOADED), default=1) == (Drain(1),)
    assert to_do(want, life(1, state=STOPPED), default=1) == (), "only when nothing of its last life is left"


def test_a_failure_that_is_taken_away_means_try_again() -> None:
    assert to_do(wanted(1), life(1, state=FAILED, is_failure_kept=True), default=1) == (Drain(1),)
    assert to_do(wanted(1), life(1, state=STOPPED, is_over=True), default=1) == (Forget(1), Start(spec(1)))
    assert to_do(wanted(1), life(1, state=FAILED), default=1) == (), "nobody was told of the failure yet"


def test_a_version_that_serves_is_not_stopped_for_a_failure_that_it_had() -> None:
    assert to_do(wanted(1, failures={1: FAILURE}), serving(1), default=1) == ()


def test_what_sleeps_is_known_and_not_loaded() -> None:
    want = wanted(1, asleep=(1,))
    assert to_do(want, default=1) == (Rest(spec(1), None),)
    assert to_do(want, life(1, state=UNLOADED), default=1) == ()
    assert to_do(wanted(1), life(1, state=UNLOADED), default=1) == (Wake(1, spec(1)),)


def test_what_falls_asleep_finishes_what_it_has() -> None:
    assert to_do(wanted(1, asleep=(1,)), serving(1), default=1) == (Drain(1),)
    assert to_do(wanted(1, asleep=(1,)), life(1, state=DRAINING), default=1) == ()
    assert to_do(wanted(1, asleep=(1,)), serving(spec(1, "/old")), default=1) == (Drain(1),)


# Switching


def test_the_old_version_stays_until_the_new_one_serves_and_everybody_was_told() -> None:
    old, new = serving(1), serving(2)
    assert to_do(wanted(2), old, default=1) == (Start(spec(2)),)
    assert to_do(wanted(2), old, life(2), default=1) == ()
    assert to_do(wanted(2), old, new, default=1) == (Point(Signpost(default=2)),)
    half = Situation(wanted=wanted(2), lives=(old, new), signpost=Signpost(default=2), told=Signpost(default=1))
    assert decide(half) == ()
    assert to_do(wanted(2), old, new, default=2) == (Drain(1),)
    assert to_do(wanted(2), life(1, state=STOPPED, is_over=True), new, default=2) == (Forget(1),)


@pytest.mark.parametrize("preserve", list(Preserve))
def test_a_version_that_fails_costs_the_old_one_nothing(preserve: Preserve) -> None:
    want = wanted(2, policy=VersionPolicy(preserve=preserve))
    assert to_do(want, serving(1), life(2, state=FAILED), default=1) == ()
    kept = msgspec.structs.replace(want, failures={2: FAILURE})
    assert to_do(kept, serving(1), life(2, state=FAILED, is_failure_kept=True), default=1) == ()


def test_a_version_that_was_deleted_stands_in_only_for_what_still_loads() -> None:
    want = msgspec.structs.replace(wanted(2), known=(2,))
    assert to_do(want, serving(1), life(2), default=1) == ()
    failed = life(2, state=FAILED)
    assert to_do(want, serving(1), failed, default=1) == (Drain(1),)
    both = msgspec.structs.replace(wanted(2, 3), known=(2, 3))
    assert to_do(both, serving(1), failed, life(3), default=1) == ()
    assert to_do(both, serving(1), failed, serving(3), default=1) == (Point(Signpost(default=3)),)
    assert to_do(both, serving(1), failed, serving(3), default=3) == (Drain(1),)


def test_nothing_stands_in_for_a_model_that_was_unloaded() -> None:
    want = wanted(2, asleep=(2,), failures={2: FAILURE}, is_unloaded=True)
    assert to_do(want, serving(1), life(2, state=FAILED, is_failure_kept=True), default=1) == (Drain(1),)


def test_a_way_back_is_a_switch_as_well() -> None:
    assert to_do(wanted(1), serving(2), default=2) == (Start(spec(1)),)
    assert to_do(wanted(1), serving(2), serving(1, 3), default=2) == (Point(Signpost(default=1)),)
    assert to_do(wanted(1), serving(2), serving(1, 3), default=1) == (Drain(2),)


def test_a_version_that_is_wanted_again_while_it_is_drained_begins_a_new_life() -> None:
    assert to_do(wanted(1), life(1, state=DRAINING, has_served=True), default=1) == (Start(spec(1)),)


def test_each_missing_version_has_one_stand_in() -> None:
    lives = (serving(1), serving(2), serving(3), life(4))
    assert to_do(wanted(4, 3), *lives, default=3) == (Drain(1),)


def test_what_never_served_and_is_not_wanted_ends_at_once() -> None:
    for state in (QUEUED, STARTING, FAILED, UNLOADED, VersionState.CRASHLOOP):
        assert to_do(wanted(2), life(1, state=state), life(2), default=2) == (Drain(1),)


def test_a_model_that_is_not_wanted_ends() -> None:
    gone = WantedModel(name="m")
    assert to_do(gone, serving(1), default=1) == (Point(Signpost()), Drain(1))
    assert to_do(gone, life(1, state=STOPPED, is_over=True)) == (Forget(1),)


def test_memory_is_saved_by_ending_the_old_version_first() -> None:
    want = wanted(2, policy=RESOURCES)
    assert to_do(want, serving(1), default=1) == (Drain(1),)
    assert to_do(want, life(1, state=DRAINING, has_served=True), default=1) == (Point(Signpost(default=2)),)
    over = life(1, state=STOPPED, is_over=True)
    assert to_do(want, over, default=2) == (Forget(1),)
    assert to_do(want, default=2) == (Start(spec(2)),)
    asleep = life(2, state=UNLOADED)
    assert to_do(want, serving(1), asleep, default=2) == (Drain(1),), "nor is one woken beside it"


def test_memory_is_saved_by_waiting_for_what_falls_asleep() -> None:
    want = wanted(1, 2, policy=RESOURCES, asleep=(1,))
    assert to_do(want, serving(1), default=1) == (Drain(1),)
    assert to_do(want, life(1, state=DRAINING), default=1) == ()
    assert to_do(want, life(1, state=UNLOADED), default=1) == (Start(spec(2)),)


# Forms and replicas


def test_another_number_of_replicas_is_no_new_life() -> None:
    assert to_do(wanted(spec(1, replicas=3)), serving(1), default=1) == (Scale(1, 3),)
    assert to_do(wanted(spec(1, replicas=3)), life(1, state=FAILED), default=1) == ()


def test_a_new_form_of_a_version_takes_over_as_a_new_version_does() -> None:
    new = spec(1, "/b")
    assert to_do(wanted(new), serving(1), default=1) == (Start(new),)
    assert to_do(wanted(new), serving(1), life(new, 2), default=1) == ()
    assert to_do(wanted(new), serving(1), life(new, 2, FAILED), default=1) == ()
    assert to_do(wanted(new), serving(1), serving(new, 2), default=1) == (Drain(1),)
    assert to_do(wanted(new), life(1), default=1) == (Drain(1), Start(new))
    assert to_do(wanted(1), serving(1), life(new, 2), default=1) == (Drain(2),), "the old form is wanted again"


def test_a_new_form_that_failed_before_leaves_the_old_one() -> None:
    for policy in (VersionPolicy(), RESOURCES):
        want = wanted(spec(1, "/b"), failures={1: FAILURE}, policy=policy)
        assert to_do(want, serving(1), default=1) == ()


def test_memory_is_saved_for_a_new_form_as_well() -> None:
    new = spec(1, "/b")
    want = wanted(new, policy=RESOURCES)
    assert to_do(want, serving(1), default=1) == (Drain(1),)
    assert to_do(want, life(1, state=DRAINING), default=1) == ()
    assert to_do(want, default=1) == (Start(new),)


# Where requests are led


def test_a_label_moves_when_its_new_version_serves() -> None:
    want = wanted(1, 2, labels={"stable": 2})
    stands = {"default": 1, "labels": {"stable": 1}}
    assert to_do(want, serving(1), life(2), **stands) == ()
    moved = Point(Signpost(default=2, labels={"stable": 2}))
    assert to_do(want, serving(1), serving(2), **stands) == (moved,)
    assert to_do(want, life(1, state=FAILED), life(2), **stands) == (moved,), "nobody can answer: say what is wanted"


def test_a_label_that_is_new_is_there_at_once_and_one_that_is_removed_is_not() -> None:
    new = to_do(wanted(1, 2, labels={"canary": 2}), serving(1), life(2), default=1)
    assert new == (Point(Signpost(default=1, labels={"canary": 2})),)
    assert to_do(wanted(1), serving(1), default=1, labels={"canary": 1}) == (Point(Signpost(default=1)),)


def test_no_newer_trial_answers_while_the_stable_version_is_on_its_way() -> None:
    want = wanted(2, 3, labels={"stable": 2})
    lives = (serving(1), life(2), serving(3))
    assert to_do(want, *lives, default=1, labels={"stable": 1}) == ()


def test_a_route_is_led_to_when_one_of_its_versions_serves() -> None:
    route = ModelRoute(weights={1: 9, 2: 1})
    other = ModelRoute(weights={3: 1})
    assert to_do(wanted(1, 2, route=route), serving(1), life(2), default=1) == (
        Point(Signpost(default=1, route=route)),
    )
    assert to_do(wanted(2, route=ModelRoute(weights={2: 1})), serving(1), life(2), default=1) == ()
    held = to_do(wanted(2, route=ModelRoute(weights={2: 1})), serving(1), serving(3), life(2), default=3, route=other)
    assert held == (Drain(1),), "the old route stands, and so does what it leads to"


def test_a_route_stays_until_the_default_that_takes_over_serves() -> None:
    route = ModelRoute(weights={1: 1, 2: 1})
    want = wanted(3, labels={"stable": 3})
    stands = {"default": 1, "labels": {"stable": 1}, "route": route}
    assert to_do(want, serving(1), serving(2), life(3), **stands) == ()
    assert to_do(want, serving(1), serving(2), serving(3), **stands) == (
        Point(Signpost(default=3, labels={"stable": 3})),
    )


def test_a_route_to_nothing_that_can_answer_is_given_up() -> None:
    new, old = ModelRoute(weights={2: 1}), ModelRoute(weights={1: 1})
    want = wanted(2, route=new)
    assert to_do(want, life(1, state=FAILED), life(2), default=2, route=old) == (
        Point(Signpost(default=2, route=new)),
        Drain(1),
    )


def test_a_version_that_sleeps_can_be_led_to() -> None:
    want = wanted(2, asleep=(2,))
    assert to_do(want, serving(1), life(2, state=UNLOADED), default=1) == (Point(Signpost(default=2)),)
    assert to_do(want, serving(1), life(2, state=UNLOADED), default=2) == (Drain(1),)


@pytest.mark.parametrize(
    ("known", "able", "labels", "default"),
    [
        ([], [], {}, None),
        ([1, 2], [], {}, 2),
        ([1, 2], [1], {}, 1),
        ([1, 2, 3], [1, 3], {"stable": 2}, 1),
        ([2, 3], [3], {"stable": 2}, 3),
        ([1, 2], [], {"stable": 1}, 1),
        ([2], [], {"stable": 1}, 2),
        ([], [], {"stable": 1}, None),
    ],
)
def test_the_default_version(known: list[int], able: list[int], labels: dict[str, int], default: int | None) -> None:
    assert default_version(known, able, labels) == default


def test_models_of_which_everything_is_wanted() -> None:
    (model,) = all_wanted([spec(1), spec(2)])
    assert (model.name, model.known, model.spec(2), model.spec(3)) == ("m", (1, 2), spec(2), None)


# In any order


VERSIONS = st.integers(1, 3)
FORMS = st.builds(spec, VERSIONS, st.sampled_from(["/a", "/b"]), st.integers(1, 2))
LABELS = st.dictionaries(st.sampled_from(["stable", "canary"]), VERSIONS)
ROUTES = st.none() | st.builds(ModelRoute, weights=st.dictionaries(VERSIONS, st.integers(1, 9), min_size=1))


@st.composite
def wishes(draw: st.DrawFn) -> WantedModel:
    """What somebody may want: versions with a label or a place in the route are always among them."""
    labels, route = draw(LABELS), draw(ROUTES)
    by_version = {each.id.version: each for each in draw(st.lists(FORMS, max_size=3))}
    for version in {*labels.values(), *(route.weights if route else ())}:
        by_version.setdefault(version, spec(version))
    some = st.lists(st.sampled_from(sorted(by_version)), max_size=2) if by_version else st.just([])
    return WantedModel(
        name="m",
        specs=tuple(by_version.values()),
        known=(1, 2, 3),
        labels=labels,
        route=route,
        policy=VersionPolicy(preserve=draw(st.sampled_from([*Preserve, Preserve.AVAILABILITY]))),
        failures=dict.fromkeys(draw(some), FAILURE),
        asleep=tuple(draw(some)),
    )


class LifeOfAModel(RuleBasedStateMachine):
    """Somebody wants this and that, lives go well and badly, and what is decided is done at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = Situation(wanted=WantedModel(name="m"))
        self.number = 0

    def change(self, number: int, **fields: Any) -> None:
        lives = tuple(
            msgspec.structs.replace(each, **fields) if each.number == number else each for each in self.now.lives
        )
        self.now = msgspec.structs.replace(self.now, lives=lives)
        self.reconcile()

    def pick(self, index: int, *states: VersionState) -> Life | None:
        lives = [each for each in self.now.lives if each.state in states and not each.is_over]
        return lives[index % len(lives)] if lives else None

    # What is done

    def reconcile(self) -> None:
        for _ in range(20):
            actions = decide(self.now)
            if not actions:
                return
            before = self.now
            self.check(actions)
            for action in actions:
                self.act(action)
            assert self.now != before
        raise AssertionError("there is always something left to do")

    def check(self, actions: tuple[Action, ...]) -> None:
        """What must not be done, whatever happened."""
        want, lives = self.now.wanted, {each.number: each for each in self.now.lives}
        ending = {action.number for action in actions if isinstance(action, Drain)}
        for action in actions:
            match action:
                case Start(form) | Wake(_, form):
                    version = form.id.version
                    assert want.spec(version) == form
                    assert version not in want.failures
                    assert version not in want.asleep
                    if self.now.saves_memory:
                        assert all(lives[number].state in (FAILED, UNLOADED) for number in ending), "nothing that runs"
                        assert not any(each.is_ending for each in lives.values() if not each.is_over)
                case Drain(number):
                    assert not lives[number].is_ending
                    self.check_drain(lives[number], ending)

    def check_drain(self, going: Life, ending: set[int]) -> None:
        want = self.now.wanted
        if not want.specs or self.now.saves_memory or going.version in want.asleep or not going.can_answer:
            return
        rest = [each for each in self.now.lives if each.can_answer and each.number not in ending]
        takes_over = any(each.version == going.version and each.is_serving for each in rest)
        led_to = self.now.signpost.versions | self.now.told.versions
        assert takes_over or going.version not in led_to

    def act(self, action: Action) -> None:
        match action:
            case Point(signpost):
                self.now = msgspec.structs.replace(self.now, signpost=signpost)
            case Start(form):
                self.add(form, QUEUED)
            case Rest(form, failure):
                self.add(form, UNLOADED if failure is None else FAILED, is_failure_kept=failure is not None)
            case Wake(number, form):
                self.replace(number, spec=form, state=QUEUED)
            case Scale(number, replicas):
                form = next(each.spec for each in self.now.lives if each.number == number)
                self.replace(number, spec=msgspec.structs.replace(form, replicas=replicas))
            case Drain(number):
                started = self.pick_number(number).state not in (UNLOADED, FAILED)
                state = DRAINING if started else STOPPED
                self.replace(number, state=state, is_serving=False, is_over=not started)
            case Forget(number):
                lives = tuple(each for each in self.now.lives if each.number != number)
                self.now = msgspec.structs.replace(self.now, lives=lives)

    def pick_number(self, number: int) -> Life:
        return next(each for each in self.now.lives if each.number == number)

    def replace(self, number: int, **fields: Any) -> None:
        lives = tuple(
            msgspec.structs.replace(each, **fields) if each.number == number else each for each in self.now.lives
        )
        self.now = msgspec.structs.replace(self.now, lives=lives)

    def add(self, form: ReplicaSpec, state: VersionState, **fields: Any) -> None:
        self.number += 1
        added = Life(number=self.number, spec=form, state=state, **fields)
        self.now = msgspec.structs.replace(self.now, lives=(*self.now.lives, added))

    # What happens

    @rule(want=wishes())
    def somebody_wants(self, want: WantedModel) -> None:
        default = self.now.signpost.default
        answered = any(each.is_serving and each.version == default for each in self.now.lives)
        self.now = msgspec.structs.replace(self.now, wanted=want)
        for each in self.now.lives:
            if each.state is FAILED and each.version in want.failures:
                self.replace(each.number, is_failure_kept=True)
        self.reconcile()
        if answered and want.specs and not self.now.saves_memory and not want.asleep:
            assert self.default_answers(), "a wish alone never takes the answers away"

    @rule(want=wishes())
    def somebody_wants_the_same_again(self, want: WantedModel) -> None:
        self.reconcile()
        assert decide(self.now) == ()

    @rule(index=st.integers(0, 9))
    def a_life_comes_to_serve(self, index: int) -> None:
        if each := self.pick(index, QUEUED, STARTING, FAILED):
            if each.is_failure_kept:
                return
            answered = self.default_answers()
            self.change(each.number, state=READY, is_serving=True, has_served=True)
            assert self.default_answers() or not answered

    @rule(index=st.integers(0, 9))
    def a_life_loses_its_workers(self, index: int) -> None:
        if each := self.pick(index, READY):
            self.change(each.number, state=STARTING, is_serving=False)

    @rule(index=st.integers(0, 9))
    def a_life_fails(self, index: int) -> None:
        if each := self.pick(index, QUEUED, STARTING):
            answered = self.default_answers()
            self.change(each.number, state=FAILED)
            assert self.default_answers() or not answered, "what fails takes nothing away from what answers"

    @rule(index=st.integers(0, 9))
    def a_drained_life_ends(self, index: int) -> None:
        if each := self.pick(index, DRAINING):
            self.change(each.number, state=STOPPED, is_over=True)

    @rule()
    def front_ends_are_told(self) -> None:
        self.now = msgspec.structs.replace(self.now, told=self.now.signpost)
        self.reconcile()

    @precondition(lambda self: self.now.lives)
    @rule()
    def all_goes_well(self) -> None:
        """In the end everything is as it was wanted, and nothing else is there."""
        for _ in range(40):
            before = self.now
            for each in self.now.lives:
                if each.state is DRAINING:
                    self.change(each.number, state=STOPPED, is_over=True)
                elif each.state in (QUEUED, STARTING) or (each.state is FAILED and not each.is_failure_kept):
                    self.change(each.number, state=READY, is_serving=True, has_served=True)
            self.front_ends_are_told()
            if self.now == before:
                self.check_end()
                return
        raise AssertionError("it never comes to rest")

    def check_end(self) -> None:
        want = self.now.wanted
        there = {each.version: each for each in self.now.lives}
        assert len(there) == len(self.now.lives) or want.failures
        for form in want.specs:
            version = form.id.version
            if version in want.asleep:
                assert there[version].state in (UNLOADED, FAILED)
            elif version not in want.failures:
                assert (there[version].spec, there[version].is_serving) == (form, True)
        if not want.failures:
            assert set(there) == {form.id.version for form in want.specs}
            assert self.now.signpost.labels == want.labels
            assert self.now.signpost.route == want.route

    # What must hold

    def default_answers(self) -> bool:
        return any(each.is_serving and each.version == self.now.signpost.default for each in self.now.lives)

    @invariant()
    def a_form_lives_once(self) -> None:
        forms = [(each.version, each.spec.path) for each in self.now.lives if not each.is_ending]
        assert len(forms) == len(set(forms))

    @invariant()
    def no_more_lives_than_wanted_and_their_stand_ins(self) -> None:
        living = [each for each in self.now.lives if not each.is_ending]
        led_to = self.now.signpost.versions | self.now.told.versions
        wanted = len(self.now.wanted.specs)
        assert len({each.version for each in living}) <= wanted + max(wanted, len(led_to))


LifeOfAModel.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
test_whatever_happens_to_a_model_its_answers_are_kept = LifeOfAModel.TestCase
