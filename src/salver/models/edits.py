"""Each operation on a model as a function: from the model as it stands to what should change, checked. Pure.

An edit raises a RequestError that says why the change may not be made; it changes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from salver.errors import Code, RequestError
from salver.models import desired
from salver.models.admission import check_unused
from salver.models.planning import ModelState
from salver.models.policy import answering_labels, default_version
from salver.store.base import ModelRecord
from salver.types import STABLE, ModelRoute, ModelVersion, PolicyKind, Scale, VersionPolicy


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """A change that was checked and not made yet."""

    record: ModelRecord
    version: int | None = None
    """Which one the change is about, where it is about one."""
    remove: tuple[int, ...] = ()
    retry: tuple[int, ...] = ()
    """Versions whose failure is forgotten."""
    is_end: bool = False
    """Whether nothing is left of the model."""
    note: str = ""
    """What somebody should know besides what the plan says."""
    wakes: bool = False
    """Whether what is wanted of it is loaded now, even where it is loaded on demand."""


MakeEdit: TypeAlias = Callable[[ModelState], Edit]


def answering_now(state: ModelState) -> int | None:
    """The version that answers requests that name none, as long as there is no route."""
    record = state.record
    return default_version(state.known, state.serving, answering_labels(record.policy, record.labels))


def same_content(state: ModelState, version: int) -> str:
    """What whoever publishes an artefact should know when it is a version already."""
    name = ModelVersion(state.name, version)
    way = "" if version == answering_now(state) else f"; `salver promote {state.name} {version}` lets it answer"
    return f"this content is {name} already, and no new version is made{way}"


def promote(version: int) -> MakeEdit:
    def edit(state: ModelState) -> Edit:
        desired.check_version(state.name, version, state.known)
        record = desired.promoted(state.record, version, answered=answering_now(state))
        return Edit(record=record, version=version)

    return edit


def roll_back(state: ModelState) -> Edit:
    record = desired.rolled_back(state.record, [number for number in state.known if number not in state.failures])
    return Edit(record=record, version=record.labels[STABLE])


def label(name: str, version: int | None) -> MakeEdit:
    """The label names the version; with None it is taken away."""

    def edit(state: ModelState) -> Edit:
        desired.check_label(name)
        if version is not None:
            desired.check_version(state.name, version, state.known)
        elif name not in state.record.labels:
            raise RequestError(Code.LABEL_NOT_FOUND, f"The model {state.name!r} has no label {name!r}.")
        return Edit(record=desired.labelled(state.record, name, version), version=version)

    return edit


def route(wanted: ModelRoute | None) -> MakeEdit:
    def edit(state: ModelState) -> Edit:
        if wanted is not None:
            desired.check_route(state.name, wanted, state.known)
        return Edit(record=desired.routed(state.record, wanted))

    return edit


def scale(over: Callable[[Scale], Scale], *, loads: bool = False) -> MakeEdit:
    """`over` makes the new scale of the present one. With `loads` a model that was unloaded is loaded again."""

    def edit(state: ModelState) -> Edit:
        wanted = over(state.record.scale)
        desired.check_scale(wanted)
        record = desired.scaled(state.record, wanted)
        return Edit(record=desired.loaded(record) if loads else record)

    return edit


def scale_version(version: int, replicas: int) -> MakeEdit:
    """The version has replicas of its own number, and the model is not unloaded any more; with 0 the version is."""

    def edit(state: ModelState) -> Edit:
        desired.check_version(state.name, version, state.known)
        record = desired.scaled_version(state.record, version, replicas)
        desired.check_scale(record.scale)
        return Edit(record=desired.loaded(record), version=version)

    return edit


def beside(state: ModelState, version: int, replicas: int | None) -> ModelRecord:
    """The record with a version that is served beside those there are, of which the one that answers goes on to."""
    record = desired.with_policy(state.record, VersionPolicy(kind=PolicyKind.ALL))
    if replicas is not None:
        record = desired.scaled_version(record, version, replicas)
        desired.check_scale(record.scale)
    if STABLE not in record.labels:
        answering = answering_now(state)
        record = desired.labelled(record, STABLE, version if answering is None else answering)
    return desired.loaded(record)


def with_replicas(record: ModelRecord, replicas: int | None) -> ModelRecord:
    """The record with so many replicas of each version; 0: none of it is loaded, None: as it is."""
    if replicas is None:
        return record
    if replicas == 0:
        return desired.unloaded(record)
    scale = msgspec.structs.replace(
        record.scale,
        replicas=replicas,
        min_replicas=min(record.scale.min_replicas, replicas),
        max_replicas=None if record.scale.max_replicas is None else max(record.scale.max_replicas, replicas),
    )
    desired.check_scale(scale)
    return desired.loaded(desired.scaled(record, scale))


def policy(wanted: VersionPolicy) -> MakeEdit:
    def edit(state: ModelState) -> Edit:
        desired.check_policy(wanted)
        for version in wanted.versions:
            desired.check_version(state.name, version, state.known)
        return Edit(record=desired.with_policy(state.record, wanted))

    return edit


def load(version: int | None, *, wanted: VersionPolicy | None = None, replicas: int | None = None) -> MakeEdit:
    """The model may be loaded again; the version, or every one, is tried again when it has failed.

    With a policy it is loaded by that, with a number of replicas in so many; both stay.
    """

    def edit(state: ModelState) -> Edit:
        record = state.record if wanted is None else policy(wanted)(state).record
        if version is not None:
            desired.check_version(state.name, version, state.known)
        numbers = state.known if version is None else (version,)
        retry = tuple(number for number in numbers if number in state.failures)
        record = with_replicas(desired.loaded(record), replicas)
        return Edit(record=record, retry=retry, version=version, wakes=True)

    return edit


def unload(state: ModelState) -> Edit:
    return Edit(record=desired.unloaded(state.record))


def delete(version: int | None) -> MakeEdit:
    """The version goes, or with None the model; the last version takes the model with it."""

    def edit(state: ModelState) -> Edit:
        if version is None:
            return Edit(record=state.record, remove=state.known, is_end=True)
        desired.check_version(state.name, version, state.known)
        check_unused(state.record, version)
        record = desired.without_version(state.record, version)
        return Edit(record=record, remove=(version,), version=version, is_end=state.known == (version,))

    return edit
