"""Finds the models of a folder.

The rules are asked in this order:

1. It is an artefact as a whole (an unpacked model archive, an MLflow model): one model.
2. It has folders whose names are numbers: one model, these are its versions, the highest is served unless all are
   asked for. (Such a folder by itself is that version of the model around it.)
3. It has a model.toml, or in its place Triton's config.pbtxt or MLServer's model-settings.json: one model.
4. One of its files is a model called `model`: one model, named as the folder.
5. Its files hold one model, and no folder in it is one: one model, named as the folder.
6. Its files and its folders that are models by themselves are each a model.
7. It has nothing but Python files, and one of them can be meant: one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from salver.errors import LoadError
from salver.models.artifact import Survey, find_artifact, survey
from salver.models.foreign.beside import foreign_file, has_foreign_file, triton_config
from salver.models.formats import entries, identify
from salver.models.found import Found, source_of
from salver.models.manifest import FILE_NAME
from salver.models.manifestfile import ManifestFile, read_manifest
from salver.models.naming import stem
from salver.models.policy import policy_versions
from salver.models.recognising.base import Recognition
from salver.models.sources import Discovery, FailedSource, ModelSource
from salver.models.unserved import Unserved, unserved_error
from salver.models.versions import newest, numbered, version_of
from salver.types import ModelVersion


class FolderView(msgspec.Struct, frozen=True, kw_only=True):
    """A folder as the rules see it."""

    path: Path
    whole: Recognition | Unserved | None
    versions: dict[int, str]
    """The names of the folders that are served, by their numbers."""
    has_manifest: bool
    """A model.toml, or another server's file in its place."""
    files: Survey
    folders: tuple[Path, ...]

    @property
    def is_one_model(self) -> bool:
        """Rules 1 to 4."""
        return bool(self.whole or self.versions or self.has_manifest or self.files.generic)

    @property
    def is_meant_as_model(self) -> bool:
        """Whether somebody who finds it among models would take it for one, served or not."""
        return self.is_one_model or self.files.has_model


def manifest_in(folder: Path) -> ManifestFile | None:
    """The folder's model.toml. Raises LoadError(MANIFEST_INVALID)."""
    path = folder / FILE_NAME
    return read_manifest(path) if path.is_file() else None


def discover_folder(folder: Path, name: str | None, artifacts: Path, count: int | None = 1) -> Discovery:
    """Everything that the folder means; `name` is used when that is one model.

    Of numbered versions the `count` highest are taken, or all. Raises LoadError when nothing in it can be served.
    """
    view = _view(folder, count)
    if view.is_one_model:
        return _one_model(view, name, artifacts)
    inner, failures = _views(view.folders, count)
    has_models_inside = failures or any(child.is_meant_as_model for child in inner)
    if not has_models_inside and (view.files.the_model or not view.files.has_model):
        return _one_model(view, name, artifacts)
    found = _several(view, inner, failures, artifacts)
    if not found.models:
        raise _none_served(folder, found.failures)
    return found


def discover_versions(folder: Path, name: str, artifacts: Path) -> Discovery:
    """The model whose numbered versions a folder has: nothing else in it counts. One bad version spoils no other.

    Raises LoadError when the folder cannot be read.
    """
    models: list[ModelSource] = []
    failures: list[FailedSource] = []
    for version, own in newest(numbered(path.name for path in entries(folder) if path.is_dir()), None).items():
        place = _Place(folder, folder / own, version)
        try:
            models.append(_source(place, name, artifacts))
        except LoadError as error:
            failures.append(FailedSource(source=str(place.version), error=error, id=ModelVersion(name, version)))
    notes = () if models or failures else (f"No versions of servable {name} found under base path {folder}",)
    return Discovery(models=tuple(models), failures=tuple(failures), notes=notes)


def _view(folder: Path, count: int | None) -> FolderView:
    folders = tuple(path for path in entries(folder) if path.is_dir())
    return FolderView(
        path=folder,
        whole=identify(folder),
        versions=_versions(folder, numbered(path.name for path in folders), count),
        has_manifest=(folder / FILE_NAME).is_file() or has_foreign_file(folder),
        files=survey(folder),
        folders=folders,
    )


