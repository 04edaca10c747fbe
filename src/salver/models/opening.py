"""What should be served when the server starts: what the store remembers, and what the command line names.

The command line goes before the store: of two versions with one number, its own is the one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from salver.models.known import KnownModel, MakeSpec, given_version
from salver.models.sources import ModelSource
from salver.models.stock import Stock, stored_version
from salver.models.wanting import state_of
from salver.store.base import Store
from salver.types import STABLE, ModelVersion, PolicyKind, VersionPolicy


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """The models by name, and what the user should know of how the two places came together."""

    models: dict[str, KnownModel]
    notes: tuple[str, ...]


def open_models(
    store: Store,
    stock: Stock,
    given: Sequence[ModelSource],
    make_spec: MakeSpec,
    origins: Mapping[ModelVersion, str],
    defaults: Mapping[str, int] = MappingProxyType({}),
) -> Opening:
    """Reads the store and the repository, and frees this of what was left unfinished: not for an event loop.

    `origins` names the argument that each given version comes from. Of the models in `defaults` all given versions are
    served, and the one named there answers, unless somebody has said otherwise since.
    """
    stock.sweep()
    models = {record.name: KnownModel(record.name, record) for record in store.models()}
    for record in store.versions():
        model = models.setdefault(record.model, KnownModel(record.model))
        model.put(stored_version(stock, record, make_spec))
    notes: list[str] = []
    for source in given:
        model = models.setdefault(source.name, KnownModel(source.name))
        notes += _covered(model, source)
        model.own_policy = source.policy or model.own_policy
        model.put(given_version(source, make_spec, origins.get(source.id, "")))
    for name, version in defaults.items():
        if name in models and models[name].record.revision == 0:
            models[name].record = replace(
                models[name].record, policy=VersionPolicy(kind=PolicyKind.ALL), labels={STABLE: version}
            )
    notes += [note for source in given for note in _not_wanted(models[source.name], source)]
    return Opening(models={name: model for name, model in models.items() if not model.is_nothing}, notes=tuple(notes))


def _covered(model: KnownModel, source: ModelSource) -> Iterable[str]:
    if source.version in model.versions:
        yield (
            f"{source.name} version {source.version} is {source.source}, as the command line says; "
            f"the version {source.version} in the repository is not served"
        )


def _not_wanted(model: KnownModel, source: ModelSource) -> Iterable[str]:
    """Why a version of the command line is not served."""
    record = model.record
    if record.is_unloaded:
        yield f"{source.name} was unloaded; `salver load {source.name}` serves it again"
    elif source.version not in state_of(model, None).picked:
        yield (
            f"{source.source} is version {source.version} of {source.name} and not served: the policy "
            f"`{record.policy.kind.value}` picks others of the versions {', '.join(map(str, model.numbers))}"
        )
