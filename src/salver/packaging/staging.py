"""Lays out what a package will hold: the model's own files, and the code that they import."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from salver.models.formats import HIDDEN
from salver.models.manifest import FILE_NAME as MANIFEST
from salver.models.packagefile import RECORD_NAME
from salver.models.sources import ModelSource
from salver.models.versions import numbered
from salver.packaging.base import PackagingFailed
from salver.packaging.pythoncode import imports_of, python_files
from salver_worker.runtimes.specs import FUNCTION

WRITTEN = (MANIFEST, RECORD_NAME)
"""Files that are written anew into every package."""


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """The files that were laid out."""

    is_alone: bool
    """Whether the model is one file, with nothing said of it in its folder."""
    artifact: str | None
    """Then: that file's name."""
    modules: tuple[str, ...]
    """What its Python files import and do not bring."""


def stage(source: ModelSource, path: Path, code: Sequence[Path], folder: Path) -> Staged:
    """Copy the model at `path` into the empty `folder`. Raises PackagingFailed, OSError."""
    is_alone = path.is_file() and source.manifest_file is None
    is_function = source.recognition.runtime == FUNCTION.name
    if is_alone:
        _copy(path, folder / path.name)
        beside = imports_of([path], path.parent).beside if is_function else ()
        _copy_all(beside, folder)
    else:
        for home in _homes(source, path):
            _copy_folder(home, folder, is_version=home == _version_folder(source, path))
    _copy_all(code, folder)
    files = python_files(folder) if is_function or code else []
    return Staged(
        is_alone=is_alone,
        artifact=path.name if is_alone else None,
        modules=imports_of(files, folder).foreign,
    )


def free_name(folder: Path, name: str) -> str:
    """The name, or one like it that no file of the model has."""
    stem, dot, ending = name.rpartition(".")
    names = (name, *(f"{stem}-{number}{dot}{ending}" for number in range(2, 1000)))
    return next(each for each in names if not (folder / each).exists())


def _homes(source: ModelSource, path: Path) -> tuple[Path, ...]:
    """The model's folder and the version's, later ones covering earlier ones."""
    about = () if source.manifest_file is None else (source.folder,)
    return tuple(dict.fromkeys((*about, _version_folder(source, path))))


def _version_folder(source: ModelSource, path: Path) -> Path:
    """A package was unpacked; a file has its folder; a numbered folder is what was chosen among several."""
    if "package" in source.details:
        return source.folder
    chosen = Path(source.source)
    return (chosen if chosen.is_dir() else path.parent).absolute()


def _copy_folder(home: Path, folder: Path, *, is_version: bool) -> None:
    """Everything but what nobody looks at; of a model's folder, no versions."""
    entries = [path for path in sorted(home.iterdir()) if not path.name.startswith(HIDDEN)]
    versions = set() if is_version else set(numbered(path.name for path in entries if path.is_dir()).values())
    _copy_all((path for path in entries if path.name not in versions and path.name not in WRITTEN), folder)


def _copy_all(paths: Iterable[Path], folder: Path) -> None:
    for path in paths:
        _copy(path, folder / path.name)


def _copy(path: Path, target: Path) -> None:
    if path.is_dir():
        ignore = shutil.ignore_patterns(*(f"{start}*" for start in HIDDEN))
        shutil.copytree(path, target, ignore=ignore, dirs_exist_ok=True)
    elif path.is_file():
        shutil.copyfile(path, target)
        target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    else:
        raise PackagingFailed(f"There is no file or folder {path}.", fix="Correct what --code names.")
