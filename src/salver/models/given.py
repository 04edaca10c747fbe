"""The models that another server's start-up line names: each by a file or a folder, with what is said of how it runs.

One that cannot be served spoils no other, as in those servers: it is among the failures, and the server goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from salver.errors import Code, LoadError, StartupError
from salver.models.folders import discover_folder, manifest_in
from salver.models.formats import identify
from salver.models.found import Found, source_of
from salver.models.recognising.archives import archive_without_manifest
from salver.models.recognising.base import Recognition
from salver.models.runwords import RunWords
from salver.models.sources import Discovery, FailedSource, ModelSource

WordsTable = Mapping[str, Mapping[str, RunWords]]
"""By a model's name and its version as the archive writes it."""


class GivenModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the start."""

    told: str
    """As the user wrote it."""
    place: Path | None
    """None when there is nothing that could be served."""
    why_not: str = ""
    """Then: what is the matter."""
    fix: str = ""
    name: str | None = None
    file_stem: str = ""
    """What it is called when neither the user nor the archive says."""
    is_default: bool = False
    """Whether it is the version that answers, of several."""
    words: RunWords = RunWords()


class GivenModels(msgspec.Struct, frozen=True, kw_only=True):
    """All models of the start."""

    models: tuple[GivenModel, ...] = ()
    table: WordsTable = {}
    usual: RunWords = RunWords()
    """For every model, where nothing closer is said."""


class GivenDiscovery(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of them. `defaults` has the version that answers, of models with several."""

    discovery: Discovery = Discovery()
    defaults: Mapping[str, int] = {}


def discover_given(given: GivenModels, artifacts: Path) -> GivenDiscovery:
    """Reads the disk, and unpacks archives below `artifacts`: not for an event loop."""
    sources: list[ModelSource] = []
    failures: list[FailedSource] = []
    chosen: dict[str, int] = {}
    for model in given.models:
        try:
            found = [_numbered(source, sources) for source in _sources(model, artifacts)]
        except (LoadError, StartupError) as error:
            failures.append(FailedSource(source=model.told, error=_as_load_error(error)))
            continue
        for source in found:
            sources.append(_with_words(source, model, given))
            if model.is_default or source.name not in chosen:
                chosen[source.name] = source.version
    counts = {name: sum(source.name == name for source in sources) for name in chosen}
    return GivenDiscovery(
        discovery=Discovery(models=tuple(sources), failures=tuple(failures)),
        defaults={name: version for name, version in chosen.items() if counts[name] > 1},
    )


def _sources(model: GivenModel, artifacts: Path) -> Sequence[ModelSource]:
    """Raises LoadError or StartupError."""
    path = model.place
    if path is None:
        raise LoadError(Code.MODEL_NOT_FOUND, model.why_not, fix=model.fix)
    found = identify(path)
    if path.is_dir() and not isinstance(found, Recognition):
        if manifest_in(path) is not None:
            return discover_folder(path, model.name, artifacts).models
        found = archive_without_manifest(path)
    if not isinstance(found, Recognition):
        found = archive_without_manifest(path)
    file = manifest_in(path) if path.is_dir() else None
    return [
        source_of(Found(recognition=found, path=path, path_name=model.file_stem, name=model.name, file=file), artifacts)
    ]


def _numbered(source: ModelSource, others: Sequence[ModelSource]) -> ModelSource:
    """Versions are whole numbers here: of `1.0` and `1.1` the second gets the next free number.

    Raises LoadError when the very version is there already.
    """
    same = [other for other in others if other.name == source.name]
    version = source.details.get("archive_version")
    if any(other.details.get("archive_version") == version for other in same):
        raise LoadError(
            Code.CONFLICT,
            f"Model {source.name} is already registered."
            if version is None
            else f"Model version {version} is already registered for model {source.name}.",
            fix=f"Give it another name, as other-name={source.source}.",
        )
    taken = {other.version for other in same}
    if source.version not in taken:
        return source
    return replace(source, version=max(taken) + 1)


def _with_words(source: ModelSource, model: GivenModel, given: GivenModels) -> ModelSource:
    version = source.details.get("archive_version", "")
    by_table = given.table.get(source.name, {}).get(version, RunWords())
    manifest = source.manifest
    for words in (model.words, by_table, given.usual):
        manifest = words.under(manifest)
    return replace(source, manifest=manifest, source=model.told)


def _as_load_error(error: LoadError | StartupError) -> LoadError:
    return error if isinstance(error, LoadError) else LoadError(error.code, error.message, fix=error.fix)
