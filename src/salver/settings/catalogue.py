"""Every setting as a row, derived from the fields of the groups and the sentences under them."""

from __future__ import annotations

import ast
import functools
import inspect
from typing import Any

import msgspec

from salver.access.base import AccessSettings
from salver.models.base import ModelSettings
from salver.net.base import NetSettings
from salver.processes.base import ProcessSettings
from salver.replicas.base import ReplicaSettings
from salver.replicas.environments.base import EnvironmentSettings
from salver.serving.base import ServingSettings
from salver.settings.values import as_text, expectation, is_list
from salver.telemetry.base import TelemetrySettings
from salver.wire.openinference.base import OpenInferenceSettings
from salver.wire.tfserving.base import TfServingSettings
from salver.wire.torchserve.base import TorchServeSettings

VARIABLE_PREFIX = "SALVER_"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All groups, complete. A part receives its own group, never the whole."""

    net: NetSettings = NetSettings()
    serving: ServingSettings = ServingSettings()
    models: ModelSettings = ModelSettings()
    replicas: ReplicaSettings = ReplicaSettings()
    environments: EnvironmentSettings = EnvironmentSettings()
    access: AccessSettings = AccessSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    processes: ProcessSettings = ProcessSettings()
    openinference: OpenInferenceSettings = OpenInferenceSettings()
    torchserve: TorchServeSettings = TorchServeSettings()
    tfserving: TfServingSettings = TfServingSettings()


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: where it is declared, what it takes, what it means."""

    group: str
    name: str
    type: Any
    default: Any
    doc: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return VARIABLE_PREFIX + self.name.upper()

    @property
    def file_key(self) -> str:
        return f"[{self.group}] {self.name}"

    @property
    def expected(self) -> str:
        """What a value must be, in words that fit after "expected"."""
        return expectation(self.type)

    @property
    def is_switch(self) -> bool:
        return self.type is bool

    @property
    def is_list(self) -> bool:
        return is_list(self.type)

    @property
    def default_text(self) -> str:
        return as_text(self.default)


@functools.cache
def catalogue() -> tuple[Setting, ...]:
    """Every setting, group by group in the order of their declaration. Field names are unique over the groups."""
    rows: list[Setting] = []
    for group in msgspec.structs.fields(Settings):
        docs = field_docs(group.type)
        rows.extend(
            Setting(group=group.name, name=field.name, type=field.type, default=field.default, doc=docs[field.name])
            for field in msgspec.structs.fields(group.type)
        )
    return tuple(rows)


def setting_named(name: str) -> Setting | None:
    return next((setting for setting in catalogue() if setting.name == name), None)


def group_summaries() -> dict[str, str]:
    """The first line of each group's docstring, by the group's name."""
    return {
        group.name: (inspect.getdoc(group.type) or "").partition("\n")[0] for group in msgspec.structs.fields(Settings)
    }


def field_docs(struct: type) -> dict[str, str]:
    """The string literal under each annotated field of a class, on one line; a field without one has no entry."""
    definition = ast.parse(inspect.getsource(struct)).body[0]
    assert isinstance(definition, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as doc)),
            ):
                docs[name] = " ".join(doc.split())
    return docs
