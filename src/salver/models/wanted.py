"""What should be served, model by model: the whole of it, each time anything of it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from salver.replicas.base import ReplicaSpec
from salver.types import ModelRoute, Scale, VersionFailure, VersionPolicy


class WantedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model as it should be."""

    name: str
    specs: tuple[ReplicaSpec, ...] = ()
    """All versions that are wanted, each with its number of replicas."""
    known: tuple[int, ...] = ()
    """All versions that there are."""
    labels: Mapping[str, int] = {}
    route: ModelRoute | None = None
    policy: VersionPolicy = VersionPolicy()
    scale: Scale = Scale()
    failures: Mapping[int, VersionFailure] = {}
    """Why versions cannot be loaded: they are not tried before their failure is taken away."""
    is_unloaded: bool = False
    """Whether somebody asked for nothing of it to be loaded: then nothing stands in for what is not."""
    asleep: tuple[int, ...] = ()
    """Versions that are wanted, and are loaded only when somebody asks for them."""

    @property
    def switched_off(self) -> set[int]:
        """Versions that were scaled to nothing, which nobody's request wakes."""
        return {version for version, replicas in self.scale.by_version.items() if replicas == 0}

    def spec(self, version: int) -> ReplicaSpec | None:
        """How the version is run, if it is wanted."""
        return next((spec for spec in self.specs if spec.id.version == version), None)


def all_wanted(specs: Sequence[ReplicaSpec]) -> tuple[WantedModel, ...]:
    """Models of which each given version is wanted, with nothing set."""
    by_name: dict[str, list[ReplicaSpec]] = {}
    for spec in specs:
        by_name.setdefault(spec.id.model, []).append(spec)
    return tuple(
        WantedModel(name=name, specs=tuple(each), known=tuple(spec.id.version for spec in each))
        for name, each in by_name.items()
    )
