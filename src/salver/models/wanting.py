"""What the catalogue knows of a model, as the reconciler and a plan are told of it."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from salver.models.edits import Edit
from salver.models.known import KnownModel, KnownVersion
from salver.models.outcome import Outcome, StoredVersion, VersionList
from salver.models.planning import ModelState, plan
from salver.models.states import SERVING
from salver.models.wanted import WantedModel
from salver.types import ModelStatus, VersionStatus


def state_of(model: KnownModel, status: ModelStatus | None) -> ModelState:
    """The model as it stands; `status` is what runs."""
    versions = model.versions.values()
    running = () if status is None else status.versions
    return ModelState(
        name=model.name,
        record=model.record,
        known=model.numbers,
        serving=tuple(version.id.version for version in running if version.state in SERVING),
        failures={version.number: version.failure for version in versions if version.failure is not None},
        replicas={version.number: version.spec.replicas for version in versions},
        given=tuple(version.number for version in versions if version.stored is None),
        examples=tuple(version.number for version in versions if version.spec.manifest.get("example")),
    )


def wanted_model(model: KnownModel, asleep: Collection[int] = ()) -> WantedModel:
    """What should be served of it; `asleep` are versions that nobody needs now. Of an unloaded model all are."""
    state = state_of(model, None)
    record = state.record
    wanted = state.picked
    return WantedModel(
        name=model.name,
        specs=tuple(replace(model.versions[number].spec, replicas=state.replica_count(number)) for number in wanted),
        known=state.known,
        labels=record.labels,
        route=record.route,
        policy=record.policy,
        scale=record.scale,
        failures=state.failures,
        is_unloaded=record.is_unloaded,
        asleep=tuple(number for number in wanted if number in asleep or number not in state.wanted),
    )


def outcome_of(
    model: KnownModel, edit: Edit, new: KnownVersion | None, status: ModelStatus | None, *, is_plan: bool
) -> Outcome:
    """What a change will do, told before it is made; `new` is the version that comes with it."""
    before = state_of(model, status)
    numbers = {*before.known, *(() if new is None else (new.number,))} - set(edit.remove)
    after = replace(
        before,
        record=edit.record,
        known=tuple(sorted(numbers, reverse=True)),
        failures={number: why for number, why in before.failures.items() if number not in {*edit.retry, *edit.remove}},
    )
    told = plan(None if model.is_nothing else before, None if edit.is_end else after)
    about = new or (None if edit.version is None else model.versions.get(edit.version))
    return Outcome(
        model=model.name,
        version=edit.version,
        digest="" if about is None or about.stored is None else about.stored.digest,
        is_plan=is_plan,
        plan=replace(told, warnings=(*told.warnings, edit.note)) if edit.note else told,
        revision=model.record.revision,
        now=status,
    )


def version_list(model: KnownModel, status: ModelStatus | None) -> VersionList:
    """Every version, highest first, loaded or not."""
    running = {} if status is None else {version.id.version: version for version in status.versions}
    default = None if status is None else status.default_version
    return VersionList(
        model=model.name,
        revision=model.record.revision,
        versions=tuple(
            _stored_version(model, number, running.get(number), is_default=number == default)
            for number in model.numbers
        ),
    )


def _stored_version(model: KnownModel, number: int, status: VersionStatus | None, *, is_default: bool) -> StoredVersion:
    version, record = model.versions[number], model.record
    stored = version.stored
    return StoredVersion(
        version=number,
        state=None if status is None else status.state,
        is_default=is_default,
        labels=tuple(sorted(label for label, named in record.labels.items() if named == number)),
        weight=0 if record.route is None else record.route.weights.get(number, 0),
        source=version.spec.source,
        digest="" if stored is None else stored.digest,
        size_bytes=0 if stored is None else stored.size_bytes,
        created_at=0.0 if stored is None else stored.created_at,
        created_by="" if stored is None else stored.created_by,
        failure=version.failure,
        reason="" if status is None else status.reason,
    )
