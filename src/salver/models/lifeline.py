"""What is to be done so that a model becomes what it should be: a situation in, things to do out. Pure.

::

    build its environment ──► start ──► load, example, recorded requests ──► serves ──► point requests to it ──► told
                                                                                       ──► drain the old ──► stop

Nothing here remembers: whoever acts asks again after everything that happens, and is told the next things to do, or
none. The laws, which the tests prove:

- Requests are led away from a version only when the one that takes over serves, and a version ends only when no front
  end leads requests to it any more.
- A wanted version that does not serve, for whatever reason, has a stand-in: one that served before it and would
  otherwise end. So a version that fails costs nothing, whatever the policy says. One that was deleted stands in only
  for what still loads; for a model that was unloaded nothing does.
- With `Preserve.RESOURCES` nothing is started beside what has to go: that ends first. An environment takes no memory,
  and is built before anything goes for it.
- A life is one form of one version: the same version with other files, or with anything else changed but the number of
  replicas, is a new life, which takes over from the old one as a new version does.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from salver.models.policy import answering_labels, default_version
from salver.models.states import ENDING
from salver.models.wanted import WantedModel
from salver.replicas.base import ReplicaSpec
from salver.types import STABLE, ModelRoute, Preserve, VersionFailure, VersionState

FAILED, UNLOADED = VersionState.FAILED, VersionState.UNLOADED


class Signpost(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions requests are led to."""

    default: int | None = None
    labels: dict[str, int] = {}
    route: ModelRoute | None = None

    @property
    def versions(self) -> set[int]:
        """All that it leads to."""
        routed = () if self.route is None else self.route.weights
        return {*routed, *self.labels.values(), *(() if self.default is None else (self.default,))}


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What counts of one life of a version."""

    number: int
    """Later lives have higher ones."""
    spec: ReplicaSpec
    state: VersionState
    is_serving: bool = False
    """Whether every front end reaches a replica of it."""
    has_served: bool = False
    is_failure_kept: bool = False
    """Whether its failure was among those that are wanted to be kept."""
    is_waiting: bool = False
    """Whether its environment was built, and none of its workers was started yet."""
    is_over: bool = False
    """Whether none of its workers is left, for good."""

    @property
    def version(self) -> int:
        return self.spec.id.version

    @property
    def is_ending(self) -> bool:
        return self.state in ENDING

    @property
    def runs(self) -> bool:
        """Whether it may have workers, or be about to."""
        return not self.is_over and self.state not in (FAILED, UNLOADED)

    @property
    def can_answer(self) -> bool:
        """Whether it serves, or did and will again."""
        return self.has_served and not self.is_ending and self.state is not FAILED


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """A model as it should be and as it is."""

    wanted: WantedModel
    lives: tuple[Life, ...] = ()
    """In the order of their numbers."""
    signpost: Signpost = Signpost()
    told: Signpost = Signpost()
    """The signpost that every front end knew last."""

    @property
    def saves_memory(self) -> bool:
        return self.wanted.policy.preserve is Preserve.RESOURCES


class Start(msgspec.Struct, frozen=True):
    """Begin a new life."""

    spec: ReplicaSpec


class Rest(msgspec.Struct, frozen=True):
    """Begin a life that is not started: asleep, or failed before."""

    spec: ReplicaSpec
    failure: VersionFailure | None


class Wake(msgspec.Struct, frozen=True):
    """Start a life that is asleep."""

    number: int
    spec: ReplicaSpec


class Launch(msgspec.Struct, frozen=True):
    """Start the workers of a life whose environment was built."""

    number: int


class Scale(msgspec.Struct, frozen=True):
    """Have more replicas, or fewer: those that go finish what they have."""

    number: int
    replicas: int


class Point(msgspec.Struct, frozen=True):
    """Lead requests there from now on."""

    signpost: Signpost


class Drain(msgspec.Struct, frozen=True):
    """No new requests; finish those it has; then stop."""

    number: int


class Forget(msgspec.Struct, frozen=True):
    """Nothing is left of this life."""

    number: int


Action = Start | Rest | Wake | Launch | Scale | Point | Drain | Forget


def decide(now: Situation) -> tuple[Action, ...]:
    """What can be done at once. When all of it is done there may be more; nothing to do: it is as it should be."""
    return tuple(_actions(now))


def _actions(now: Situation) -> Iterator[Action]:
    aim = signpost_of(now)
    if aim != now.signpost:
        yield Point(aim)
    for life in now.lives:
        if life.is_over:
            yield Forget(life.number)
    going = [*_outdated(now), *_unneeded(now, aim)]
    yield from (Drain(life.number) for life in going)
    ending = [life for life in now.lives if life.is_ending or (life in going and life.runs)]
    for spec in now.wanted.specs:
        action = _lead_to(spec, now)
        if action is not None and not (ending and now.saves_memory and _takes_memory(action)):
            yield action


def _takes_memory(action: Action) -> bool:
    """A life that needs an environment begins with building it."""
    match action:
        case Start(spec) | Wake(_, spec):
            return spec.environment is None
        case Launch():
            return True
    return False


# Versions that are wanted


def _fitting(spec: ReplicaSpec, now: Situation) -> Life | None:
    """The life of the wanted form."""
    return next((life for life in reversed(now.lives) if not life.is_ending and is_same_form(life.spec, spec)), None)


def is_same_form(one: ReplicaSpec, other: ReplicaSpec) -> bool:
    """Whether a group of the one can become a group of the other by its number of replicas alone."""
    return msgspec.structs.replace(one, replicas=other.replicas) == other


def _lead_to(spec: ReplicaSpec, now: Situation) -> Action | None:
    """What brings a wanted version one step nearer to what it should be."""
    version, life = spec.id.version, _fitting(spec, now)
    failure, is_asleep = now.wanted.failures.get(version), version in now.wanted.asleep
    if life is None:
        if not is_asleep and failure is None:
            return Start(spec)
        return None if any(each.version == version for each in now.lives) else Rest(spec, failure)
    if _is_done_with(life, now):
        return None
    if life.state is UNLOADED:
        return None if is_asleep else Wake(life.number, spec)
    if life.is_waiting:
        return Launch(life.number)
    if life.state is not FAILED and life.spec.replicas != spec.replicas:
        return Scale(life.number, spec.replicas)
    return None


def _is_done_with(life: Life, now: Situation) -> bool:
    """Whether a life of the wanted form ends: it is to sleep, or to be shown as failed, or to be tried again."""
    has_failed, is_asleep = life.version in now.wanted.failures, life.version in now.wanted.asleep
    if life.state is FAILED:
        return life.is_failure_kept and not has_failed
    return has_failed if life.state is UNLOADED else is_asleep


def _outdated(now: Situation) -> Iterator[Life]:
    """Lives of wanted versions that end: in another form than is wanted, or in this one for now."""
    for spec in now.wanted.specs:
        version, fitting = spec.id.version, _fitting(spec, now)
        takes_over = fitting.is_serving if fitting is not None else version in now.wanted.asleep
        saves_memory = now.saves_memory and version not in now.wanted.failures and not _is_built_first(spec, now)
        for life in now.lives:
            if life.version != version or life.is_ending:
                continue
            if life is fitting:
                if _is_done_with(life, now):
                    yield life
            elif takes_over or saves_memory or not life.can_answer:
                yield life


# Versions that are not wanted


def _unneeded(now: Situation, aim: Signpost) -> list[Life]:
    """Lives of versions that are not wanted and have nothing left to do: neither are requests led to them, nor do they
    stand in for a wanted version that does not serve."""
    unwanted = [life for life in now.lives if not life.is_ending and now.wanted.spec(life.version) is None]
    pointed = now.signpost.versions | now.told.versions | aim.versions
    best = {life.version: life for life in sorted(unwanted, key=lambda life: (life.can_answer, life.number))}
    able = [life for life in best.values() if life.can_answer]
    able.sort(key=lambda life: (life.version in pointed, life.version), reverse=True)
    if now.wanted.is_unloaded:
        return unwanted
    stand_ins = _missing(now)
    if now.wanted.specs and not now.saves_memory:
        stand_ins = max(stand_ins, sum(life.version in pointed for life in able))
    is_coming = _has_one_on_its_way(now)
    takes_over = any(now.wanted.spec(version) for version in _serving(now))
    staying = [
        life
        for life in able[:stand_ins]
        if life.version in now.wanted.known or is_coming or (takes_over and life.version in pointed)
    ]
    return [life for life in unwanted if life not in staying]


def _has_one_on_its_way(now: Situation) -> bool:
    """Whether a wanted version loads, or is about to: for that one even a version that was deleted stays."""
    given_up = {*now.wanted.asleep, *now.wanted.failures, *(life.version for life in now.lives if life.state is FAILED)}
    return any(spec.id.version not in _serving(now) | given_up for spec in now.wanted.specs)


def _missing(now: Situation) -> int:
    """How many wanted versions should serve and do not. Where memory is to be saved, only those count that failed,
    or whose environment is built first."""
    there = _serving(now) | set(now.wanted.asleep)
    missing = {spec.id.version for spec in now.wanted.specs} - there
    if now.saves_memory:
        built_first = (spec.id.version for spec in now.wanted.specs if _is_built_first(spec, now))
        failed = (life.version for life in now.lives if life.state is FAILED)
        missing &= {*now.wanted.failures, *failed, *built_first}
    return len(missing)


def _is_built_first(spec: ReplicaSpec, now: Situation) -> bool:
    """Whether the version's environment is on its way, and so nothing needs to go for it yet."""
    life = _fitting(spec, now)
    return spec.environment is not None and (life is None or life.state is VersionState.BUILDING)


