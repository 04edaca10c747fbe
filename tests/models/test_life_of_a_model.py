"""What is desired of a model, through any number of changes, each told by a plan before it is made."""

from __future__ import annotations

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from salver.errors import RequestError
from salver.models import desired
from salver.models.planning import ModelState, Plan, plan
from salver.models.policy import default_version
from salver.store.base import ModelRecord
from salver.types import STABLE, ModelRoute, PolicyKind, Preserve, Scale, VersionFailure, VersionPolicy

EMPTY = ModelState(name="m", record=ModelRecord(name="m", updated_at=0.0, updated_by=""))
BROKEN = VersionFailure(code="LOAD_FAILED", message="It is broken.")


class LifeOfAModel(RuleBasedStateMachine):
    """A model whose versions load or turn out to be broken, as soon as they are wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.model = EMPTY
        self.broken: set[int] = set()
        self.next_version = 1

    # What is done with it

    def change(self, record: ModelRecord, **fields: object) -> Plan:
        """Tell the change, make it, and let the versions load and stop."""
        before = self.model
        after = msgspec.structs.replace(before, record=record, **fields)
        told = plan(before, after)
        self.model = self.settled(after)
        if before.serving and not self.model.serving:
            assert told.warnings
        loads = any(step.startswith("load m/") for step in told.steps)
        is_gentle = record.policy.preserve is Preserve.AVAILABILITY and not record.scale.is_on_demand
        if self.says_to_stop_all(told, before) and not (loads and is_gentle):
            assert told.warnings
        is_same = msgspec.structs.replace(record, stable_history=()) == msgspec.structs.replace(
            before.record, stable_history=()
        )
        if is_same and after == msgspec.structs.replace(before, record=record):
            assert told == Plan()
        if not is_same:
            assert told.steps
        assert plan(after, after) == Plan()
        return told

    def settled(self, after: ModelState) -> ModelState:
        while failed := {version: BROKEN for version in after.loadable if version in self.broken}:
            after = msgspec.structs.replace(after, failures={**after.failures, **failed})
        return msgspec.structs.replace(after, serving=after.loadable)

    def says_to_stop_all(self, told: Plan, before: ModelState) -> bool:
        stopped = {f"m/{version}" for version in before.serving}
        return bool(stopped) and stopped <= {step.split()[-1] for step in told.steps if "stop " in step}

    @property
    def record(self) -> ModelRecord:
        return self.model.record

    def a_version(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(self.model.known))

    @rule(is_broken=st.booleans())
    def publish(self, is_broken: bool) -> None:
        version, self.next_version = self.next_version, self.next_version + 1
        if is_broken:
            self.broken.add(version)
        told = self.change(self.record, known=(*self.model.known, version))
        assert told.steps[0] == f"keep m/{version} in the repository"

    @precondition(lambda self: self.model.known)
    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        version = self.a_version(data)
        before = self.record
        self.change(desired.promoted(before, version, answered=self.model.answering))
        stable = before.labels.get(STABLE)
        if stable not in (None, version):
            assert desired.rolled_back(self.record, self.model.known).labels[STABLE] == stable
        assert self.record.labels[STABLE] == version
        assert self.change(desired.promoted(self.record, version)) == Plan()

    @rule()
    def roll_back(self) -> None:
        before = self.record
        try:
            record = desired.rolled_back(before, self.model.known)
        except RequestError:
            assert set(before.stable_history) <= {before.labels.get(STABLE)}
        else:
            self.change(record)
            assert record.labels[STABLE] in before.stable_history
            assert len(record.stable_history) < len(before.stable_history)
            assert record.route is None

    @precondition(lambda self: self.model.known)
    @rule(label=st.sampled_from([STABLE, "canary"]), is_set=st.booleans(), data=st.data())
    def label(self, label: str, is_set: bool, data: st.DataObject) -> None:
        self.change(desired.labelled(self.record, label, self.a_version(data) if is_set else None))

    @precondition(lambda self: self.model.known)
    @rule(data=st.data())
    def route(self, data: st.DataObject) -> None:
        weights = st.dictionaries(st.sampled_from(self.model.known), st.integers(1, 100), min_size=1, max_size=3)
        route = data.draw(st.none() | st.builds(ModelRoute, weights=weights))
        if route is not None:
            desired.check_route("m", route, self.model.known)
        self.change(desired.routed(self.record, route))

    @rule(kind=st.sampled_from(PolicyKind), preserve=st.sampled_from(Preserve), count=st.integers(1, 3))
    def set_policy(self, kind: PolicyKind, preserve: Preserve, count: int) -> None:
        policy = VersionPolicy(kind=kind, count=count, versions=(1, 2), preserve=preserve)
        desired.check_policy(policy)
        self.change(desired.with_policy(self.record, policy))

    @rule(replicas=st.none() | st.integers(1, 3), maximum=st.none() | st.integers(3, 4), is_on_demand=st.booleans())
    def scale(self, replicas: int | None, maximum: int | None, is_on_demand: bool) -> None:
        scale = Scale(replicas=replicas, max_replicas=maximum, is_on_demand=is_on_demand)
        desired.check_scale(scale)
        self.change(desired.scaled(self.record, scale))

    @rule()
    def unload(self) -> None:
        self.change(desired.unloaded(self.record))
        assert self.model.serving == ()

    @rule()
    def load(self) -> None:
        """Which tries again what has failed."""
        self.change(desired.loaded(self.record), failures={})

    @precondition(lambda self: self.model.known)
    @rule(data=st.data())
    def delete_a_version(self, data: st.DataObject) -> None:
        version = self.a_version(data)
        known = tuple(number for number in self.model.known if number != version)
        failures = {number: failure for number, failure in self.model.failures.items() if number != version}
        told = self.change(desired.without_version(self.record, version), known=known, failures=failures)
        assert told.steps[-1] == f"remove m/{version} from the repository"

    @rule()
    def delete(self) -> None:
        told = plan(self.model, None)
        assert told.steps
        assert not self.model.serving or told.warnings
        self.model = EMPTY

    # What holds

    @invariant()
    def what_has_a_label_or_a_place_in_the_route_is_known_and_wanted(self) -> None:
        record = self.record
        named = {*record.labels.values(), *(record.route.weights if record.route else ())}
        assert named <= set(self.model.known)
        assert record.is_unloaded or named <= set(self.model.wanted)

    @invariant()
    def the_history_names_known_versions_only(self) -> None:
        assert set(self.record.stable_history) <= set(self.model.known)

    @invariant()
    def what_is_wanted_serves_or_has_failed(self) -> None:
        assert set(self.model.wanted) <= {*self.model.serving, *self.model.failures}

    @invariant()
    def a_version_serves_while_any_can_be_loaded(self) -> None:
        can_be_loaded = set(self.model.known).difference(self.model.failures)
        assert self.model.serving or not self.model.wanted or not can_be_loaded

    @invariant()
    def what_answers_is_stable_whenever_that_serves(self) -> None:
        default = default_version(self.model.known, self.model.serving, self.record.labels)
        stable = self.record.labels.get(STABLE)
        assert default == stable or stable not in self.model.serving
        assert default in self.model.serving or not self.model.serving

    @invariant()
    def what_does_not_change_has_no_plan(self) -> None:
        assert plan(self.model, self.model) == Plan()


TestLifeOfAModel = LifeOfAModel.TestCase
TestLifeOfAModel.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
