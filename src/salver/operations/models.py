"""Operations about what is served."""

from __future__ import annotations

import msgspec

from salver.models.configured import Configured, ConfiguredModel
from salver.models.keptsettings import ArtefactSettings
from salver.models.outcome import Outcome, StoredVersion, VersionList
from salver.models.planning import Plan
from salver.operations.base import Home, Operation, Scope
from salver.types import ModelStatus, Scale, VersionPolicy

__all__ = ["ArtefactSettings", "Configured", "ConfiguredModel", "Outcome", "Plan", "StoredVersion", "VersionList"]

LIST = Operation(
    name="models.list",
    summary="List the models that the caller may see, with their versions and states.",
    permission="models.list",
    scope=Scope.SERVER,
    home=Home.FRONT,
)
GET = Operation(
    name="models.get",
    summary="Tell one model's versions: state, replicas, signature, reason of a failure.",
    permission="models.get",
    scope=Scope.MODEL,
    home=Home.FRONT,
)
VERSIONS = Operation(
    name="models.versions",
    summary="List every version of a model, loaded or not: where it comes from, its labels and weight.",
    permission="models.get",
    scope=Scope.MODEL,
    home=Home.CONTROL,
)


def _change(name: str, summary: str, permission: str) -> Operation:
    return Operation(
        name=name,
        summary=summary,
        permission=permission,
        scope=Scope.MODEL,
        home=Home.CONTROL,
        changes_state=True,
    )


PUBLISH = _change("models.publish", "Keep an artefact as a version of a model, and serve it.", "models.publish")
PROMOTE = _change("models.promote", "Let a version answer requests that name none.", "models.promote")
ROLLBACK = _change("models.rollback", "Let the version answer that did so before the last promotion.", "models.promote")
LABEL = _change("models.label", "Let a label name a version, or take the label away.", "models.promote")
ROUTE = _change("models.route", "Share requests among versions by weight, or stop doing so.", "models.promote")
SCALE = _change("models.scale", "Set how many replicas each version has, and whether it may sleep.", "models.operate")
POLICY = _change("models.policy", "Set which versions are loaded.", "models.operate")
LOAD = _change("models.load", "Load a model that was unloaded, or try again what failed.", "models.operate")
UNLOAD = _change("models.unload", "Unload a model; what is known of it stays.", "models.operate")
DELETE = _change("models.delete", "Delete a version, or a model with all its versions.", "models.delete")

CONFIGURE = Operation(
    name="models.configure",
    summary="Replace the configured list of models: those that come are loaded, those that go unloaded.",
    permission="models.configure",
    scope=Scope.SERVER,
    home=Home.CONTROL,
    changes_state=True,
)

CHANGES = (PUBLISH, PROMOTE, ROLLBACK, LABEL, ROUTE, SCALE, POLICY, LOAD, UNLOAD, DELETE)
OPERATIONS = (LIST, GET, VERSIONS, *CHANGES, CONFIGURE)

DEFAULT_WAIT_S = 5.0
MAX_WAIT_S = 600.0


class ListModels(msgspec.Struct, frozen=True):
    """Parameters of `models.list`. Its result is a tuple of ModelStatus, by name."""


class GetModel(msgspec.Struct, frozen=True):
    """Parameters of `models.get`. Its result is a ModelStatus; with `version`, of that version alone.

    With `is_customized` the versions that serve are asked what they say of themselves; who has neither `models.predict`
    nor `models.operate` hears nothing of it.

    Errors: MODEL_NOT_FOUND, VERSION_NOT_FOUND, LABEL_NOT_FOUND.
    """

    model: str
    version: int | None = None
    label: str | None = None
    is_customized: bool = False


ModelList = tuple[ModelStatus, ...]