# Where requests are led


def signpost_of(now: Situation) -> Signpost:
    """The wanted one, but for what would lead away from a version that can answer to one that does not serve yet."""
    wanted, before = now.wanted, now.signpost
    ready = _serving(now) | (set(wanted.asleep) - wanted.switched_off - set(wanted.failures))
    able = ready | {life.version for life in now.lives if life.can_answer}
    target = _default(now, able)

    def may_move(old: int | None, new: int | None) -> bool:
        return new is None or new in ready or old not in able

    default = target if may_move(before.default, target) else before.default
    labels = {}
    for label, version in wanted.labels.items():
        old = before.labels.get(label, version)
        labels[label] = version if may_move(old, version) else old
    route = wanted.route
    is_held = default != target if route is None else not ready.intersection(route.weights)
    if is_held and (before.route is None or able.intersection(before.route.weights)):
        route = before.route
    return Signpost(default=default, labels=labels, route=route)


def _default(now: Situation, able: set[int]) -> int | None:
    """The default version as it should be in the end; while a version that is called stable is on its way, that one."""
    versions = {spec.id.version for spec in now.wanted.specs}
    labels = answering_labels(now.wanted.policy, now.wanted.labels)
    stable = labels.get(STABLE)
    if stable in versions and now.signpost.default in able:
        return stable
    return default_version(versions, able & versions, labels)


def _serving(now: Situation) -> set[int]:
    return {life.version for life in now.lives if life.is_serving and not life.is_ending}
