"""A change of a model, told beforehand: what it will do, step by step, and what somebody should know first. Pure.

The laws, which the tests prove:

- What changes nothing has no steps and no warnings. Revisions, times and what happens to run are no changes.
- The steps stand in the order in which they happen: a new version is loaded before the old one is stopped, unless the
  policy preserves resources. What serves is not stopped for versions that have all failed.
- A plan that stops the last version that answers, before another one is ready to, has a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from salver.models.planwords import (
    joined,
    label_steps,
    named,
    policy_step,
    replicas,
    replicas_step,
    residency_steps,
    route_step,
    scale_bounds_step,
)
from salver.models.policy import answering_labels, default_version, replica_count, stand_ins, wanted_versions
from salver.store.base import ModelRecord
from salver.types import Preserve, VersionFailure


class ModelState(msgspec.Struct, frozen=True, kw_only=True):
    """A model as it stands, or as it would stand after a change; of the latter only what is desired counts."""

    name: str
    record: ModelRecord
    known: tuple[int, ...] = ()
    """Versions that could be loaded."""
    serving: tuple[int, ...] = ()
    failures: Mapping[int, VersionFailure] = {}
    """Versions that cannot be loaded, and are not tried until somebody asks."""
    replicas: Mapping[int, int] = {}
    """How many each version's model.toml asks for; 1 for those that are not here."""
    given: tuple[int, ...] = ()
    """Versions that are served where they lie, because the command line names their place."""
    examples: tuple[int, ...] = ()
    """Versions that bring an example, which must come out right before they serve."""

    @property
    def named(self) -> tuple[int, ...]:
        """The versions that the policy, a label or the route names, highest first."""
        record = self.record
        return wanted_versions(self.known, record.policy, record.labels, record.route)

    @property
    def stand_ins(self) -> tuple[int, ...]:
        """The versions that are loaded for those that are named and have failed."""
        return stand_ins(self.named, self.failures, self.known, self.record)

    @property
    def picked(self) -> tuple[int, ...]:
        """The versions that should be loaded while the model is not unloaded, highest first."""
        return tuple(sorted((*self.named, *self.stand_ins), reverse=True))

    @property
    def substitutes(self) -> tuple[int, ...]:
        """The stand-ins, while they alone answer."""
        is_answered = self.record.is_unloaded or not set(self.named) <= set(self.failures)
        return () if is_answered else self.stand_ins

    @property
    def wanted(self) -> tuple[int, ...]:
        """The versions that should be loaded, highest first."""
        if self.record.is_unloaded:
            return ()
        return tuple(version for version in self.picked if self.record.scale.by_version.get(version) != 0)

    @property
    def loadable(self) -> tuple[int, ...]:
        """Those of the wanted versions that have not failed."""
        return tuple(version for version in self.wanted if version not in self.failures)

    @property
    def answering(self) -> int | None:
        """The version that answers requests that name none, once all is as it should be; None when none would."""
        loadable = self.loadable
        labels = answering_labels(self.record.policy, self.record.labels)
        return default_version(self.known, loadable, labels) if loadable else None

    def replica_count(self, version: int) -> int:
        return replica_count(self.record.scale, version, self.replicas.get(version, 1))


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a change will do, as sentences without a capital and a full stop. No steps: nothing would change."""

    steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def plan(before: ModelState | None, after: ModelState | None) -> Plan:
    """What happens when what is desired changes from `before` to `after`; None stands for a model that is not there."""
    given = before or after
    if given is None:
        return Plan()
    nothing = ModelState(name=given.name, record=ModelRecord(name=given.name, updated_at=0.0, updated_by=""))
    change = _Change(before or nothing, after or nothing)
    steps = tuple(change.steps() if after is not None else change.end())
    return Plan(steps=steps, warnings=tuple(change.warnings(is_end=after is None)) if steps else ())


class _Change:
    """One change, and what of it concerns more than one sentence."""

    def __init__(self, before: ModelState, after: ModelState) -> None:
        self._name = before.name
        self._before = before
        self._after = after
        self._loads = [version for version in after.loadable if version not in before.loadable]
        self._stops = [
            version
            for version in before.wanted
            if version not in after.wanted and (version in before.serving or self._is_starting(version))
        ]
        self._is_on_demand = after.record.scale.is_on_demand
        self._stops_first = after.record.policy.preserve is Preserve.RESOURCES

    def _is_starting(self, version: int) -> bool:
        before = self._before
        return version not in before.failures and not before.record.scale.is_on_demand

    # Steps

    def steps(self) -> Iterator[str]:
        before, after = self._before.record, self._after.record
        for version in _gained(self._before.known, self._after.known):
            yield f"keep {named(self._name, version)} in the repository"
        if after.is_unloaded and not before.is_unloaded:
            yield f"load nothing of {self._name} until somebody asks for that"
        if before.is_unloaded and not after.is_unloaded:
            yield f"let {self._name} be loaded again"
        if before.policy != msgspec.structs.replace(
            after.policy, highest_answers=before.policy.highest_answers
        ):  # which version answers is told by itself
            yield policy_step(self._name, after.policy)
        yield from self._scale_steps()
        if self._stops_first:
            yield from self._stop_steps()
        yield from self._load_steps()
        yield from label_steps(self._name, before.labels, after.labels)
        yield from self._answer_steps()
        if not self._stops_first:
            yield from self._stop_steps()
        yield from self._removal_steps()

    def end(self) -> Iterator[str]:
        """The steps when nothing of the model stays."""
        yield from self._stop_steps()
        yield from self._removal_steps()
        yield f"forget the labels, the route and the settings of {self._name}"

    def _scale_steps(self) -> Iterator[str]:
        before, after = self._before, self._after
        bounds = scale_bounds_step(self._name, before.record.scale, after.record.scale)
        if bounds:
            yield bounds
        yield from residency_steps(self._name, before.record.scale, after.record.scale)
        staying = [version for version in after.loadable if version in before.loadable]
        changed = [version for version in staying if before.replica_count(version) != after.replica_count(version)]
        for version in changed:
            had, gets = before.replica_count(version), after.replica_count(version)
            yield f"run {replicas(gets)} of {named(self._name, version)} instead of {had}"
        if before.record.scale.replicas != after.record.scale.replicas and not changed:
            yield replicas_step(self._name, after.record.scale)

    def _load_steps(self) -> Iterator[str]:
        for version in self._loads:
            yield self._load_step(version)

    def _load_step(self, version: int) -> str:
        name = named(self._name, version)
        count = replicas(self._after.replica_count(version))
        if version in self._before.serving:
            return f"keep {name}, which serves"
        if self._is_on_demand:
            return f"load {name} ({count}) when the first request for it comes"
        again = " again" if version in self._before.failures else ""
        parts = [f"load {name}{again} ({count})"]
        if version in self._after.examples:
            parts.append("verify its example")
        if self._answers_after_loading(version):
            parts.append("then answer requests that name no version with it")
        return ", ".join(parts)

    def _answers_after_loading(self, version: int) -> bool:
        is_loaded = version in self._loads and version not in self._before.serving and not self._is_on_demand
        return is_loaded and self._after.record.route is None and version == self._after.answering

    def _answer_steps(self) -> Iterator[str]:
        before, after = self._before, self._after
        route, default = after.record.route, after.answering
        if route is not None:
            if route != before.record.route:
                yield route_step(self._name, route)
            return
        if before.record.route is not None:
            yield f"end the route of {self._name}"
        is_other = default != before.answering or before.record.route is not None
        if default is not None and is_other and not self._answers_after_loading(default):
            yield f"answer requests that name no version with {named(self._name, default)}"

    def _stop_steps(self) -> Iterator[str]:
        for version in self._stops:
            verb = "drain and stop" if version in self._before.serving else "stop"
            yield f"{verb} {named(self._name, version)}"

    def _removal_steps(self) -> Iterator[str]:
        for version in _gained(self._after.known, self._before.known):
            if version in self._before.given:
                yield f"forget {named(self._name, version)}, whose files stay where they are"
            else:
                yield f"remove {named(self._name, version)} from the repository"

    # Warnings

    def warnings(self, *, is_end: bool) -> Iterator[str]:
        yield from self._outage_warnings()
        for version in _gained(self._after.known, self._before.known):
            if version in self._before.given:
                yield f"{named(self._name, version)} comes back when the place that `salver serve` names is read again"
        if is_end:
            return
        yield from self._failure_warnings()
        before, after = self._before.record, self._after.record
        for label in before.labels:
            if label not in after.labels:
                yield f"requests that name the label `{label}` would be refused then"
        for version in _gained(self._before.known, self._after.known):
            if version not in self._after.wanted:
                why = "the model is unloaded" if after.is_unloaded else "no policy, label or route picks it"
                yield f"{named(self._name, version)} would not be loaded: {why}"

    def _outage_warnings(self) -> Iterator[str]:
        serving = self._before.serving
        held = self._after.substitutes
        if held and held != self._before.substitutes:
            names = joined([named(self._name, version) for version in held])
            does = "go on answering" if set(held) <= set(serving) else "answer"
            yield f"{names} would {does}: nothing that is wanted then can be loaded"
        if not self._after.loadable:
            if serving or self._before.loadable:
                yield f"no version of {self._name} would answer requests then"
        elif serving and not set(serving) & set(self._after.loadable):
            if self._is_on_demand:
                yield f"the first requests for {self._name} would wait until a version is loaded"
            elif self._stops_first:
                yield f"no version of {self._name} would answer requests until another one is loaded"
            elif not set(serving) & set(self._after.known):
                yield f"no version of {self._name} would answer requests if none of the others can be loaded"

    def _failure_warnings(self) -> Iterator[str]:
        for version, failure in sorted(self._after.failures.items(), reverse=True):
            if self._is_newly_named(version):
                yield f"version {version} has failed before: {failure.message}"

    def _is_newly_named(self, version: int) -> bool:
        """Whether the change asks for the version, or gives it a label or another place in the route."""
        before, after = self._before, self._after
        labels = {label for label, number in after.record.labels.items() if number == version}
        had = {label for label, number in before.record.labels.items() if number == version}
        is_in_new_route = (
            after.record.route is not None
            and after.record.route != before.record.route
            and version in after.record.route.weights
        )
        is_newly_wanted = version in after.wanted and version not in before.wanted
        return bool(labels - had) or is_in_new_route or is_newly_wanted


def _gained(before: tuple[int, ...], after: tuple[int, ...]) -> list[int]:
    return sorted(set(after) - set(before), reverse=True)