class ListVersions(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `models.versions`. Its result is a VersionList. Errors: MODEL_NOT_FOUND."""

    model: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What the parameters of every change have. The result is an Outcome; with `is_plan` nothing changes.

    Errors: MODEL_NOT_FOUND, VERSION_NOT_FOUND, INVALID_INPUT, and CONFLICT when `revision` is not the record's, or the
    model's state does not allow the change.
    """

    model: str
    is_plan: bool = False
    wait_s: float = DEFAULT_WAIT_S
    """How long to wait, once the change is made, until what is wanted serves or has failed; 0: not at all."""
    revision: int | None = None
    """The revision that the caller has seen: the change is refused when there is a later one."""


class PublishVersion(Change, frozen=True, kw_only=True):
    """Parameters of `models.publish`. Further errors: FORMAT_UNKNOWN, MANIFEST_INVALID, PAYLOAD_TOO_LARGE."""

    upload: str = ""
    """The path of the uploaded file, which is taken over; may be empty for a plan."""
    location: str = ""
    """Instead of an upload: a name in the model store's folder, or a reference to an artefact of a named remote."""
    file_name: str = ""
    """What the uploaded file is called: its ending says what it is."""
    version: int | None = None
    """None: one more than the highest."""
    is_promoted: bool = False
    """Whether it also becomes the stable version."""
    is_first: bool = False
    """Whether it is refused (CONFLICT) when there is such a model already."""
    replicas: int | None = None
    """How many replicas each version of the model gets with it; 0: it is not loaded. None: as it was set."""
    has_own_name: bool = False
    """Whether a model archive's own name for its model counts, for callers who may publish any model."""
    settings: ArtefactSettings = ArtefactSettings()
    """Of an artefact from a location."""
    is_beside: bool = False
    """Whether it is served beside the versions that there are, the one that answers going on to; under the number that
    its artefact names, and with `replicas` of its own."""


class PromoteVersion(Change, frozen=True, kw_only=True):
    """Parameters of `models.promote`."""

    version: int


class RollBack(Change, frozen=True, kw_only=True):
    """Parameters of `models.rollback`."""


class SetLabel(Change, frozen=True, kw_only=True):
    """Parameters of `models.label`. Further errors: LABEL_NOT_FOUND when there is nothing to take away."""

    label: str
    version: int | None
    """None: the label is taken away."""


class SetRoute(Change, frozen=True, kw_only=True):
    """Parameters of `models.route`. Without weights the route is taken away."""

    weights: dict[int, int] = {}
    sticky: str = ""


class SetScale(Change, frozen=True, kw_only=True):
    """Parameters of `models.scale`, as in `types.Scale`; what is unset stays as it is.

    A number of replicas also loads a model that was unloaded, and 0 of them unloads it. With `version` the number is
    that version's alone, whatever others have.
    """

    version: int | None = None
    replicas: int | msgspec.UnsetType | None = msgspec.UNSET
    min_replicas: int | msgspec.UnsetType = msgspec.UNSET
    max_replicas: int | msgspec.UnsetType | None = msgspec.UNSET
    is_on_demand: bool | msgspec.UnsetType = msgspec.UNSET
    idle_unload_s: float | msgspec.UnsetType | None = msgspec.UNSET
    is_pinned: bool | msgspec.UnsetType = msgspec.UNSET

    def over(self, scale: Scale) -> Scale:
        """The scale with what is set here."""
        names = {field.name for field in msgspec.structs.fields(Scale)} - {"by_version"}
        given = {name: getattr(self, name) for name in names}
        return msgspec.structs.replace(
            scale, **{name: value for name, value in given.items() if value is not msgspec.UNSET}
        )


class SetPolicy(Change, frozen=True, kw_only=True):
    """Parameters of `models.policy`."""

    policy: VersionPolicy


class LoadModel(Change, frozen=True, kw_only=True):
    """Parameters of `models.load`: the failure of the version, or of all, is forgotten and loading tried again.

    A policy and a number of replicas are set with it, as `models.policy` and `models.scale` do.
    """

    version: int | None = None
    policy: VersionPolicy | None = None
    replicas: int | None = None


class UnloadModel(Change, frozen=True, kw_only=True):
    """Parameters of `models.unload`."""


class DeleteModel(Change, frozen=True, kw_only=True):
    """Parameters of `models.delete`. A version that a label, the route or the policy names is not deleted: CONFLICT."""

    version: int | None = None
    """None: the whole model."""


class ConfigureModels(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `models.configure`: the whole list. Its result is a Configured.

    Errors: INVALID_INPUT; CONFLICT for a label that leads to a version which cannot answer, or another platform;
    PERMISSION_DENIED for a base path outside of the folders that may be named; LOAD_FAILED when a model that comes
    cannot be loaded. After an error everything is as it was.
    """

    models: tuple[ConfiguredModel, ...]
    wait_s: float = MAX_WAIT_S
    """How long models that come may take to be loaded."""
