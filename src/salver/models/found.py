"""Makes a version that can be served of what was found at a path: its name, its folder, its archive unpacked."""

from __future__ import annotations

from pathlib import Path

import msgspec

from salver.errors import Code, LoadError
from salver.models.archive import unpack
from salver.models.archivesettings import ArchiveSettings, read_archive_settings
from salver.models.artifact import find_artifact
from salver.models.environmentfiles import surroundings_of
from salver.models.foreign.base import ForeignFile
from salver.models.manifest import FILE_NAME, Manifest
from salver.models.manifestfile import ManifestFile, read_manifest
from salver.models.marfile import MarManifest
from salver.models.naming import choose_name
from salver.models.packagefile import unpack_package
from salver.models.recognising.base import PACKAGE, Recognition
from salver.models.sources import ModelSource
from salver_worker.runtimes.specs import MAR


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A model and what is known of it. Paths are as the user gave them."""

    recognition: Recognition
    path: Path
    path_name: str
    """What the model is called when nobody says otherwise."""
    name: str | None = None
    """What the user calls it."""
    version: int | None = None
    file: ManifestFile | None = None
    notes: tuple[str, ...] = ()


def source_of(found: Found, artifacts: Path) -> ModelSource:
    """Raises LoadError when it has no name that can be used, or when its archive cannot be unpacked."""
    if found.recognition.runtime == PACKAGE:
        return _packaged(found, artifacts)
    archive = found.recognition.archive
    manifest = Manifest() if found.file is None else found.file.manifest
    own_name = manifest.name or (archive.name if archive is not None else None)
    name, note = choose_name(found.name, own_name, found.path_name)
    if not name:
        message = f"{found.path} gives its model no name that can be used"
        raise LoadError(Code.SETTINGS_INVALID, message, fix=f"Give it one, as my-model={found.path}.")
    artifact = _opened(found.recognition, artifacts)
    settings = _settings(artifact, archive)
    home = artifact if found.file is None else Path(found.file.path)
    folder = (home if home.is_dir() else home.parent).absolute()
    recognition = msgspec.structs.replace(found.recognition, artifact=artifact.absolute())
    beside = (artifact if artifact.is_dir() else artifact.parent).absolute()
    is_alone = found.file is None and found.path.is_file() and archive is None
    around = surroundings_of(tuple(dict.fromkeys((beside, folder))), recognition, manifest, is_alone=is_alone)
    return ModelSource(
        name=name,
        version=_version(found),
        source=str(found.path),
        folder=folder,
        recognition=recognition,
        manifest=settings.words.under(manifest),
        manifest_file=found.file,
        details={} if archive is None or archive.version is None else {"archive_version": archive.version},
        notes=tuple(text for text in (note, *found.notes, *settings.notes, *around.notes) if text),
        archive_config=settings.config,
        wish=around.wish,
    )


def _packaged(found: Found, artifacts: Path) -> ModelSource:
    """The model in a package: all that is said of it is in there."""
    folder, digest = unpack_package(found.recognition.artifact, artifacts)
    path = folder / FILE_NAME
    file = read_manifest(path) if path.is_file() else None
    inner = find_artifact(folder, file)
    if inner.runtime == PACKAGE:
        raise LoadError(Code.FORMAT_UNKNOWN, f"{found.path} is a package of a package", fix="Give the inner one.")
    covered = () if found.file is None else (f"{found.file.path} is not used: the package has a model.toml of its own",)
    own = msgspec.structs.replace(found, recognition=inner, path=folder, file=file, notes=(*found.notes, *covered))
    source = source_of(own, artifacts)
    recognition = msgspec.structs.replace(source.recognition, label=f"{source.recognition.label}, in a package")
    details = {**source.details, "package": f"sha256:{digest}"}
    return msgspec.structs.replace(source, source=str(found.path), recognition=recognition, details=details)


def _settings(artifact: Path, archive: MarManifest | None) -> ArchiveSettings:
    if archive is None or archive.config_file is None:
        return ArchiveSettings()
    return read_archive_settings(artifact, archive.config_file)


def _version(found: Found) -> int:
    """The number of the folder, else what another server's file says, else the archive's, else 1."""
    if found.version is not None:
        return found.version
    if isinstance(found.file, ForeignFile) and found.file.declared.version is not None:
        return found.file.declared.version
    archive = found.recognition.archive
    return 1 if archive is None else archive.version_number


def _opened(recognition: Recognition, artifacts: Path) -> Path:
    """The artefact as its runtime wants it: a model archive as a folder."""
    is_packed = recognition.runtime == MAR.name and recognition.artifact.is_file()
    return unpack(recognition.artifact, artifacts) if is_packed else recognition.artifact
