"""Finds what a folder's model is kept in: as its model.toml says, else the one file that can be meant."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import msgspec

from salver.errors import Code, LoadError
from salver.models.formats import entries, identify, recognise, unknown_folder
from salver.models.manifest import FILE_NAME, Manifest
from salver.models.manifestfile import ManifestFile
from salver.models.manifestwords import closest
from salver.models.naming import stem
from salver.models.programs import program_path
from salver.models.recognising.archives import archive_without_manifest
from salver.models.recognising.base import Recognition
from salver.models.unserved import Unserved, unserved_error
from salver_worker.runtimes.specs import ECHO, EXECUTABLE, FUNCTION, MAR, RuntimeSpec, spec_named

GENERIC_STEM = "model"
"""A file of this name is the model of its folder, whatever lies beside it."""

CODE_ENDINGS = (".py", ".R", ".r")
"""Of files that may stand beside any model."""

MAX_FILES = 1000
"""Files of one folder that are looked at."""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one folder: models that are served, other files, formats not served yet, and what cannot be read."""

    models: tuple[Recognition, ...] = ()
    others: tuple[Path, ...] = ()
    unserved: tuple[tuple[Path, Unserved], ...] = ()
    errors: tuple[LoadError, ...] = ()

    @property
    def has_model(self) -> bool:
        """Whether anything here was meant to be a model, served or not."""
        return bool(self.models or self.unserved or self.errors)

    @property
    def generic(self) -> Recognition | None:
        """The only model that is called `model`."""
        generic = [model for model in self.models if stem(model.artifact.name) == GENERIC_STEM]
        return generic[0] if len(generic) == 1 else None

    @property
    def the_model(self) -> Recognition | None:
        """The only model, or the one that is called `model`."""
        return self.models[0] if len(self.models) == 1 else self.generic


def survey(folder: Path) -> Survey:
    """Look at a folder's files, not at its folders. Code is not judged here: it may stand beside any model."""
    models: list[Recognition] = []
    others: list[Path] = []
    unserved: list[tuple[Path, Unserved]] = []
    errors: list[LoadError] = []
    for path in [path for path in entries(folder) if path.is_file() and path.name != FILE_NAME][:MAX_FILES]:
        try:
            found = None if path.suffix in CODE_ENDINGS else identify(path)
        except LoadError as error:
            errors.append(error)
            continue
        if isinstance(found, Recognition):
            models.append(found)
        elif found is not None:
            unserved.append((path, found))
        else:
            others.append(path)
    return Survey(models=tuple(models), others=tuple(others), unserved=tuple(unserved), errors=tuple(errors))


def find_artifact(folder: Path, file: ManifestFile | None = None) -> Recognition:
    """The model that `folder` holds; `file` is the model.toml that applies to it. Raises LoadError."""
    manifest = Manifest() if file is None else file.manifest
    runtime = spec_named(manifest.runtime_name or "")
    if file is not None and manifest.command:
        return _program(file, folder)
    if file is not None and manifest.artifact is not None:
        return _as_runtime(_named(file, "artifact", folder, manifest.artifact), runtime)
    if file is not None and runtime in (None, FUNCTION) and is_python(manifest.handler):
        name, function = split_function(manifest.handler or "")
        return recognise(_named(file, "handler", Path(file.path).parent, name), function)
    if runtime is ECHO:
        return _taken_at_its_word(folder, ECHO)
    return _search(folder, runtime)


def is_python(handler: str | None) -> bool:
    """Whether a handler is a Python file, with or without a function: a model of its own."""
    return handler is not None and split_function(handler)[0].endswith(".py")


def split_function(text: str) -> tuple[str, str | None]:
    """`app.py:predict` as file and function; the function is None where none is named."""
    file, colon, function = text.rpartition(":")
    return (file, function) if colon and file.endswith(".py") and function.isidentifier() else (text, None)


def _search(folder: Path, runtime: RuntimeSpec | None) -> Recognition:
    whole = identify(folder)
    if isinstance(whole, Recognition) and _suits(whole, runtime):
        return whole
    found = survey(folder)
    by_path = {model.artifact: model for model in found.models if _suits(model, runtime)}
    if by_path:
        return by_path[_the_one(folder, list(by_path))]
    paths = _by_ending(found, runtime or FUNCTION)
    if paths and not (runtime is None and (found.unserved or found.errors)):
        return _as_runtime(_the_one(folder, paths), runtime)
    if runtime is MAR:
        return archive_without_manifest(folder)
    raise _nothing(folder, whole, found)


def _suits(found: Recognition, runtime: RuntimeSpec | None) -> bool:
    return runtime is None or found.runtime == runtime.name


def _by_ending(found: Survey, runtime: RuntimeSpec) -> list[Path]:
    """Files that only their ending speaks for; who names no runtime may mean a Python file."""
    paths = [*found.others, *(path for path, _ in found.unserved)]
    return [path for path in paths if path.name.endswith(runtime.extensions)]


def _the_one(folder: Path, paths: Sequence[Path]) -> Path:
    """The only one, or the only one that is called `model`."""
    generic = [path for path in paths if stem(path.name) == GENERIC_STEM]
    if len(paths) == 1 or len(generic) == 1:
        return paths[0] if len(paths) == 1 else generic[0]
    names = ", ".join(path.name for path in paths)
    fix = f'Say which one is meant: artifact = "{paths[0].name}" in {folder / FILE_NAME}.'
    raise LoadError(Code.FORMAT_UNKNOWN, f"{folder} holds several models: {names}", fix=fix)


def _as_runtime(path: Path, runtime: RuntimeSpec | None) -> Recognition:
    """What `path` holds; a runtime that somebody named is taken at its word."""
    if runtime is None:
        return recognise(path)
    found = identify(path)
    return found if isinstance(found, Recognition) and _suits(found, runtime) else _taken_at_its_word(path, runtime)


def _taken_at_its_word(path: Path, runtime: RuntimeSpec) -> Recognition:
    is_data = runtime.trust == "data"
    return Recognition(runtime=runtime.name, artifact=path, trust="data" if is_data else "code", label=runtime.label)


def _named(file: ManifestFile, key: str, folder: Path, name: str) -> Path:
    """A file that the manifest names under `key`."""
    path = folder / name
    if path.exists():
        return path
    match = closest(path.name, [entry.name for entry in entries(path.parent)]) if path.parent.is_dir() else None
    raise file.error((key,), f"`{key}`: there is no {name} in {folder}", f"Did you mean `{match}`?" if match else None)


def _program(file: ManifestFile, folder: Path) -> Recognition:
    """A model whose own program answers; what that opens is for it to know, the folder where nothing is named."""
    manifest = file.manifest
    program = manifest.command[0]
    if "/" in program:
        path = program_path(program, folder, Path(file.path).parent)
        if not path.is_file():
            raise file.error(("command",), f"`command`: there is no {program} in {folder}")
        if not os.access(path, os.X_OK):
            raise file.error(("command",), f"`command`: {path} may not be run", f"Run `chmod +x {path}`.")
    artifact = folder if manifest.artifact is None else _named(file, "artifact", folder, manifest.artifact)
    label = f"program {PurePosixPath(program).name}"
    return Recognition(runtime=EXECUTABLE.name, artifact=artifact, trust="code", label=label)


def _nothing(folder: Path, whole: Recognition | Unserved | None, found: Survey) -> LoadError:
    """Why the folder has no model: the closest reason that was seen."""
    if isinstance(whole, Unserved):
        return unserved_error(folder, whole)
    if found.errors:
        return found.errors[0]
    if found.unserved:
        return unserved_error(*found.unserved[0])
    return unknown_folder(folder)