def _versions(folder: Path, versions: dict[int, str], count: int | None) -> dict[int, str]:
    """The `count` highest, or those that Triton's version_policy picks; Triton sees none in `0` or `01`."""
    declared = None if (folder / FILE_NAME).is_file() else triton_config(folder)
    if declared is None or declared.policy is None:
        return newest(versions, count)
    plain = {version: name for version, name in versions.items() if not name.startswith("0")}
    return (
        newest(plain, None)
        if count is None
        else {version: plain[version] for version in policy_versions(plain, declared.policy)}
    )


def _one_model(view: FolderView, name: str | None, artifacts: Path) -> Discovery:
    """The versions of the model that the folder is. One bad version spoils no other; raises when all are bad."""
    folder = view.path if view.path.name not in ("", "..") else view.path.resolve()
    if view.versions and not isinstance(view.whole, Recognition):
        places = [_Place(folder, folder / own, version) for version, own in view.versions.items()]
    else:
        version = version_of(folder.name)
        places = [_Place(folder if version is None else folder.parent, folder, version)]
    models: list[ModelSource] = []
    failures: list[FailedSource] = []
    for place in places:
        try:
            models.append(_source(place, name, artifacts))
        except LoadError as error:
            failures.append(FailedSource(source=str(place.version), error=error))
    if not models:
        raise failures[0].error
    return Discovery(models=tuple(models), failures=tuple(failures))


class _Place(msgspec.Struct, frozen=True):
    """The folder of a model, the folder of one version (the same, where it has no folders for them), its number."""

    model: Path
    version: Path
    number: int | None


def _source(place: _Place, name: str | None, artifacts: Path) -> ModelSource:
    """A model.toml in the version's folder stands instead of the one in the model's, and each instead of others'."""
    own = manifest_in(place.version) or manifest_in(place.model)
    foreign = foreign_file(place.model, place.version) if own is None else None
    file = own or foreign
    is_covered = own is not None and has_foreign_file(place.model)
    found = Found(
        recognition=find_artifact(place.version, file),
        path=place.version,
        path_name=place.model.name or place.model.resolve().name,
        name=name,
        version=place.number,
        file=file,
        notes=(
            *(
                (f"{file.path} stands instead of the other server's file in {place.model}",)
                if file and is_covered
                else ()
            ),
            *(() if foreign is None else foreign.declared.notes),
        ),
    )
    return source_of(found, artifacts)


def _views(folders: Sequence[Path], count: int | None) -> tuple[list[FolderView], list[FailedSource]]:
    """What each of the folders is, and which could not be told."""
    views: list[FolderView] = []
    failures: list[FailedSource] = []
    for folder in folders:
        try:
            views.append(_view(folder, count))
        except LoadError as error:
            failures.append(FailedSource(source=str(folder), error=error))
    return views, failures


def _several(
    view: FolderView, inner: Sequence[FolderView], failures: Sequence[FailedSource], artifacts: Path
) -> Discovery:
    """Rule 6. One bad model spoils no other."""
    failed = [FailedSource(source=str(view.path), error=error) for error in view.files.errors]
    failed += [FailedSource(source=str(path), error=unserved_error(path, row)) for path, row in view.files.unserved]
    failed += failures
    models: list[ModelSource] = []
    for model in view.files.models:
        path = model.artifact
        try:
            models.append(source_of(Found(recognition=model, path=path, path_name=stem(path.name)), artifacts))
        except LoadError as error:
            failed.append(FailedSource(source=str(path), error=error))
    for child in [child for child in inner if child.is_meant_as_model]:
        try:
            found = _one_model(child, None, artifacts)
        except LoadError as error:
            failed.append(FailedSource(source=str(child.path), error=error))
        else:
            models += found.models
            failed += found.failures
    notes = tuple(f"{child.path} holds no model" for child in inner if not child.is_meant_as_model)
    return Discovery(models=tuple(models), failures=tuple(failed), notes=notes)


def _none_served(folder: Path, failures: tuple[FailedSource, ...]) -> LoadError:
    first = failures[0].error
    if len(failures) == 1:
        return first
    message = f"none of the {len(failures)} models in {folder} can be served; the first: {first.message}"
    return LoadError(first.code, message, fix=first.fix)
